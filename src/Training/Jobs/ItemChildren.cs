using TorchBridge.Scale.Work;
using TorchBridge.Training.CommandLine;

namespace TorchBridge.Training.Jobs;

/// <summary>Items that are done by this program as a child process: both sides of it.</summary>
internal static class ItemChildren
{
    /// <summary>The command by which a child serves items; not for people.</summary>
    public const string ServeItems = "item-serve";

    /// <summary>Does items in children of this program.</summary>
    public static ChildProcessRunner Runner() => new(() => ChildProgram.Start(ServeItems));

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
