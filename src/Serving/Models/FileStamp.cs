using System.Security.Cryptography;

namespace TorchBridge.Serving.Models;

/// <summary>
/// Time, length and a sample of a file's content, which show whether the file has changed without reading all of it.
/// </summary>
/// <param name="Written">Time of the last write, UTC.</param>
/// <param name="Length">Length in bytes.</param>
/// <param name="Sample">Hash of some pieces of the file, since a file may be replaced by one of equal length and
/// time.</param>
internal sealed record FileStamp(DateTime Written, long Length, string Sample)
{
    private const int Pieces = 16,
        PieceBytes = 4096;

    /// <summary>The stamp of a file, following links; null if the file cannot be read.</summary>
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
