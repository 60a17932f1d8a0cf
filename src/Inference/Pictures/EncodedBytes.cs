namespace TorchBridge.Inference.Pictures;

/// <summary>Reads complete encoded pictures up to a size limit, since a device or a stream may never end.</summary>
internal static class EncodedBytes
{
    /// <summary>Size limit of an encoded picture in bytes; a photo has about ten million.</summary>
    public const int Largest = 1 << 28;

    /// <summary>Reads a stream to its end.</summary>
    /// <param name="stream">The stream, read from its position to the end; it stays open.</param>
    /// <param name="name">Name of the picture in error messages.</param>
    /// <returns>The bytes.</returns>
    /// <exception cref="InvalidPictureException">The stream is longer than <see cref="Largest"/>.</exception>
    public static byte[] Read(Stream stream, string name)
    {
        using var memory = new MemoryStream(
            stream is { CanSeek: true, Length: var length } && length > stream.Position
                ? (int)Math.Min(length - stream.Position, Largest)
                : 0
        );
        var buffer = new byte[81920];
        while (stream.Read(buffer) is var count && count > 0)
        {
            if (memory.Length + count > Largest)
                throw new InvalidPictureException(
                    FormattableString.Invariant(
                        $"{name} has more than {Largest:N0} bytes, the limit for an encoded picture"
                    )
                );
            memory.Write(buffer, 0, count);
        }

        return memory.Length == memory.Capacity ? memory.GetBuffer() : memory.ToArray();
    }
}
