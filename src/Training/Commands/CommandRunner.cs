namespace TorchBridge.Training.Commands;

/// <summary>What the program exits with.</summary>
internal static class ExitCodes
{
    /// <summary>Something was wrong, and was said.</summary>
    public const int Failed = 1;

    /// <summary>The command line was not understood.</summary>
    public const int Usage = 2;

    /// <summary>Ctrl-C, as shells count it.</summary>
    public const int Stopped = 130;
}

/// <summary>Runs a command's work: what the user can mend is told in a paragraph, without a stack trace.</summary>
internal static class CommandRunner
{
    public static Task<int> Run(Func<int> work)
    {
        try
        {
            return Task.FromResult(work());
        }
        catch (UserException error)
        {
            Console.Error.WriteLine(error.Message);
            return Task.FromResult(ExitCodes.Failed);
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine("Stopped.");
            return Task.FromResult(ExitCodes.Stopped);
        }
    }
}
