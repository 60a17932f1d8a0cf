using System.Buffers.Text;
using SkiaSharp;
using TorchBridge.Inference;
using TorchBridge.Inference.Pictures;
using TorchBridge.Serving.Protocol;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>
/// Where pictures come in: the first bytes must be of a format that is read, the size in the header within the limit,
/// before anything is decoded; and no more are decoded at once than there are cores.
/// </summary>
internal sealed class PictureDoor(ModelServerOptions options) : IDisposable
{
    /// <summary>One place for each core: decoding is all computation, and each picture takes memory.</summary>
    private readonly SemaphoreSlim decoders = new(Environment.ProcessorCount);

    /// <summary>Decodes pictures to the pixels that a classifier of ours takes.</summary>
    /// <param name="pictures">A BYTES tensor, one picture an element; base64 where it came as JSON text.</param>
    /// <param name="model">The classifier.</param>
    /// <param name="stop">Ends the wait for a free core.</param>
    /// <returns>A tensor FP32 [pictures, 3, height, width], 0 to 255.</returns>
    /// <exception cref="RequestRefusedException">An element is no picture, is too large, or is damaged.</exception>
    public async Task<Tensor> ReadAsync(Tensor pictures, ModelVersion model, CancellationToken stop)
    {
        var card = model.Identity.Card!;
        if (pictures.Strings.Count > model.Settings.MaxRows)
            throw new RequestRefusedException(
                RefusalKind.Invalid,
                $"there are {pictures.Strings.Count} pictures; at most {model.Settings.MaxRows} are read at once"
            );
        var size = 3 * card.Width * card.Height;
        var planes = new byte[pictures.Strings.Count * size];
        await decoders.WaitAsync(stop).ConfigureAwait(false);
        try
        {
            for (var index = 0; index < pictures.Strings.Count; index++)
                Read(
                    pictures.IsText ? FromBase64(pictures.Strings[index], index) : pictures.Strings[index],
                    $"picture {index}",
                    card,
                    planes.AsSpan(index * size, size)
                );
        }
        finally
        {
            decoders.Release();
        }

        return SelfCheckPictures.ToPixels(planes, model.PixelInput!.Name, card);
    }

    /// <inheritdoc/>
    public void Dispose() => decoders.Dispose();

    /// <summary>Checks format and size by the first bytes, then decodes as in training.</summary>
    /// <param name="encoded">JPEG, PNG, BMP or WebP.</param>
    /// <param name="name">What to call it.</param>
    /// <param name="card">Size and reading.</param>
    /// <param name="planes">Receives 3 x height x width bytes.</param>
    private void Read(ReadOnlyMemory<byte> encoded, string name, ModelCard card, Span<byte> planes)
    {
        if (!IsKnown(encoded.Span))
            throw RequestRefusedException.Invalid($"{name} is no JPEG, PNG, BMP or WebP file ({encoded.Length} bytes)");
        try
        {
            using (var data = SKData.CreateCopy(encoded.Span))
            using (
                var codec = SKCodec.Create(data)
                    ?? throw RequestRefusedException.Invalid($"{name} cannot be decoded: its header is damaged")
            )
            {
                var (width, height) = (codec.Info.Width, codec.Info.Height);
                if ((long)width * height > options.MaxPicturePixels)
                    throw new RequestRefusedException(
                        RefusalKind.TooLarge,
                        $"{name} has {width} x {height} pixels; read are up to {options.MaxPicturePixels}"
                    );
            }

            PictureReader.Read(encoded.Span, name, card.Width, card.Height, planes, card.Reading);
        }
        catch (InvalidPictureException error)
        {
            throw new RequestRefusedException(RefusalKind.Invalid, error.Message, error);
        }
    }

    /// <summary>The bytes of a picture that came as JSON text.</summary>
    /// <param name="text">Characters of base64.</param>
    /// <param name="index">Of the picture, for an error.</param>
    private static ReadOnlyMemory<byte> FromBase64(ReadOnlyMemory<byte> text, int index)
    {
        var bytes = new byte[Base64.GetMaxDecodedFromUtf8Length(text.Length)];
        return
            Base64.DecodeFromUtf8(text.Span, bytes, out var read, out var written)
                == System.Buffers.OperationStatus.Done
            && read == text.Length
            ? bytes.AsMemory(0, written)
            : throw RequestRefusedException.Invalid($"picture {index} is not base64, which a picture in JSON must be");
    }

    /// <summary>Whether the first bytes are of JPEG, PNG, BMP or WebP.</summary>
    /// <param name="bytes">The beginning of a picture.</param>
    private static bool IsKnown(ReadOnlySpan<byte> bytes) =>
        bytes.StartsWith<byte>([0xFF, 0xD8, 0xFF])
        || bytes.StartsWith<byte>([0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A])
        || bytes.StartsWith("BM"u8)
        || (bytes.Length >= 12 && bytes.StartsWith("RIFF"u8) && bytes[8..].StartsWith("WEBP"u8));
}
