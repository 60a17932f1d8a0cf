using System.Security.Cryptography;

namespace TorchBridge.Serving.Models;

/// <summary>Tells whether a file has changed, without reading all of it.</summary>
/// <param name="Written">When it was written.</param>
/// <param name="Length">Its bytes.</param>
/// <param name="Sample">Hash of pieces of it: a file may be replaced by one of the same length and time.</param>
internal sealed record FileStamp(DateTime Written, long Length, string Sample)
{
    private const int Pieces = 16,
        PieceBytes = 4096;

    /// <summary>
    /// Looks at a file; links are followed, also those of the folders above. Null where there is none.
    /// </summary>
    /// <param name="path">The file.</param>
    public static FileStamp? Of(string path)
    {
        try
        {
            using var handle = File.OpenHandle(
                path,
                FileMode.Open,
                FileAccess.Read,
                FileShare.ReadWrite | FileShare.Delete
            );
            var length = RandomAccess.GetLength(handle);
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            Span<byte> piece = stackalloc byte[PieceBytes];
            for (var index = 0; index < Pieces; index++)
            {
                var offset = Math.Max(0, length - PieceBytes) * index / (Pieces - 1);
                hash.AppendData(piece[..RandomAccess.Read(handle, piece, offset)]);
                if (length <= PieceBytes)
                    break;
            }

            return new FileStamp(
                File.GetLastWriteTimeUtc(handle),
                length,
                Convert.ToHexStringLower(hash.GetHashAndReset())
            );
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
