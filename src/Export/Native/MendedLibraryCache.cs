using System.Security.Cryptography;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Export.Native;

/// <summary>Caches the adapted library in a per-user folder. The file is named after the hash of the original and
/// written once, atomically.</summary>
internal static class MendedLibraryCache
{
    /// <summary>Folder of the adapted libraries: <c>~/.cache/torchbridge/native</c> on Linux.</summary>
    public static string DefaultFolder => UserCache.Folder("native");

    /// <summary>
    /// Returns the path of an adapted copy of <paramref name="library"/>, writing it if it is missing or damaged.
    /// </summary>
    /// <param name="library">The library that fails to load.</param>
    /// <param name="folder">Folder of the adapted copies; created if missing.</param>
    /// <exception cref="InvalidDataException">The library is not the one that can be adapted.</exception>
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
        // Two processes may get here at the same time; either rename gives the right file.
        AtomicFile.Write(path, stream => stream.Write(mended));
        return path;
    }

    /// <summary>Whether a cached copy is intact, byte for byte.</summary>
    private static bool IsIntact(string path, byte[] mended) =>
        File.Exists(path)
        && new FileInfo(path).Length == mended.Length
        && File.ReadAllBytes(path).AsSpan().SequenceEqual(mended);
}
