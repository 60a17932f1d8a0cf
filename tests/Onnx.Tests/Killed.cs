namespace TorchBridge.Onnx.Tests;

/// <summary>Runs the program that replaces files and kills itself before a rename.</summary>
internal static class Killed
{
    private const int SigKill = 137;
    private static readonly string Program = Path.Combine(Run.OutputOf("tests", "KilledWriter"), "KilledWriter.dll");

    /// <summary>Replaces files; true where it was killed, false where it came to its end.</summary>
    /// <param name="kind">set, model or file.</param>
    /// <param name="place">Folder or path.</param>
    /// <param name="rename">Before which rename it dies; 0 for none.</param>
    /// <param name="content">What it writes.</param>
    public static bool Before(string kind, string place, int rename, string content)
    {
        var result = Run.Program(Program, [kind, place, $"{rename}", content]);
        Assert.True(result.ExitCode is 0 or SigKill, $"{kind} {rename} ended with {result.ExitCode}: {result.Error}");
        return result.ExitCode == SigKill;
    }
}
