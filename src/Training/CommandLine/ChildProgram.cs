using System.Diagnostics;

namespace TorchBridge.Training.CommandLine;

/// <summary>Starts this program as a child process.</summary>
internal static class ChildProgram
{
    /// <summary>The start information of a child process with one thread.</summary>
    /// <param name="arguments">Arguments of the child.</param>
    public static ProcessStartInfo Start(params string[] arguments)
    {
        var program = typeof(ChildProgram).Assembly.Location;
        var start = new ProcessStartInfo(Environment.ProcessPath!);
        // The program may have been started by its own executable or by `dotnet`, or run inside a test process.
        if (Environment.ProcessPath != Path.ChangeExtension(program, OperatingSystem.IsWindows() ? ".exe" : null))
        {
            start.FileName = "dotnet";
            start.ArgumentList.Add(program);
        }

        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        // There are several processes with one thread each; with thread binding, all of them would share the first
        // core.
        start.Environment["OMP_PROC_BIND"] = "false";
        start.Environment["OMP_NUM_THREADS"] = "1";
        return start;
    }
}
