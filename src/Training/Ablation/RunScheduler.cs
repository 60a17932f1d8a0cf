using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading.Channels;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.CommandLine;

namespace TorchBridge.Training.Ablation;

/// <summary>Does independent runs: these settings in, these results back, in whatever order they finish. Several
/// machines could share them behind this seam.</summary>
internal interface IRunScheduler
{
    /// <summary>Does the runs.</summary>
    /// <exception cref="UserException">One of them failed.</exception>
    IAsyncEnumerable<RunResult> Run(IReadOnlyList<RunRequest> requests, CancellationToken stop);
}

/// <summary>One run after another, in this process.</summary>
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

/// <summary>Each run in a process of its own, several at a time.</summary>
/// <param name="parallel">How many.</param>
internal sealed class ProcessScheduler(int parallel) : IRunScheduler
{
    /// <summary>The command that a child process is started with: a request file, a result file.</summary>
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
    /// <param name="requestFile">Where the request is.</param>
    /// <param name="resultFile">Where the result goes.</param>
    /// <param name="parent">Ends where the parent's process ends, however it does: nobody would read the
    /// result.</param>
    /// <param name="stop">Ends it too.</param>
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

    /// <summary>Starts a process of this program for one run and waits for its result.</summary>
    /// <param name="request">The run.</param>
    /// <param name="folder">Where its two files go.</param>
    /// <param name="stop">Kills the process.</param>
    /// <exception cref="UserException">The process failed; its last lines are in the message.</exception>
    private static async Task<RunResult> Child(RunRequest request, string folder, CancellationToken stop)
    {
        string requestFile = Path.Combine(folder, $"{request.Key}.request.json"),
            resultFile = Path.Combine(folder, $"{request.Key}.result.json");
        await File.WriteAllTextAsync(requestFile, Json.Text(request), stop).ConfigureAwait(false);
        var start = ChildProgram.Start(Command, requestFile, resultFile);
        (start.RedirectStandardError, start.RedirectStandardOutput) = (true, true);
        // Held open, and closed by the system when this process ends.
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
        // Ctrl-C reaches the child too, and may end it before this process has heard of it.
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
