using System.Buffers.Text;
using SkiaSharp;
using TorchBridge.Inference;
using TorchBridge.Inference.Pictures;
using TorchBridge.Serving.Protocol;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>
/// Decodes the pictures that clients send. Before decoding, the format is checked by the first bytes, and the size in
/// the header against the limit. At most one picture per core is decoded at a time.
/// </summary>
internal sealed class PictureDoor(ModelServerOptions options) : IDisposable
{
    /// <summary>Limits decoding to one picture per core, because decoding needs CPU time and memory.</summary>
    private readonly SemaphoreSlim decoders = new(Environment.ProcessorCount);

    /// <summary>Decodes pictures to the pixels that a TorchBridge classifier expects.</summary>
    /// <param name="pictures">A BYTES tensor with one encoded picture per element, in base64 if it came as
    /// JSON.</param>
    /// <param name="model">The classifier.</param>
    /// <param name="stop">Cancels waiting for a free core.</param>
    /// <returns>An FP32 tensor [pictures, 3, height, width] with values from 0 to 255.</returns>
    /// <exception cref="RequestRefusedException">An element is not a picture, is too large, or is
    /// damaged.</exception>
    public async Task<Tensor> ReadAsync(Tensor pictures, ModelVersion model, CancellationToken stop)
    {
        var card = model.Identity.Card!;
        if (pictures.Strings.Count > model.Settings.MaxRows)
            throw new RequestRefusedException(
                RefusalKind.Invalid,
                $"there are {pictures.Strings.Count} pictures; at most {model.Settings.MaxRows} are accepted per request"
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

    /// <summary>Checks format and size of a picture, then decodes it in the same way as in training.</summary>
    /// <param name="encoded">The encoded picture: JPEG, PNG, BMP or WebP.</param>
    /// <param name="name">Name of the picture, for error messages.</param>
    /// <param name="card">The model's description, with the size and the decoding settings.</param>
    /// <param name="planes">Receives 3 x height x width bytes.</param>
    private void Read(ReadOnlyMemory<byte> encoded, string name, ModelCard card, Span<byte> planes)
    {
        if (!IsKnown(encoded.Span))
            throw RequestRefusedException.Invalid(
                $"{name} is not a JPEG, PNG, BMP or WebP file ({encoded.Length} bytes)"
            );
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
                        $"{name} has {width} x {height} pixels; at most {options.MaxPicturePixels} are allowed"
                    );
            }

            PictureReader.Read(encoded.Span, name, card.Width, card.Height, planes, card.Reading);
        }
        catch (InvalidPictureException error)
        {
            throw new RequestRefusedException(RefusalKind.Invalid, error.Message, error);
        }
    }

    /// <summary>The bytes of a picture that was sent in JSON.</summary>
    /// <param name="text">The picture in base64.</param>
    /// <param name="index">Index of the picture, for error messages.</param>
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

    /// <summary>Whether a file begins like a JPEG, PNG, BMP or WebP file.</summary>
    /// <param name="bytes">The bytes of the file.</param>
    private static bool IsKnown(ReadOnlySpan<byte> bytes) =>
        bytes.StartsWith<byte>([0xFF, 0xD8, 0xFF])
        || bytes.StartsWith<byte>([0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A])
        || bytes.StartsWith("BM"u8)
        || (bytes.Length >= 12 && bytes.StartsWith("RIFF"u8) && bytes[8..].StartsWith("WEBP"u8));
}
