using TorchBridge.Inference.Pictures;

namespace TorchBridge.Training.Data;

/// <summary>Reads encoded pictures completely, up to a maximum size.</summary>
internal static class BoundedPicture
{
    /// <summary>Largest size of an encoded picture in bytes; a photo has about ten million.</summary>
    public const int Largest = 1 << 28;

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="name">Name of the picture, for error messages.</param>
    /// <exception cref="InvalidPictureException">It cannot be read, or is too large.</exception>
    public static byte[] ReadFile(string path, string name)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            return Read(file, file.Length, name);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InvalidPictureException($"{name} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>The first bytes of a file, which identify its format; empty if it cannot be read, which is reported
    /// when the whole file is read.</summary>
    /// <param name="path">The file.</param>
    public static byte[] HeadOf(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            return HeadOf(file);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>The first bytes of a stream, which identify its format.</summary>
    /// <param name="stream">A stream at its beginning.</param>
    public static byte[] HeadOf(Stream stream)
    {
        var head = new byte[PictureNames.HeadBytes];
        return head[..stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
    }

    /// <summary>Reads a stream that must have exactly the declared length.</summary>
    /// <param name="stream">A stream at its beginning.</param>
    /// <param name="length">The declared length in bytes.</param>
    /// <param name="name">Name of the picture, for error messages.</param>
    /// <exception cref="InvalidPictureException">It has another length, or is too large.</exception>
    public static byte[] Read(Stream stream, long length, string name)
    {
        if (length > Largest)
            throw new InvalidPictureException(
                FormattableString.Invariant($"{name} has {length:N0} bytes; the limit for a picture is {Largest:N0}")
            );
        var bytes = new byte[length];
        var read = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        if (read < length || stream.ReadByte() >= 0)
            throw new InvalidPictureException(
                FormattableString.Invariant(
                    $"{name} is damaged: it does not have the {length:N0} bytes that it declares"
                )
            );
        return bytes;
    }
}
