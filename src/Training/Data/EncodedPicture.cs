namespace TorchBridge.Training.Data;

/// <summary>A picture as it stands in a file.</summary>
/// <param name="Name">Path or archive entry, with forward slashes.</param>
/// <param name="Bytes">JPEG, PNG, BMP or WebP.</param>
internal sealed record EncodedPicture(string Name, byte[] Bytes);
