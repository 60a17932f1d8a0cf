using TorchBridge.Scale.Work;
using TorchBridge.Training.CommandLine;

namespace TorchBridge.Training.Jobs;

/// <summary>Runs items in child processes of this program: both the parent's and the child's side.</summary>
internal static class ItemChildren
{
    /// <summary>The internal command of a child process.</summary>
    public const string ServeItems = "item-serve";

    /// <summary>Creates a runner that does items in child processes of this program.</summary>
    public static ChildProcessRunner Runner() => new(() => ChildProgram.Start(ServeItems));

    /// <summary>Runs the child's side.</summary>
    public static void Serve()
    {
        var replies = Console.Out;
        // Output of the work must not be mistaken for a reply.
        Console.SetOut(Console.Error);
        ItemServer.Serve(Console.In, replies, JobFolder.Open, CommandRunner.Paragraph, () =>
            Environment.Exit(ItemServer.Orphaned)
        );
    }
}
