using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading.Channels;
using Spectre.Console;
using TorchBridge.Scale.Contract;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Jobs;

/// <summary>Has runs done by the workers of a cluster, as the trials of a sweep.</summary>
/// <param name="folder">Folder in which the sweep's folder is created, under a unique name; all workers have access
/// to it.</param>
/// <param name="shared">The cluster.</param>
internal sealed class ClusterScheduler(string folder, SharedRun shared) : IRunScheduler
{
    /// <inheritdoc/>
    public async IAsyncEnumerable<RunResult> Run(
        IReadOnlyList<RunRequest> requests,
        [EnumeratorCancellation] CancellationToken stop
    )
    {
        if (requests.Count == 0)
            yield break;
        var job = new SweepJob(requests);
        var place = Path.Combine(folder, ContentHash.Of(Json.Text(job))[..20]);
        JobFolder.Write(place, job);
        var finished = Channel.CreateUnbounded<RunResult>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var (work, results) = JobFolder.Open(place);
        void Look()
        {
            foreach (var item in Enumerable.Range(0, work.Count).Select(work.Item))
            {
                if (!seen.Contains(item.Id) && results.Find(item) is not null && seen.Add(item.Id))
                    finished.Writer.TryWrite(
                        JsonSerializer.Deserialize<RunResult>(File.ReadAllText(results.FileOf(item)), Json.Options)!
                    );
            }
        }

        var exit = 0;
        var working = Task.Run(
            () =>
            {
                try
                {
                    exit = JobRunner.Run(AnsiConsole.Console, place, shared, stop, Look);
                    Look();
                    finished.Writer.TryComplete();
                }
                catch (Exception error)
                {
                    finished.Writer.TryComplete(error);
                }
            },
            CancellationToken.None
        );
        try
        {
            await foreach (var result in finished.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
                yield return result;
        }
        finally
        {
            await working.ConfigureAwait(false);
            work.Dispose();
        }

        if (exit != 0)
            throw new UserException("Some runs failed; see above. Finished runs are stored.");
        // The caller stores the runs one by one.
        Directory.Delete(place, recursive: true);
        if (!Directory.EnumerateFileSystemEntries(folder).Any())
            Directory.Delete(folder);
    }
}
