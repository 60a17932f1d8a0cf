namespace TorchBridge.Training.Data;

/// <summary>An encoded picture, as in a file.</summary>
/// <param name="Name">Path or archive entry, with forward slashes.</param>
/// <param name="Read">Reads its bytes (JPEG, PNG, BMP or WebP) at each call, because a folder of photos may be larger
/// than memory.</param>
internal sealed record EncodedPicture(string Name, Func<byte[]> Read)
{
    /// <summary>Creates a picture whose bytes are in memory.</summary>
    /// <param name="name">Name of the picture, for error messages.</param>
    /// <param name="bytes">Its bytes, kept in memory.</param>
    public EncodedPicture(string name, byte[] bytes)
        : this(name, () => bytes) { }

    /// <summary>Its bytes.</summary>
    public byte[] Bytes => Read();
}
