using System.Diagnostics;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>
/// Tries a model out in a child process: a file that crashes ONNX Runtime ends that process and not the server. The
/// process's time and memory are limited.
/// </summary>
internal sealed class ChildProcessProbe(ModelServerOptions options) : IModelProbe
{
    /// <summary>The first argument of such a process; the model's path and hash follow.</summary>
    public const string Argument = "--probe-model";

    /// <summary>Interval at which the process's time and memory are checked.</summary>
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
                : $"{source.Path} crashes the process in which it was tried out (exit code {process.ExitCode}); "
                    + "the server does not load it"
        );
    }

    /// <summary>Starts this assembly as a child process, with the same .NET runtime.</summary>
    /// <param name="source">The model to try out.</param>
    private static Process Start(ModelSource source)
    {
        var assembly = typeof(ChildProcessProbe).Assembly.Location;
        var host = Environment.ProcessPath;
        var entry = System.Reflection.Assembly.GetEntryAssembly()?.Location;
        if (assembly.Length == 0 || host is null || string.IsNullOrEmpty(entry))
            throw new ModelLoadException(
                $"{source.Path} is not a TorchBridge classifier and cannot be tried out in a separate process here (a "
                    + "single-file program has no assembly to start); the option Probe = None loads it directly"
            );
        var dotnet =
            Path.GetFileNameWithoutExtension(host) == "dotnet"
                ? host
                : Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";
        // The runtime settings and dependencies of the running program cover this library, too.
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
                $"{source.Path} cannot be tried out in a separate process: {error.Message}; "
                    + "the option Probe = None loads it directly",
                error
            );
        }
    }

    /// <summary>
    /// An option of <c>dotnet exec</c> for a file next to the running program; empty if there is no such file.
    /// </summary>
    /// <param name="option">Name of the option.</param>
    /// <param name="entry">The running program's assembly.</param>
    /// <param name="ending">Ending of the file's name, for example <c>.deps.json</c>.</param>
    private static string[] Setting(string option, string entry, string ending)
    {
        var file = Path.ChangeExtension(entry, null) + ending;
        return File.Exists(file) ? [option, file] : [];
    }

    /// <summary>Memory of a process.</summary>
    /// <param name="process">The child process.</param>
    /// <returns>Bytes in memory; 0 if the process has just ended.</returns>
    private static long Memory(Process process)
    {
        process.Refresh();
        try
        {
            return process.WorkingSet64;
        }
        catch (InvalidOperationException)
        {
            return 0;
        }
    }
}
