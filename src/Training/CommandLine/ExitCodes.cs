namespace TorchBridge.Training.CommandLine;

/// <summary>Exit codes of the program.</summary>
internal static class ExitCodes
{
    /// <summary>An error, which has been reported.</summary>
    public const int Failed = 1;

    /// <summary>The command line is not valid.</summary>
    public const int Usage = 2;

    /// <summary>Stopped by Ctrl-C; the value that shells use.</summary>
    public const int Stopped = 130;
}
