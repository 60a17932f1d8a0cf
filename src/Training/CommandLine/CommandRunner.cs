using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using TorchBridge.Onnx.Files;
using TorchBridge.Scale.Contract;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.CommandLine;

/// <summary>Runs a command; errors that the user can fix are reported as one paragraph, without a stack
/// trace.</summary>
internal static class CommandRunner
{
    /// <summary>
    /// Checks the machine, runs the work, and converts exceptions to an exit code and a paragraph on standard error.
    /// </summary>
    /// <param name="work">The work; it returns the exit code.</param>
    /// <returns>The exit code.</returns>
    public static Task<int> Run(Func<int> work)
    {
        try
        {
            ProcessFiles.RemoveAbandoned();
            MachineCheck.Require();
            return Task.FromResult(work());
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine("Stopped.");
            return Task.FromResult(ExitCodes.Stopped);
        }
        catch (Exception error)
        {
            Console.Error.WriteLine(Paragraph(error));
            return Task.FromResult(ExitCodes.Failed);
        }
    }

    /// <summary>Describes an error in one paragraph.</summary>
    /// <param name="error">The exception.</param>
    /// <returns>What is wrong and what to do; for unexpected errors, their type and first line.</returns>
    internal static string Paragraph(Exception error)
    {
        // Wrappers around the cause: from work on several threads, and from failed type initializers.
        while (error is AggregateException or TypeInitializationException && error.InnerException is { } inner)
            error = inner;
        var line = FirstLine(error.Message);
        return error switch
        {
            UserException or ScaleException => error.Message,
            OutOfMemoryException or InsufficientMemoryException => NoMemory(line),
            // libtorch's allocator: "DefaultCPUAllocator: can't allocate memory: you tried to allocate ..."
            ExternalException when line.Contains("alloc", StringComparison.OrdinalIgnoreCase) => NoMemory(line),
            IOException or UnauthorizedAccessException =>
                $"A file or folder cannot be read or written: {line} Free disk space or fix its permissions, and "
                    + "try again.",
            DllNotFoundException or BadImageFormatException or NotSupportedException =>
                $"A native library cannot be loaded: {line}",
            ExternalException or OnnxRuntimeException => $"A native library failed: {line}",
            _ => $"This is a bug in the program; please report it: {error.GetType().Name} in "
                + $"{error.TargetSite?.DeclaringType?.Name}.{error.TargetSite?.Name}: {line}",
        };
    }

    /// <summary>What to do if memory ran out.</summary>
    /// <param name="line">Message of the library.</param>
    private static string NoMemory(string line) =>
        $"There is not enough memory: {line} Use a smaller --batch, --size or --width, or fewer pictures.";

    /// <summary>The first line of a text that is not empty.</summary>
    /// <param name="text">The text, for example a native library's message with its own stack trace.</param>
    private static string FirstLine(string text) =>
        text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).FirstOrDefault() ?? "";
}
