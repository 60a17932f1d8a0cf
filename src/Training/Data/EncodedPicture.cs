namespace TorchBridge.Training.Data;

/// <summary>A picture as it stands in a file.</summary>
/// <param name="Name">Path or archive entry, with forward slashes.</param>
/// <param name="Read">Gives its bytes (JPEG, PNG, BMP or WebP), anew each time: a folder of photos is larger than
/// memory.</param>
internal sealed record EncodedPicture(string Name, Func<byte[]> Read)
{
    /// <summary>A picture whose bytes are in memory.</summary>
    /// <param name="name">What to call it in an error.</param>
    /// <param name="bytes">Its bytes, kept in memory.</param>
    public EncodedPicture(string name, byte[] bytes)
        : this(name, () => bytes) { }

    /// <summary>Its bytes.</summary>
    public byte[] Bytes => Read();
}
