using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading.Channels;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.CommandLine;

namespace TorchBridge.Training.Ablation;

/// <summary>Does independent runs and returns their results in the order in which they finish. An implementation may
/// distribute them over several machines.</summary>
internal interface IRunScheduler
{
    /// <summary>Does the runs.</summary>
    /// <exception cref="UserException">A run failed.</exception>
    IAsyncEnumerable<RunResult> Run(IReadOnlyList<RunRequest> requests, CancellationToken stop);
}

/// <summary>Does one run after another in this process.</summary>
internal sealed class InProcessScheduler : IRunScheduler
{
    /// <inheritdoc/>
    public async IAsyncEnumerable<RunResult> Run(
        IReadOnlyList<RunRequest> requests,
        [EnumeratorCancellation] CancellationToken stop
    )
    {
        foreach (var request in requests)
            yield return await Task.Run(() => AblationRun.Do(request, stop), stop).ConfigureAwait(false);
    }
}

/// <summary>Does each run in a separate process, several at a time.</summary>
/// <param name="parallel">Number of concurrent processes.</param>
internal sealed class ProcessScheduler(int parallel) : IRunScheduler
{
    /// <summary>The internal command of a child process, with a request file and a result file.</summary>
    public const string Command = "ablate-run";

    /// <inheritdoc/>
    public async IAsyncEnumerable<RunResult> Run(
        IReadOnlyList<RunRequest> requests,
        [EnumeratorCancellation] CancellationToken stop
    )
    {
        var results = Channel.CreateUnbounded<RunResult>();
        var folder = TemporaryFolder.Create("ablate").FullName;
        using var abandon = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var work = Parallel.ForEachAsync(
            requests,
            new ParallelOptions { MaxDegreeOfParallelism = parallel, CancellationToken = abandon.Token },
            async (request, token) => results.Writer.TryWrite(await Child(request, folder, token).ConfigureAwait(false))
        );
        _ = work.ContinueWith(
            done =>
                results.Writer.TryComplete(
                    done.IsCanceled ? new OperationCanceledException() : done.Exception?.InnerException
                ),
            CancellationToken.None,
            TaskContinuationOptions.None,
            TaskScheduler.Default
        );
        try
        {
            await foreach (var result in results.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
                yield return result;
        }
        finally
        {
            await abandon.CancelAsync().ConfigureAwait(false);
            await work.ContinueWith(
                    _ => { },
                    CancellationToken.None,
                    TaskContinuationOptions.None,
                    TaskScheduler.Default
                )
                .ConfigureAwait(false);
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>The child: reads the request, does it, writes the result.</summary>
    /// <param name="requestFile">Path of the request.</param>
    /// <param name="resultFile">Path of the result.</param>
    /// <param name="parent">A stream that ends when the parent process ends, however that happens, so that the child
    /// does not outlive it.</param>
    /// <param name="stop">Cancels the run.</param>
    public static void Serve(string requestFile, string resultFile, Stream parent, CancellationToken stop)
    {
        using var alone = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var watch = new Thread(() =>
        {
            while (parent.ReadByte() >= 0) { }
            try
            {
                alone.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // The run is over.
            }
        })
        {
            IsBackground = true,
        };
        watch.Start();
        var request = JsonSerializer.Deserialize<RunRequest>(File.ReadAllText(requestFile), Json.Options)!;
        AtomicWrite.Text(resultFile, Json.Text(AblationRun.Do(request, alone.Token)));
    }

    /// <summary>Starts this program as a child process for one run and waits for its result.</summary>
    /// <param name="request">The run.</param>
    /// <param name="folder">Folder for its two files.</param>
    /// <param name="stop">Kills the process.</param>
    /// <exception cref="UserException">The process failed; its last lines are in the message.</exception>
    private static async Task<RunResult> Child(RunRequest request, string folder, CancellationToken stop)
    {
        string requestFile = Path.Combine(folder, $"{request.Key}.request.json"),
            resultFile = Path.Combine(folder, $"{request.Key}.result.json");
        await File.WriteAllTextAsync(requestFile, Json.Text(request), stop).ConfigureAwait(false);
        var start = ChildProgram.Start(Command, requestFile, resultFile);
        (start.RedirectStandardError, start.RedirectStandardOutput) = (true, true);
        // Kept open, and closed by the operating system when this process ends.
        start.RedirectStandardInput = true;
        using var process = Process.Start(start) ?? throw new UserException($"{start.FileName} could not be started");
        var (output, errors) = (
            process.StandardOutput.ReadToEndAsync(CancellationToken.None),
            process.StandardError.ReadToEndAsync(CancellationToken.None)
        );
        try
        {
            await process.WaitForExitAsync(stop).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            throw;
        }

        await output.ConfigureAwait(false);
        // Ctrl-C reaches the child too, and may end it before this process handles it.
        if (process.ExitCode == ExitCodes.Stopped)
            throw new OperationCanceledException();
        if (process.ExitCode != 0)
            throw new UserException(
                $"a run (seed {request.Seed}, {request.Configuration.About}) failed with exit code "
                    + $"{process.ExitCode}: {(await errors.ConfigureAwait(false)).Trim()}"
            );
        return JsonSerializer.Deserialize<RunResult>(
            await File.ReadAllTextAsync(resultFile, stop).ConfigureAwait(false),
            Json.Options
        )!;
    }
}
