// CIFAR-10, Krizhevsky 2009: six binary files in a .tar.gz, each 10,000 records of one label byte and 3,072 bytes of
// pixels, planes of red, green and blue, 32 x 32. Source: https://www.cs.toronto.edu/~kriz/cifar.html
using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Training.Data;

/// <summary>The official archive of CIFAR-10: downloaded once, verified, and kept in the user's cache
/// folder.</summary>
internal sealed class Cifar10
{
    /// <summary>File name of the archive.</summary>
    public const string FileName = "cifar-10-binary.tar.gz";
    private const int RecordSize = 1 + (3 * 32 * 32);
    private static readonly IReadOnlyList<string> ClassNames =
    [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ];

    /// <summary>Folder in which the archive is kept.</summary>
    public string Folder { get; init; } =
        Path.Combine(
            Environment.GetFolderPath(
                Environment.SpecialFolder.LocalApplicationData,
                Environment.SpecialFolderOption.DoNotVerify
            ),
            "torchbridge",
            "data"
        );

    /// <summary>Download address of the archive.</summary>
    public Uri Address { get; init; } = new("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz");

    /// <summary>SHA-256 of the archive.</summary>
    public string Checksum { get; init; } = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd";

    /// <summary>Loads the data; the archive is downloaded only if it is missing.</summary>
    /// <param name="seed">Seed for choosing the tenth of the training part that becomes validation.</param>
    /// <param name="progress">Receives the bytes so far and the total (0 if unknown).</param>
    /// <exception cref="UserException">The download failed, or the checksum is wrong.</exception>
    public PictureData Load(int seed, Action<long, long>? progress = null)
    {
        var path = Path.Combine(Folder, FileName);
        if (!File.Exists(path))
            Download(path, progress);
        Check(path);
        var (training, test) = Read(path);
        var order = new Draw(seed, 7).Permutation(training.Count);
        var tenth = training.Count / 10;
        return new PictureData(
            "CIFAR-10",
            ClassNames,
            training.Select([.. order.Skip(tenth).Order()]),
            training.Select([.. order.Take(tenth).Order()]),
            test
        );
    }

    /// <summary>Refuses an archive that is not the official one.</summary>
    /// <param name="path">The archive.</param>
    /// <exception cref="UserException">The checksum is wrong.</exception>
    private void Check(string path)
    {
        using var stream = File.OpenRead(path);
        Check(path, SHA256.HashData(stream));
    }

    /// <summary>Refuses a wrong checksum.</summary>
    /// <param name="path">Path for the error message.</param>
    /// <param name="hash">The actual SHA-256.</param>
    /// <exception cref="UserException">The checksum is wrong.</exception>
    private void Check(string path, byte[] hash)
    {
        var found = Convert.ToHexStringLower(hash);
        if (found != Checksum)
            throw new UserException(
                $"{path} has the wrong checksum: SHA-256 is {found}, expected {Checksum}. The file is damaged "
                    + "or modified. Delete it, and it will be downloaded again."
            );
    }

    /// <summary>Downloads to a temporary file, verifies it, and renames it.</summary>
    /// <param name="path">Final path of the archive.</param>
    /// <param name="progress">Receives the bytes so far and the total.</param>
    /// <exception cref="UserException">The download failed, or the disk is full.</exception>
    private void Download(string path, Action<long, long>? progress)
    {
        try
        {
            Directory.CreateDirectory(Folder);
            using var client = new HttpClient();
            using var response = client.Send(
                new HttpRequestMessage(HttpMethod.Get, Address),
                HttpCompletionOption.ResponseHeadersRead
            );
            response.EnsureSuccessStatusCode();
            AtomicFile.Write(path, to =>
            {
                using var from = response.Content.ReadAsStream();
                using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
                var buffer = new byte[1 << 16];
                long done = 0;
                for (int read; (read = from.Read(buffer)) > 0; )
                {
                    to.Write(buffer.AsSpan(0, read));
                    hash.AppendData(buffer.AsSpan(0, read));
                    progress?.Invoke(done += read, response.Content.Headers.ContentLength ?? 0);
                }

                Check(Address.ToString(), hash.GetHashAndReset());
            });
        }
        catch (Exception error)
            when (error is HttpRequestException or IOException or UnauthorizedAccessException or TaskCanceledException)
        {
            throw new UserException(
                $"CIFAR-10 could not be downloaded from {Address} ({error.Message}). Download {FileName} "
                    + $"on a machine with network access and copy it to {path}.",
                error
            );
        }
    }

    /// <summary>
    /// Reads the batches of the archive: 50,000 pictures for training and 10,000 for testing.
    /// </summary>
    /// <param name="path">The archive.</param>
    private static (PictureSet Training, PictureSet Test) Read(string path)
    {
        using var stream = new GZipStream(File.OpenRead(path), CompressionMode.Decompress);
        using var archive = new TarReader(stream);
        var files = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        while (TarEntries.Next(archive) is { } entry)
        {
            if (!entry.Name.EndsWith(".bin", StringComparison.Ordinal) || entry.DataStream is null)
                continue;
            using var memory = new MemoryStream();
            entry.DataStream.CopyTo(memory);
            files.Add(Path.GetFileName(entry.Name), memory.ToArray());
        }

        if (!files.TryGetValue("test_batch.bin", out var test) || files.Count < 2)
            throw new UserException(
                $"{path} is not the CIFAR-10 binary archive: it has no test_batch.bin and data_batch files."
            );
        return (
            Parse([
                .. files
                    .Where(file => file.Key.StartsWith("data_batch", StringComparison.Ordinal))
                    .Select(file => file.Value),
            ]),
            Parse([test])
        );
    }

    /// <summary>Reads records of one byte of label and 3,072 bytes of pixels.</summary>
    /// <param name="files">Contents of the batch files, in order.</param>
    private static PictureSet Parse(byte[][] files)
    {
        var count = files.Sum(file => file.Length / RecordSize);
        var set = new PictureSet(new byte[count * (RecordSize - 1)], new int[count], 32, 32);
        var index = 0;
        foreach (var file in files)
        {
            for (var at = 0; at + RecordSize <= file.Length; at += RecordSize, index++)
            {
                set.Labels[index] = file[at];
                file.AsSpan(at + 1, RecordSize - 1).CopyTo(set.Pixels.AsSpan(index * set.Stride));
            }
        }

        return set;
    }
}
