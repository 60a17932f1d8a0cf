// Why: most of the time for reading photos is spent on decoding, and the pixels of many photos do not fit in memory.
// So each set is decoded once, on all cores, into a file in the cache folder. Its name is a hash of everything that
// determines its pixels: the bytes of all photos in order, the size, the way of reading, and the code that decodes.
// Later runs read the photos only to hash them. Such a file is used only if every checksum in it is right; otherwise
// it is created again:
//   magic and version, count, stride, key | pixels, one picture after another | SHA-256 of each picture | SHA-256 of
//   everything except the pixels
using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;
using SkiaSharp;
using TorchBridge.Inference.Pictures;
using TorchBridge.Onnx.Files;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Data;

/// <summary>Decodes the pictures of a data set, or loads them from the cache.</summary>
/// <param name="pictures">The pictures, in the order of the set.</param>
/// <param name="height">Height in pixels at which they are read.</param>
/// <param name="width">Width in pixels at which they are read.</param>
/// <param name="reading">How they are resized and rotated; null to do as stock ML.NET does.</param>
internal sealed class DecodedPictures(
    IReadOnlyList<EncodedPicture> pictures,
    int height,
    int width,
    PictureReading? reading
)
{
    /// <summary>Largest total size of all sets in the cache folder, in bytes; a larger set is decoded to a file that
    /// is deleted with the process.</summary>
    private const long MostCached = 10L << 30;
    private const int HashBytes = SHA256.HashSizeInBytes,
        HeaderBytes = 16 + HashBytes;
    private const int ReportEvery = 100;

    private readonly int stride = 3 * height * width;
    private readonly byte[][] digests = new byte[pictures.Count][];

    /// <summary>Folder of the decoded sets.</summary>
    public CacheFolder Cache { get; init; } = new("pictures", MostCached);

    /// <summary>Size of the pixels, in bytes, up to which a set is held in memory.</summary>
    public long InMemory { get; init; } = PixelSpool.MostInMemory;

    /// <summary>Size of the pixels, in bytes, below which decoding again is as fast as caching.</summary>
    public long WorthKeeping { get; init; } = 4L << 20;

    /// <summary>The files of the pictures; known once they have been read.</summary>
    public PictureSource[] Sources { get; } = new PictureSource[pictures.Count];

    /// <summary>SHA-256 of the pixels of each picture; known once they have been loaded.</summary>
    public IReadOnlyList<byte[]> Digests => digests;

    private static ReadOnlySpan<byte> Magic => "TBPX0001"u8;

    private long PixelBytes => (long)pictures.Count * stride;

    /// <summary>Loads the pixels of all pictures.</summary>
    /// <param name="progress">Receives the number of decoded pictures and the total.</param>
    /// <exception cref="UserException">A picture cannot be read, or the disk is full.</exception>
    public PixelStore Load(Action<int, int>? progress)
    {
        ForEach(i => Sources[i] = PictureSource.Of(pictures[i].Name, pictures[i].Bytes));
        var key = Key();
        if (
            PixelBytes >= WorthKeeping
            && Cache.Find(Convert.ToHexStringLower(key)) is { } path
            && Open(path, key) is { } found
        )
            return found;
        return PixelBytes <= InMemory ? IntoMemory(key, progress) : IntoFile(key, progress);
    }

    private byte[] Key()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        // The module version id changes whenever the code changes, and only then.
        hash.AppendData(
            Encoding.UTF8.GetBytes(
                Json.Text(
                    new
                    {
                        height,
                        width,
                        reading,
                        Reader = typeof(PictureReader).Module.ModuleVersionId,
                        Decoder = typeof(SKCodec).Module.ModuleVersionId,
                    }
                )
            )
        );
        foreach (var source in Sources)
            hash.AppendData(Encoding.UTF8.GetBytes(source.Hash));
        return hash.GetHashAndReset();
    }

    private MemoryPixels IntoMemory(byte[] key, Action<int, int>? progress)
    {
        var pixels = new byte[PixelBytes];
        Decode((i, decode) => decode(pixels.AsSpan(i * stride, stride)), progress);
        if (PixelBytes < WorthKeeping)
            return new MemoryPixels(pixels, pictures.Count, stride);
        Cache.Add(Convert.ToHexStringLower(key), path => AtomicFile.Write(path, stream =>
            {
                stream.Write(Header(key));
                stream.Write(pixels);
                stream.Write(Trailer(key));
            }));
        return new MemoryPixels(pixels, pictures.Count, stride);
    }

    private FilePixels IntoFile(byte[] key, Action<int, int>? progress)
    {
        var (file, path) = NewFile();
        try
        {
            using var buffers = new ThreadLocal<byte[]>(() => new byte[stride]);
            TemporaryFolder.Guarded(() =>
            {
                RandomAccess.Write(file, Header(key), 0);
                Decode(
                    (i, decode) =>
                    {
                        decode(buffers.Value);
                        RandomAccess.Write(file, buffers.Value, HeaderBytes + ((long)i * stride));
                    },
                    progress
                );
                RandomAccess.Write(file, Trailer(key), HeaderBytes + PixelBytes);
                RandomAccess.FlushToDisk(file);
            });
            if (path is not null)
                Keep(path, key);
            return new FilePixels(file, HeaderBytes, pictures.Count, stride);
        }
        catch
        {
            file.Dispose();
            if (path is not null)
                File.Delete(path);
            throw;
        }
    }

    /// <summary>A new file in the cache folder, or, if that is too small or cannot be written, one that is deleted
    /// with the process.</summary>
    private (SafeFileHandle File, string? Path) NewFile()
    {
        if (PixelBytes > MostCached)
            return (TemporaryFolder.OpenFile(), null);
        try
        {
            Directory.CreateDirectory(Cache.Folder);
            var path = Path.Combine(Cache.Folder, $"{Guid.NewGuid():N}.tmp");
            return (
                File.OpenHandle(
                    path,
                    FileMode.CreateNew,
                    FileAccess.ReadWrite,
                    FileShare.Read | FileShare.Delete,
                    preallocationSize: HeaderBytes + PixelBytes + TrailerBytes
                ),
                path
            );
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return (TemporaryFolder.OpenFile(), null);
        }
    }

    /// <summary>Renames the file to its final name; if that fails, it is deleted while it is still open.</summary>
    private void Keep(string path, byte[] key)
    {
        Cache.Add(Convert.ToHexStringLower(key), target => AtomicFile.Rename(path, target));
        try
        {
            File.Delete(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The cache folder limits its own size.
        }
    }

    private void Decode(Action<int, PlaneDecoder> place, Action<int, int>? progress)
    {
        var done = 0;
        ForEach(i =>
        {
            var encoded = pictures[i].Bytes;
            if (PictureSource.Of(pictures[i].Name, encoded) != Sources[i])
                throw new InvalidPictureException($"{pictures[i].Name} was changed while it was being read");
            place(i, planes =>
            {
                PictureReader.Read(encoded, pictures[i].Name, width, height, planes, reading);
                digests[i] = SHA256.HashData(planes);
            });
            if (Interlocked.Increment(ref done) % ReportEvery == 0)
                progress?.Invoke(done, pictures.Count);
        });
    }

    /// <summary>Opens and verifies a cached file; null if any checksum is wrong.</summary>
    private PixelStore? Open(string path, byte[] key)
    {
        SafeFileHandle? file = null;
        try
        {
            file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            if (RandomAccess.GetLength(file) != HeaderBytes + PixelBytes + TrailerBytes)
                return null;
            var header = new byte[HeaderBytes];
            var trailer = new byte[TrailerBytes];
            FilePixels.ReadAll(file, header, 0);
            FilePixels.ReadAll(file, trailer, HeaderBytes + PixelBytes);
            for (var i = 0; i < pictures.Count; i++)
                digests[i] = trailer[(i * HashBytes)..((i + 1) * HashBytes)];
            if (!header.AsSpan().SequenceEqual(Header(key)) || !trailer.AsSpan().SequenceEqual(Trailer(key)))
                return null;
            var opened = file;
            var pixels = PixelBytes <= InMemory ? new byte[PixelBytes] : null;
            using var buffers = new ThreadLocal<byte[]>(() => new byte[stride]);
            var isDamaged = 0;
            Parallel.For(0, pictures.Count, (i, state) =>
            {
                var planes = pixels is null ? buffers.Value : pixels.AsSpan(i * stride, stride);
                FilePixels.ReadAll(opened, planes, HeaderBytes + ((long)i * stride));
                if (SHA256.HashData(planes).AsSpan().SequenceEqual(digests[i]))
                    return;
                Interlocked.Exchange(ref isDamaged, 1);
                state.Stop();
            });
            if (isDamaged != 0)
                return null;
            if (pixels is not null)
                return new MemoryPixels(pixels, pictures.Count, stride);
            file = null;
            return new FilePixels(opened, HeaderBytes, pictures.Count, stride);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or AggregateException)
        {
            return null;
        }
        finally
        {
            file?.Dispose();
        }
    }

    private long TrailerBytes => ((long)pictures.Count + 1) * HashBytes;

    private byte[] Header(byte[] key)
    {
        var header = new byte[HeaderBytes];
        Magic.CopyTo(header);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(8), pictures.Count);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(12), stride);
        key.CopyTo(header, HeaderBytes - HashBytes);
        return header;
    }

    /// <summary>The checksums of the pictures, and one over the header and these checksums.</summary>
    private byte[] Trailer(byte[] key)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Header(key));
        var trailer = new byte[TrailerBytes];
        for (var i = 0; i < digests.Length; i++)
            digests[i].CopyTo(trailer, i * HashBytes);
        hash.AppendData(trailer, 0, trailer.Length - HashBytes);
        hash.GetHashAndReset().CopyTo(trailer, trailer.Length - HashBytes);
        return trailer;
    }

    private void ForEach(Action<int> work)
    {
        try
        {
            Parallel.For(0, pictures.Count, work);
        }
        catch (AggregateException errors)
            when (errors.InnerExceptions.OfType<InvalidPictureException>().MinBy(error => error.Message) is { } error)
        {
            throw new UserException($"{error.Message}. Remove or replace it.", error);
        }
        catch (AggregateException errors)
            when (errors.InnerExceptions.FirstOrDefault(error => error is IOException or UserException) is { } error)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(error);
        }
    }

    private delegate void PlaneDecoder(Span<byte> planes);
}
