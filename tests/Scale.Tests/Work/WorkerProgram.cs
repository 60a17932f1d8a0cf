using System.Diagnostics;
using System.Globalization;
using TorchBridge.Scale.Tests.Cluster;
using TorchBridge.Testing;

namespace TorchBridge.Scale.Tests.Work;

/// <summary>A worker or a coordinator in a separate process.</summary>
internal sealed class WorkerProgram : IDisposable
{
    private static readonly string Dll = Path.Combine(Run.OutputOf("tests", "ScaleWorker"), "ScaleWorker.dll");
    private readonly Process process;
    private readonly Task<string> errors;

    private WorkerProgram(string[] arguments, IReadOnlyList<string>? before = null)
    {
        string[] words = [.. before ?? [], "dotnet", Dll, .. arguments];
        process = Process.Start(
            new ProcessStartInfo(words[0], words[1..])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            }
        )!;
        errors = process.StandardError.ReadToEndAsync();
    }

    /// <summary>Whether the process has ended.</summary>
    public bool HasExited => process.HasExited;

    /// <summary>Starts a worker, and waits until it is connected.</summary>
    /// <param name="cluster">The value of <c>--cluster</c>.</param>
    /// <param name="name">The worker's name.</param>
    /// <param name="slots">Number of items that it processes at the same time.</param>
    /// <param name="machine">The simulated machine on which it runs; null for this machine.</param>
    public static async Task<WorkerProgram> Worker(
        string cluster,
        string name = "w",
        int slots = 1,
        Machine? machine = null
    )
    {
        var worker = new WorkerProgram(
            ["worker", cluster, name, slots.ToString(CultureInfo.InvariantCulture)],
            machine?.Prefix
        );
        await worker.Until("ready");
        return worker;
    }

    /// <summary>Starts a coordinator, and waits until it answers.</summary>
    public static async Task<WorkerProgram> Coordinator(string cluster, int gateway, int silo)
    {
        var coordinator = new WorkerProgram([
            "coordinator",
            cluster,
            gateway.ToString(CultureInfo.InvariantCulture),
            silo.ToString(CultureInfo.InvariantCulture),
        ]);
        await coordinator.Until("ready");
        return coordinator;
    }

    /// <summary>Waits for an output line that contains a text.</summary>
    public async Task<string> Until(string text)
    {
        while (await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
        {
            if (line.Contains(text, StringComparison.Ordinal))
                return line;
        }

        throw new InvalidOperationException($"the program ended before it said '{text}': {await errors}");
    }

    /// <summary>Waits until the process has ended.</summary>
    public Task Exit() => process.WaitForExitAsync(TestContext.Current.CancellationToken);

    /// <summary>Kills the process (SIGKILL).</summary>
    public void Kill()
    {
        process.Kill();
        process.WaitForExit();
    }

    /// <summary>Suspends the process (SIGSTOP), or continues it (SIGCONT).</summary>
    public void Signal(string name) =>
        Assert.Equal(0, Run.Command("kill", [$"-{name}", process.Id.ToString(CultureInfo.InvariantCulture)]).ExitCode);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!process.HasExited)
            process.Kill(entireProcessTree: true);
        process.Dispose();
    }
}
