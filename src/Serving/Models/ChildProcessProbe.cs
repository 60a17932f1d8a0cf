using System.Diagnostics;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>
/// Loads a model in a child process first: a file that crashes the runtime ends that process, and not the server.
/// Time and memory of it are bounded.
/// </summary>
internal sealed class ChildProcessProbe(ModelServerOptions options) : IModelProbe
{
    /// <summary>The argument that such a process is started with; the file's path and hash follow.</summary>
    public const string Argument = "--probe-model";

    /// <summary>How often time and memory of the process are looked at.</summary>
    private const int LookMilliseconds = 20;

    /// <inheritdoc/>
    public void Try(ModelSource source)
    {
        using var process = Start(source);
        var error = process.StandardError.ReadToEndAsync();
        _ = process.StandardOutput.ReadToEndAsync();
        var started = Stopwatch.StartNew();
        while (!process.WaitForExit(LookMilliseconds))
        {
            var reason =
                started.ElapsedMilliseconds > options.ProbeMilliseconds
                    ? $"takes longer than {options.ProbeMilliseconds} ms to load and run"
                : Memory(process) > options.ProbeBytes
                    ? $"takes more than {options.ProbeBytes} bytes of memory to load and run"
                : null;
            if (reason is null)
                continue;
            process.Kill();
            process.WaitForExit();
            throw new ModelLoadException($"{source.Path} {reason}");
        }

        process.WaitForExit();
        if (process.ExitCode == 0)
            return;
        var said = error.Result.Trim();
        throw new ModelLoadException(
            process.ExitCode == ModelProbeProgram.Refused && said.Length > 0
                ? said
                : $"{source.Path} crashes the process that loads it (exit code {process.ExitCode}); it is not loaded here"
        );
    }

    /// <summary>Starts this assembly's probe under the same runtime.</summary>
    /// <param name="source">The model that is tried.</param>
    private static Process Start(ModelSource source)
    {
        var assembly = typeof(ChildProcessProbe).Assembly.Location;
        var host = Environment.ProcessPath;
        var entry = System.Reflection.Assembly.GetEntryAssembly()?.Location;
        if (assembly.Length == 0 || host is null || string.IsNullOrEmpty(entry))
            throw new ModelLoadException(
                $"{source.Path} is foreign and cannot be tried in a process of its own here (a "
                    + "single-file program has no assembly to start); the option Probe = None loads it at once"
            );
        var dotnet =
            Path.GetFileNameWithoutExtension(host) == "dotnet"
                ? host
                : Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";
        // The entry program's settings and list of libraries fit this library: it is one of them.
        string[] settings =
        [
            .. Setting("--runtimeconfig", entry, ".runtimeconfig.json"),
            .. Setting("--depsfile", entry, ".deps.json"),
        ];
        var start = new ProcessStartInfo(dotnet, ["exec", .. settings, assembly, Argument, source.Path, source.Digest])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        };
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception error)
        {
            throw new ModelLoadException(
                $"{source.Path} is foreign and cannot be tried in a process of its own: {error.Message}; "
                    + "the option Probe = None loads it at once",
                error
            );
        }
    }

    /// <summary>
    /// An option of the host for a file beside the entry program; none where the file is not there.
    /// </summary>
    /// <param name="option">Name of an option of <c>dotnet exec</c>.</param>
    /// <param name="entry">The program's assembly.</param>
    /// <param name="ending">Of the file beside it: <c>.deps.json</c>.</param>
    private static string[] Setting(string option, string entry, string ending)
    {
        var file = Path.ChangeExtension(entry, null) + ending;
        return File.Exists(file) ? [option, file] : [];
    }

    /// <summary>Bytes that a process has in memory; 0 where it has just ended.</summary>
    /// <param name="process">The child.</param>
    /// <returns>Bytes; 0 where it has ended meanwhile.</returns>
    private static long Memory(Process process)
    {
        process.Refresh();
        try
        {
            return process.WorkingSet64;
        }
        catch (InvalidOperationException)
        {
            return 0; // it has just ended
        }
    }
}
