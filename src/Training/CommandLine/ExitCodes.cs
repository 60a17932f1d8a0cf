namespace TorchBridge.Training.CommandLine;

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
