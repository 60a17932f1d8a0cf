using Microsoft.ML;
using Microsoft.ML.Data;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Scoring;

/// <summary>
/// Reads one row's picture as pixels, whatever the column holds: a path, a picture, encoded bytes, or pixels.
/// </summary>
internal sealed class RowPixels
{
    private readonly Action<byte[]>? readBytes;
    private readonly ValueGetter<VBuffer<float>>? pixels;
    private readonly int stride;
    private byte[] planes = [];
    private VBuffer<float> vector;

    /// <summary>Prepares to read a column.</summary>
    /// <param name="row">Where it is read.</param>
    /// <param name="column">The column.</param>
    /// <param name="card">Says how large pictures are, and how they are read.</param>
    /// <exception cref="ArgumentException">The column holds nothing that can be classified.</exception>
    public RowPixels(DataViewRow row, DataViewSchema.Column column, ModelCard card)
    {
        stride = card.Stride;
        switch (InputKinds.Of(column.Name, column.Type, card))
        {
            case InputKind.Path:
                var path = row.GetGetter<ReadOnlyMemory<char>>(column);
                ReadOnlyMemory<char> text = default;
                readBytes = target =>
                {
                    path(ref text);
                    PictureReader.ReadFile(text.ToString(), card.Width, card.Height, target, card.Reading);
                };
                break;
            case InputKind.Image:
                var image = row.GetGetter<MLImage>(column);
                MLImage? picture = null;
                readBytes = target =>
                {
                    image(ref picture!);
                    PictureReader.Read(
                        picture ?? throw new InvalidPictureException($"the picture in row {row.Position} is missing"),
                        card.Width,
                        card.Height,
                        target,
                        card.Reading
                    );
                };
                break;
            case InputKind.Encoded:
                var encoded = row.GetGetter<VBuffer<byte>>(column);
                VBuffer<byte> bytes = default;
                readBytes = target =>
                {
                    encoded(ref bytes);
                    PictureReader.Read(
                        bytes.IsDense ? bytes.GetValues() : [.. bytes.DenseValues()],
                        $"the picture in row {row.Position}",
                        card.Width,
                        card.Height,
                        target,
                        card.Reading
                    );
                };
                break;
            default:
                pixels = row.GetGetter<VBuffer<float>>(column);
                break;
        }
    }

    /// <summary>Reads the row's picture: planes of red, green and blue, 0 to 255.</summary>
    /// <param name="target">Receives 3 x height x width numbers.</param>
    /// <exception cref="InvalidPictureException">It cannot be read.</exception>
    public void Read(Span<float> target)
    {
        if (pixels is not null)
        {
            pixels(ref vector);
            if (vector.Length != target.Length)
                throw new InvalidPictureException(
                    $"a row has {vector.Length} pixels, and the model takes {target.Length}"
                );
            vector.CopyTo(target);
            return;
        }

        if (planes.Length == 0)
            planes = new byte[stride];
        readBytes!(planes);
        for (var index = 0; index < planes.Length; index++)
            target[index] = planes[index];
    }
}
