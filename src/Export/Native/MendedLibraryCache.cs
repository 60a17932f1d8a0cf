using System.Security.Cryptography;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Export.Native;

/// <summary>Keeps the mended library in a per-user folder, named by the content it was made from, written once and
/// atomically.</summary>
internal static class MendedLibraryCache
{
    /// <summary>Where mended libraries are kept: <c>~/.cache/torchbridge/native</c> on Linux.</summary>
    public static string DefaultFolder => UserCache.Folder("native");

    /// <summary>
    /// Returns the path of a mended copy of <paramref name="library"/>, writing it if it is not there, or is not what
    /// it should be.
    /// </summary>
    /// <param name="library">The library that does not load.</param>
    /// <param name="folder">Where mended copies are kept; made where it is not there.</param>
    /// <exception cref="InvalidDataException">The library is not the one that can be mended.</exception>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    public static string GetOrAdd(string library, string folder)
    {
        var original = File.ReadAllBytes(library);
        var mended = ElfMender.Mend(original);
        var name = $"libLibTorchSharp-{Convert.ToHexStringLower(SHA256.HashData(original))[..16]}.so";
        var path = Path.Combine(folder, name);
        if (IsIntact(path, mended))
            return path;

        Directory.CreateDirectory(folder);
        // Two processes may be here at once, and the rename of either is right.
        AtomicFile.Write(path, stream => stream.Write(mended));
        return path;
    }

    /// <summary>Whether a cached copy is what it should be, byte by byte.</summary>
    private static bool IsIntact(string path, byte[] mended) =>
        File.Exists(path)
        && new FileInfo(path).Length == mended.Length
        && File.ReadAllBytes(path).AsSpan().SequenceEqual(mended);
}
