using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;

namespace TorchBridge.Inference;

/// <summary>What a column of pictures holds.</summary>
internal enum InputKind
{
    /// <summary>Paths of picture files: text.</summary>
    Path,

    /// <summary>Pictures: <see cref="MLImage"/>.</summary>
    Image,

    /// <summary>Encoded pictures: a vector of bytes.</summary>
    Encoded,

    /// <summary>Pixels as the model takes them: a vector of 3 x height x width floats, 0 to 255, planes of red, green
    /// and blue.</summary>
    Pixels,
}

/// <summary>Tells what a column of pictures holds by its type.</summary>
internal static class InputKinds
{
    /// <summary>What a column of this type holds.</summary>
    /// <param name="column">Its name, for an error.</param>
    /// <param name="type">Its type.</param>
    /// <param name="card">Says how many pixels a vector must have.</param>
    /// <exception cref="ArgumentException">Nothing that can be classified.</exception>
    public static InputKind Of(string column, DataViewType type, ModelCard card) =>
        type switch
        {
            TextDataViewType => InputKind.Path,
            ImageDataViewType => InputKind.Image,
            VectorDataViewType { ItemType: NumberDataViewType { RawType: var item } } when item == typeof(byte) =>
                InputKind.Encoded,
            VectorDataViewType { ItemType: NumberDataViewType { RawType: var item } } vector
                when item == typeof(float) && (vector.Size == 0 || vector.Size == 3 * card.Width * card.Height) =>
                InputKind.Pixels,
            _ => throw new ArgumentException(
                $"the column '{column}' has the type {type}; classified are text (paths of files), "
                    + "MLImage, vectors of bytes (encoded pictures) and vectors of "
                    + $"{3 * card.Width * card.Height} floats (pixels, planes of red, green and blue, 0 to 255)",
                nameof(column)
            ),
        };
}
