using TorchBridge.Onnx.Files;
using TorchBridge.Scale.Contract;

namespace TorchBridge.Scale.Publishing;

/// <summary>
/// The published results of a job: a file an item, and a receipt beside it. Work may be done twice, results are
/// published once: the first file stands, and a second one must have its bytes.
/// </summary>
/// <param name="path">The folder; all workers see it.</param>
internal sealed class ResultFolder(string path)
{
    private const string ReceiptEnding = ".receipt.json";

    /// <summary>Its path.</summary>
    public string Path => path;

    /// <summary>The path of an item's result.</summary>
    public string FileOf(WorkItem item) => System.IO.Path.Combine(path, item.File);

    /// <summary>The path of an item's receipt.</summary>
    public string ReceiptOf(WorkItem item) => FileOf(item) + ReceiptEnding;

    /// <summary>The receipt of an item that is done; null where it is not.</summary>
    /// <exception cref="ScaleException">The item's place holds another job's result.</exception>
    public Receipt? Find(WorkItem item)
    {
        if (Receipt.Read(ReceiptOf(item)) is not { } receipt)
            return null;
        if (receipt.Id != item.Id || receipt.File != item.File)
            throw new ScaleException(
                $"{ReceiptOf(item)} belongs to another job (item {receipt.Id}, and this is {item.Id}): the model, the "
                    + "pictures or the settings were others. Name another folder, or remove the old results."
            );
        return new FileInfo(FileOf(item)) is { Exists: true } file && file.Length == receipt.Bytes ? receipt : null;
    }

    /// <summary>Does an item that is not done, and publishes its result.</summary>
    /// <returns>The receipt, of now or of before.</returns>
    /// <exception cref="ScaleException">There is a result already, and this one has other bytes.</exception>
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
                $"{FileOf(item)} is there with other bytes ({before[..12]}…, and these are {digest[..12]}…): two runs of one "
                    + "item must agree. The file that is there was not touched; remove it to have the item done anew."
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

    /// <summary>Looks at every item: whether it is done, exactly once, and whether its file has the digest that its
    /// receipt says; and whether the folder holds results that are no item's.</summary>
    /// <param name="work">The job.</param>
    /// <param name="check">Looks into a result whose digest is right; gives what is wrong with it, or null.</param>
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
                problems.Add($"item {index} has the result file of another item, {item.File}");
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
            problems.Add($"{name} is the result of no item of this job");
        return new VerificationResult(work.Count, done, rows, errors, problems);
    }

    private string? Problem(WorkItem item, Func<WorkItem, string, Receipt, string?>? check)
    {
        try
        {
            if (Find(item) is not { } receipt)
                return File.Exists(FileOf(item)) ? "its receipt is missing: it is not done" : "not done";
            if (receipt.Index != item.Index)
                return $"its receipt says item {receipt.Index}";
            return ContentHash.OfFile(FileOf(item)) != receipt.Sha256
                ? "its file has another digest than its receipt: it was changed after it was published"
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

/// <summary>What a look at all results found.</summary>
/// <param name="Items">Items of the job.</param>
/// <param name="Done">Items that are done and whole.</param>
/// <param name="Rows">Rows of those.</param>
/// <param name="Errors">Rows that hold an error.</param>
/// <param name="Problems">What is missing, doubled or damaged; empty where all is well.</param>
internal sealed record VerificationResult(int Items, int Done, long Rows, long Errors, IReadOnlyList<string> Problems);
