// CIFAR-10, Krizhevsky 2009: six binary files in a .tar.gz, each 10,000 records of one label byte and 3,072 bytes of
// pixels, planes of red, green and blue, 32 x 32. Source: https://www.cs.toronto.edu/~kriz/cifar.html
using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Training.Data;

/// <summary>The official archive of CIFAR-10: downloaded once, checked, kept in the user's cache folder.</summary>
internal sealed class Cifar10
{
    /// <summary>The archive's name in the folder.</summary>
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

    /// <summary>Where the archive is kept.</summary>
    public string Folder { get; init; } =
        Path.Combine(
            Environment.GetFolderPath(
                Environment.SpecialFolder.LocalApplicationData,
                Environment.SpecialFolderOption.DoNotVerify
            ),
            "torchbridge",
            "data"
        );

    /// <summary>Where the archive is downloaded from.</summary>
    public Uri Address { get; init; } = new("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz");

    /// <summary>SHA-256 of the archive.</summary>
    public string Checksum { get; init; } = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd";

    /// <summary>Loads it; the network is asked only where the archive is not there.</summary>
    /// <param name="seed">Decides which tenth of the training part is validation.</param>
    /// <param name="progress">Bytes so far, bytes in all (0 where the server does not say).</param>
    /// <exception cref="UserException">No network, or a wrong checksum.</exception>
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
    /// <exception cref="UserException">The checksum is another one.</exception>
    private void Check(string path)
    {
        using var stream = File.OpenRead(path);
        Check(path, SHA256.HashData(stream));
    }

    /// <summary>Refuses a wrong checksum.</summary>
    /// <param name="path">Named in the error.</param>
    /// <param name="hash">SHA-256 that was found.</param>
    /// <exception cref="UserException">It is another one.</exception>
    private void Check(string path, byte[] hash)
    {
        var found = Convert.ToHexStringLower(hash);
        if (found != Checksum)
            throw new UserException(
                $"{path} has the wrong checksum: SHA-256 is {found}, expected {Checksum}. It was damaged "
                    + "or changed: delete it, and it is downloaded again."
            );
    }

    /// <summary>Downloads into a file beside, checks it, and renames it into place.</summary>
    /// <param name="path">Where the archive is kept.</param>
    /// <param name="progress">Bytes so far, and in all.</param>
    /// <exception cref="UserException">There is no network, or no room.</exception>
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
                    + $"on a machine with a network and put it at {path}.",
                error
            );
        }
    }

    /// <summary>
    /// Reads the batches of the archive: 50,000 pictures to train on and 10,000 to test.
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
    /// <param name="files">Contents of the batches, in their order.</param>
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
