using Microsoft.ML;
using Microsoft.ML.Data;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Scoring;

/// <summary>
/// Reads a row's picture as pixels from any kind of picture column: paths, pictures, encoded bytes, or pixels.
/// </summary>
internal sealed class RowPixels
{
    private readonly PlaneReader? readBytes;
    private readonly Func<PlaneReader>? take;
    private readonly ValueGetter<VBuffer<float>>? pixels;
    private readonly int stride;
    private byte[] planes = [];
    private VBuffer<float> vector;

    /// <summary>Prepares to read a column.</summary>
    /// <param name="row">The row or cursor to read from.</param>
    /// <param name="column">The column.</param>
    /// <param name="card">The model card, which determines size and reading of pictures.</param>
    /// <exception cref="ArgumentException">The column's type cannot be classified.</exception>
    public RowPixels(DataViewRow row, DataViewSchema.Column column, ModelCard card)
    {
        stride = card.Stride;
        switch (InputKinds.Of(column.Name, column.Type, card))
        {
            case InputKind.Path:
                var path = row.GetGetter<ReadOnlyMemory<char>>(column);
                ReadOnlyMemory<char> text = default;
                take = () =>
                {
                    path(ref text);
                    var file = text.ToString();
                    return target => PictureReader.ReadFile(file, card.Width, card.Height, target, card.Reading);
                };
                readBytes = target => take()(target);
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
                void Decode(ReadOnlySpan<byte> picture, long position, Span<byte> target) =>
                    PictureReader.Read(
                        picture,
                        $"the picture in row {position}",
                        card.Width,
                        card.Height,
                        target,
                        card.Reading
                    );
                readBytes = target =>
                {
                    encoded(ref bytes);
                    Decode(bytes.IsDense ? bytes.GetValues() : [.. bytes.DenseValues()], row.Position, target);
                };
                take = () =>
                {
                    encoded(ref bytes);
                    byte[] picture = [.. bytes.DenseValues()];
                    var position = row.Position;
                    return target => Decode(picture, position, target);
                };
                break;
            default:
                pixels = row.GetGetter<VBuffer<float>>(column);
                break;
        }
    }

    /// <summary>Captures the current row's value and returns a reader that decodes it later, on any thread. Null if
    /// the picture must be read while its row is current.</summary>
    public PlaneReader? Take() => take?.Invoke();

    /// <summary>Reads the row's picture as planes of red, green and blue, 0 to 255.</summary>
    /// <param name="target">Receives 3 x height x width values.</param>
    /// <exception cref="InvalidPictureException">The picture cannot be read.</exception>
    public void Read(Span<float> target)
    {
        if (pixels is not null)
        {
            pixels(ref vector);
            if (vector.Length != target.Length)
                throw new InvalidPictureException(
                    $"a row has {vector.Length} pixel values, but the model expects {target.Length}"
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
