using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Publishing;

namespace TorchBridge.Scale.Tests.Work;

/// <summary>
/// Cheap items, with faults that a test can request: a file <c>faults/INDEX</c> in the job's folder names the fault.
/// <list type="bullet">
/// <item><c>item</c>, <c>half</c>, <c>temporary</c>, <c>published</c>, <c>receipt</c>: the child kills itself, once:
/// in the middle of the item, when half of its result is written, before the rename, after it, or after the rename of
/// the receipt.</item>
/// <item><c>worker</c>: the child kills its worker in the middle of the item, once; <c>uncompleted</c>: the same when
/// the receipt is published, but not yet reported.</item>
/// <item><c>meet</c>: the item opens the pipe <c>faults/INDEX.pipe</c> and continues when the other end is closed,
/// once.</item>
/// <item><c>crash</c>: the child crashes, every time. <c>error</c>: the item throws, every time.</item>
/// </list>
/// </summary>
internal sealed class FaultyWork : IWork
{
    private readonly string folder;
    private readonly int seed;

    public FaultyWork(string folder)
    {
        this.folder = folder;
        var job = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "job.json")))!;
        (Count, seed) = ((int)job["items"]!, (int)job["seed"]!);
    }

    /// <inheritdoc/>
    public int Count { get; }

    /// <summary>Creates the folder of a job.</summary>
    public static void Write(string folder, int items, int seed = 1)
    {
        Directory.CreateDirectory(Path.Combine(folder, "faults"));
        File.WriteAllText(
            Path.Combine(folder, "job.json"),
            CanonicalJson.Text(new JsonObject { ["items"] = items, ["seed"] = seed })
        );
    }

    /// <summary>Opens the folder of a job.</summary>
    public static (IWork Work, ResultFolder Results) Open(string folder) => (new FaultyWork(folder), ResultsOf(folder));

    /// <summary>The folder of a job's results.</summary>
    public static ResultFolder ResultsOf(string folder) => new(Path.Combine(folder, "results"));

    /// <summary>Requests a fault.</summary>
    public static void Ask(string folder, int index, string fault) => File.WriteAllText(FaultOf(folder, index), fault);

    /// <inheritdoc/>
    public WorkItem Item(int index) =>
        new(
            index,
            ContentHash.Id(new JsonObject { ["index"] = index, ["seed"] = seed }),
            string.Create(CultureInfo.InvariantCulture, $"item-{index:D5}")
        );

    /// <inheritdoc/>
    public ResultFacts Do(WorkItem item, Stream output, CancellationToken stop)
    {
        var fault = Take(item.Index);
        switch (fault)
        {
            case "item":
                Die(Environment.ProcessId);
                break;
            case "worker":
                Die(Worker);
                break;
            case "half":
                output.Write(Encoding.UTF8.GetBytes($"{item.Index},"));
                output.Flush();
                Die(Environment.ProcessId);
                break;
            case "temporary":
                OnceFile.BeforePublish = _ => Die(Environment.ProcessId);
                break;
            case "receipt":
                AtReceipt(Environment.ProcessId);
                break;
            case "uncompleted":
                AtReceipt(Worker);
                break;
            case "published":
                OnceFile.AfterPublish = _ => Die(Environment.ProcessId);
                break;
            case "meet":
                // Opening waits for the other end, and reading waits until it is closed: no clock and no polling is
                // needed.
                _ = File.ReadAllBytes($"{FaultOf(folder, item.Index)}.pipe");
                break;
            case "error":
                throw new InvalidOperationException("this item always fails");
        }

        output.Write(Encoding.UTF8.GetBytes($"{item.Index},{item.Id},{ContentHash.Of(item.Id)}\n"));
        return new ResultFacts(1, 0);
    }

    /// <inheritdoc/>
    public void Dispose() { }

    private static string FaultOf(string folder, int index) =>
        Path.Combine(folder, "faults", index.ToString(CultureInfo.InvariantCulture));

    private string? Take(int index)
    {
        var path = FaultOf(folder, index);
        if (!File.Exists(path))
            return null;
        var fault = File.ReadAllText(path);
        if (fault == "crash")
            Environment.FailFast(null);
        if (fault != "error")
            File.Delete(path);
        return fault;
    }

    private static int Worker =>
        int.Parse(Environment.GetEnvironmentVariable("SCALE_WORKER")!, CultureInfo.InvariantCulture);

    private static void AtReceipt(int process) =>
        OnceFile.AfterPublish = path =>
        {
            if (path.EndsWith(".receipt.json", StringComparison.Ordinal))
                Die(process);
        };

    private static void Die(int id)
    {
        using var process = Process.GetProcessById(id);
        process.Kill();
        Thread.Sleep(Timeout.Infinite); // waits for the signal, or for the end of the worker
    }
}
