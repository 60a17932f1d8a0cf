using System.Diagnostics;

namespace TorchBridge.Training.CommandLine;

/// <summary>This program as a child process.</summary>
internal static class ChildProgram
{
    /// <summary>How a child is started, with one thread.</summary>
    /// <param name="arguments">Its command line.</param>
    public static ProcessStartInfo Start(params string[] arguments)
    {
        var program = typeof(ChildProgram).Assembly.Location;
        var start = new ProcessStartInfo(Environment.ProcessPath!);
        // The program may have been started by its own executable, by `dotnet`, or live in a test's process.
        if (Environment.ProcessPath != Path.ChangeExtension(program, OperatingSystem.IsWindows() ? ".exe" : null))
        {
            start.FileName = "dotnet";
            start.ArgumentList.Add(program);
        }

        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        // Several processes of one thread each: bound, all of them would share the first core.
        start.Environment["OMP_PROC_BIND"] = "false";
        start.Environment["OMP_NUM_THREADS"] = "1";
        return start;
    }
}
