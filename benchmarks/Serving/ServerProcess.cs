using System.Diagnostics;

namespace TorchBridge.Benchmarks.Serving;

/// <summary>A server in a separate process, which is ended by <see cref="Dispose"/>.</summary>
internal sealed class ServerProcess : IDisposable
{
    private readonly Process process;

    private ServerProcess(Process process, string address)
    {
        this.process = process;
        Address = address;
    }

    /// <summary>The address on which the server listens.</summary>
    public string Address { get; }

    /// <summary>Starts a server, and waits until it has printed its address and is ready.</summary>
    /// <param name="program">The program to start.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="before">The text that the server prints before the address.</param>
    /// <param name="ready">The text that the server prints when it is ready.</param>
    /// <exception cref="InvalidOperationException">The server ended before it was ready.</exception>
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
            // Reading must go on; otherwise the server would block when the pipe is full.
            _ = Task.Run(process.StandardOutput.ReadToEnd);
            return new ServerProcess(process, $"{address}/");
        }

        throw new InvalidOperationException(
            $"{program} {string.Join(' ', arguments)} ended before it was ready, with exit code {process.ExitCode}"
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
