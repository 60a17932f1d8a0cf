using TorchBridge.Inference.Pictures;

namespace TorchBridge.Training.Data;

/// <summary>Reads encoded pictures whole, up to a size.</summary>
internal static class BoundedPicture
{
    /// <summary>Bytes of the largest encoded picture; a photo has some ten million.</summary>
    public const int Largest = 1 << 28;

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="name">What to call it in an error.</param>
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

    /// <summary>The first bytes of a file, as many as say what it is; none where it cannot be read: who reads it whole
    /// says why.</summary>
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

    /// <summary>The same of a stream.</summary>
    /// <param name="stream">From its beginning.</param>
    public static byte[] HeadOf(Stream stream)
    {
        var head = new byte[PictureNames.HeadBytes];
        return head[..stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
    }

    /// <summary>Reads a stream whose length was told: no byte less, no byte more.</summary>
    /// <param name="stream">From its beginning.</param>
    /// <param name="length">What was told.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <exception cref="InvalidPictureException">It has another length, or is too large.</exception>
    public static byte[] Read(Stream stream, long length, string name)
    {
        if (length > Largest)
            throw new InvalidPictureException(
                FormattableString.Invariant($"{name} has {length:N0} bytes; a picture may have up to {Largest:N0}")
            );
        var bytes = new byte[length];
        var read = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        if (read < length || stream.ReadByte() >= 0)
            throw new InvalidPictureException(
                FormattableString.Invariant(
                    $"{name} has not the {length:N0} bytes that it is said to have: it is damaged"
                )
            );
        return bytes;
    }
}
