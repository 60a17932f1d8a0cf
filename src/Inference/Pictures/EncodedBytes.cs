namespace TorchBridge.Inference.Pictures;

/// <summary>Reads encoded pictures whole, up to a size: a device or a stream may never end.</summary>
internal static class EncodedBytes
{
    /// <summary>Bytes of the largest encoded picture that is read; a photo has some ten million.</summary>
    public const int Largest = 1 << 28;

    /// <summary>Reads a stream to its end.</summary>
    /// <param name="stream">Read from where it stands to its end; it stays open.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <returns>The bytes.</returns>
    /// <exception cref="InvalidPictureException">It is longer than <see cref="Largest"/>.</exception>
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
                        $"{name} has more than {Largest:N0} bytes; that is as much as is read of a picture"
                    )
                );
            memory.Write(buffer, 0, count);
        }

        return memory.Length == memory.Capacity ? memory.GetBuffer() : memory.ToArray();
    }
}
