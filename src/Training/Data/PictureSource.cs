using System.Security.Cryptography;

namespace TorchBridge.Training.Data;

/// <summary>The file of a picture.</summary>
/// <param name="Name">Path or archive entry, with forward slashes.</param>
/// <param name="Length">Its length in bytes.</param>
/// <param name="Hash">SHA-256 of its bytes.</param>
internal sealed record PictureSource(string Name, long Length, string Hash)
{
    /// <summary>Describes a file.</summary>
    /// <param name="name">Path or archive entry.</param>
    /// <param name="encoded">Its bytes.</param>
    public static PictureSource Of(string name, byte[] encoded) =>
        new(name, encoded.Length, Convert.ToHexStringLower(SHA256.HashData(encoded)));
}
