using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;

namespace TorchBridge.Inference;

/// <summary>The content of a picture column.</summary>
internal enum InputKind
{
    /// <summary>Paths of picture files: text.</summary>
    Path,

    /// <summary>Pictures: <see cref="MLImage"/>.</summary>
    Image,

    /// <summary>Encoded pictures: a vector of bytes.</summary>
    Encoded,

    /// <summary>Pixels in the model's format: a vector of 3 x height x width floats, 0 to 255, planes of red, green
    /// and blue.</summary>
    Pixels,
}

/// <summary>Determines the content of a picture column by its type.</summary>
internal static class InputKinds
{
    /// <summary>The content of a column of this type.</summary>
    /// <param name="column">Name of the column, for error messages.</param>
    /// <param name="type">Type of the column.</param>
    /// <param name="card">The model card, which determines the length of a vector of pixels.</param>
    /// <exception cref="ArgumentException">The type cannot be classified.</exception>
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
                $"the column '{column}' has the type {type}; supported are text (paths of files), MLImage, "
                    + $"vectors of bytes (encoded pictures) and vectors of "
                    + $"{3 * card.Width * card.Height} floats (pixels, planes of red, green and blue, 0 to 255)",
                nameof(column)
            ),
        };
}
