using System.Diagnostics;

namespace TorchBridge.Benchmarks.Serving;

/// <summary>A server in a process of its own, from when it listens until it is disposed of.</summary>
internal sealed class ServerProcess : IDisposable
{
    private readonly Process process;

    private ServerProcess(Process process, string address)
    {
        this.process = process;
        Address = address;
    }

    /// <summary>Where it listens.</summary>
    public string Address { get; }

    /// <summary>Starts a server and waits until it has said where it listens, and that it is ready.</summary>
    /// <param name="program">The program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="before">What stands before the address.</param>
    /// <param name="ready">What it says last.</param>
    public static ServerProcess Start(string program, string[] arguments, string before, string ready)
    {
        var process = Process.Start(
            new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardInput = true }
        )!;
        var address = "";
        while (process.StandardOutput.ReadLine() is { } line)
        {
            if (line.IndexOf(before, StringComparison.Ordinal) is >= 0 and var at)
                address = line[(at + before.Length)..].Split(' ')[0].TrimEnd('/');
            if (!line.Contains(ready, StringComparison.Ordinal))
                continue;
            // Read on, or the server waits for room in the pipe.
            _ = Task.Run(process.StandardOutput.ReadToEnd);
            return new ServerProcess(process, $"{address}/");
        }

        throw new InvalidOperationException(
            $"{program} {string.Join(' ', arguments)} has ended with {process.ExitCode}"
        );
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        process.Kill();
        process.WaitForExit();
        process.Dispose();
    }
}
