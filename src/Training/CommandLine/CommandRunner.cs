using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using TorchBridge.Onnx.Files;
using TorchBridge.Scale.Contract;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.CommandLine;

/// <summary>Runs a command's work: what the user can mend is told in a paragraph, without a stack trace.</summary>
internal static class CommandRunner
{
    /// <summary>
    /// Looks at the machine, does the work, and turns what it throws into an exit code and a paragraph on standard
    /// error.
    /// </summary>
    /// <param name="work">The command; it gives its own exit code.</param>
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

    /// <summary>An error as one paragraph.</summary>
    /// <param name="error">What was thrown.</param>
    /// <returns>What is wrong and what to do; for errors that nobody foresaw, their kind and first line.</returns>
    internal static string Paragraph(Exception error)
    {
        // Around the cause: work on several threads, and types that could not be set up.
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
                $"A file or folder cannot be read or written: {line} Free space, or mend its permissions, and start again.",
            DllNotFoundException or BadImageFormatException or NotSupportedException =>
                $"A native library cannot be loaded: {line}",
            ExternalException or OnnxRuntimeException => $"A native library refused its work: {line}",
            _ => $"This is a fault of the program, please report it: {error.GetType().Name} in "
                + $"{error.TargetSite?.DeclaringType?.Name}.{error.TargetSite?.Name}: {line}",
        };
    }

    /// <summary>What to do where memory ran out.</summary>
    /// <param name="line">What the library said.</param>
    private static string NoMemory(string line) =>
        $"There is not enough memory: {line} Use a smaller --batch, --size or --width, or fewer pictures.";

    /// <summary>The first line of a text that says something.</summary>
    /// <param name="text">A native library's message, say, with a stack of its own.</param>
    private static string FirstLine(string text) =>
        text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).FirstOrDefault() ?? "";
}
