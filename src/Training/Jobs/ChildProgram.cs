using System.Diagnostics;
using TorchBridge.Scale.Work;
using TorchBridge.Training.Commands;

namespace TorchBridge.Training.Jobs;

/// <summary>This program as a child process.</summary>
internal static class ChildProgram
{
    /// <summary>The command by which a child serves items; not for people.</summary>
    public const string ServeItems = "item-serve";

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

    /// <summary>Does items in such children.</summary>
    public static ChildProcessRunner Runner() => new(() => Start(ServeItems));

    /// <summary>The child's side.</summary>
    public static void Serve()
    {
        var replies = Console.Out;
        // What the work prints is no reply.
        Console.SetOut(Console.Error);
        ItemServer.Serve(Console.In, replies, JobFolder.Open, CommandRunner.Paragraph, () =>
            Environment.Exit(ItemServer.Orphaned)
        );
    }
}
