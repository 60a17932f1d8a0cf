using TorchBridge.Onnx.Files;
using TorchBridge.Scale.Contract;

namespace TorchBridge.Scale.Publishing;

/// <summary>
/// The published results of a job: one file per item, with a receipt beside it. An item may be computed twice, but
/// its result is published once: the first file stays, and a second result must have the same bytes.
/// </summary>
/// <param name="path">The folder, which all workers can read and write.</param>
internal sealed class ResultFolder(string path)
{
    private const string ReceiptEnding = ".receipt.json";

    /// <summary>The folder's path.</summary>
    public string Path => path;

    /// <summary>The path of an item's result.</summary>
    public string FileOf(WorkItem item) => System.IO.Path.Combine(path, item.File);

    /// <summary>The path of an item's receipt.</summary>
    public string ReceiptOf(WorkItem item) => FileOf(item) + ReceiptEnding;

    /// <summary>The receipt of an item that is done; null if it is not done.</summary>
    /// <exception cref="ScaleException">The receipt with this item's name belongs to another job.</exception>
    public Receipt? Find(WorkItem item)
    {
        if (Receipt.Read(ReceiptOf(item)) is not { } receipt)
            return null;
        if (receipt.Id != item.Id || receipt.File != item.File)
            throw new ScaleException(
                $"{ReceiptOf(item)} belongs to another job (its item is {receipt.Id}, expected is {item.Id}): that job had "
                    + "a different model, different pictures or different settings. Name another folder, or remove the "
                    + "old results."
            );
        return new FileInfo(FileOf(item)) is { Exists: true } file && file.Length == receipt.Bytes ? receipt : null;
    }

    /// <summary>Processes an item and publishes its result, unless it is already done.</summary>
    /// <returns>The receipt, new or existing.</returns>
    /// <exception cref="ScaleException">There is already a result, with other bytes than the new one.</exception>
    public Receipt DoOnce(IWork work, WorkItem item, CancellationToken stop)
    {
        if (Find(item) is { } done)
            return done;
        Directory.CreateDirectory(path);
        var facts = new ResultFacts(0, 0);
        var digest = "";
        long length = 0;
        var isFirst = OnceFile.Write(FileOf(item), stream =>
        {
            using var hashed = new HashingStream(stream);
            facts = work.Do(item, hashed, stop);
            stop.ThrowIfCancellationRequested();
            (digest, length) = hashed.Finish();
        });
        if (!isFirst && ContentHash.OfFile(FileOf(item)) is var before && before != digest)
            throw new ScaleException(
                $"{FileOf(item)} already exists with other bytes (SHA-256 {before[..12]}…; the new result has "
                    + $"{digest[..12]}…). Two runs of one item must give the same bytes. The existing file was not changed; "
                    + "delete it to have the item processed again."
            );
        var receipt = new Receipt(item.Index, item.Id, item.File, digest, length, facts.Rows, facts.Errors);
        OnceFile.Write(ReceiptOf(item), stream => stream.Write(receipt.ToBytes()));
        work.Forget(item);
        return receipt;
    }

    /// <summary>Removes temporary files that dead processes left behind.</summary>
    public void RemoveLeftovers()
    {
        if (Directory.Exists(path))
            AtomicFile.RemoveLeftovers(path);
    }

    /// <summary>Checks that every item is done exactly once, that its file has the digest in its receipt, and that
    /// the folder contains no results that belong to no item.</summary>
    /// <param name="work">The job.</param>
    /// <param name="check">Checks the content of a result whose digest is right; returns what is wrong with it, or
    /// null.</param>
    public VerificationResult Verify(IWork work, Func<WorkItem, string, Receipt, string?>? check = null)
    {
        var problems = new List<string>();
        var (done, rows, errors) = (0, 0L, 0L);
        var expected = new HashSet<string>(StringComparer.Ordinal);
        for (var index = 0; index < work.Count; index++)
        {
            var item = work.Item(index);
            if (!expected.Add(item.File))
            {
                problems.Add($"item {index} has the same result file as another item, {item.File}");
                continue;
            }

            if (Problem(item, check) is { } problem)
            {
                problems.Add($"item {index} ({item.File}): {problem}");
                continue;
            }

            var receipt = Find(item)!;
            done++;
            rows += receipt.Rows;
            errors += receipt.Errors;
        }

        foreach (var name in Others(expected))
            problems.Add($"{name} is not the result of any item of this job");
        return new VerificationResult(work.Count, done, rows, errors, problems);
    }

    private string? Problem(WorkItem item, Func<WorkItem, string, Receipt, string?>? check)
    {
        try
        {
            if (Find(item) is not { } receipt)
                return File.Exists(FileOf(item)) ? "its receipt is missing: it is not done" : "not done";
            if (receipt.Index != item.Index)
                return $"its receipt is for item {receipt.Index}";
            return ContentHash.OfFile(FileOf(item)) != receipt.Sha256
                ? "its file has another digest than its receipt says: the file was changed after it was published"
                : check?.Invoke(item, FileOf(item), receipt);
        }
        catch (Exception error) when (error is ScaleException or IOException or UnauthorizedAccessException)
        {
            return error.Message;
        }
    }

    private IEnumerable<string> Others(HashSet<string> expected) =>
        !Directory.Exists(path)
            ? []
            : Directory
                .EnumerateFiles(path)
                .Select(file => System.IO.Path.GetFileName(file)!)
                .Where(name =>
                    !name.EndsWith(".tmp", StringComparison.Ordinal)
                    && !expected.Contains(
                        name.EndsWith(ReceiptEnding, StringComparison.Ordinal) ? name[..^ReceiptEnding.Length] : name
                    )
                )
                .Order(StringComparer.Ordinal);
}

/// <summary>The outcome of a check of all results.</summary>
/// <param name="Items">Number of items of the job.</param>
/// <param name="Done">Number of items that are done and whose results are intact.</param>
/// <param name="Rows">Number of rows in those results.</param>
/// <param name="Errors">Number of rows that contain an error.</param>
/// <param name="Problems">What is missing, duplicated or damaged; empty if nothing is.</param>
internal sealed record VerificationResult(int Items, int Done, long Rows, long Errors, IReadOnlyList<string> Problems);
