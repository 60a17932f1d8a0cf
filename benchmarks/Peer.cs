using System.Diagnostics;
using System.Globalization;

namespace TorchBridge.Benchmarks;

/// <summary>Runs one peer of a subject in a separate process.</summary>
internal static class Peer
{
    /// <summary>The option with which such a process is started.</summary>
    public const string Option = "--peer";

    /// <summary>How many characters of a failed peer's output the error message shows, from its end.</summary>
    private const int ShownOutput = 2000;

    /// <summary>Starts this program again to measure one figure.</summary>
    public static double Run(string name, params string[] arguments) => Numbers(name, arguments)[0];

    /// <summary>Starts this program again to measure several figures.</summary>
    /// <exception cref="InvalidOperationException">The process ended with an error.</exception>
    public static double[] Numbers(string name, params string[] arguments)
    {
        var host = Environment.ProcessPath!;
        var start = new ProcessStartInfo(host) { RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(host) == "dotnet")
            start.ArgumentList.Add(typeof(Peer).Assembly.Location);
        start.ArgumentList.Add(Option);
        start.ArgumentList.Add(name);
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            var last = output[^Math.Min(output.Length, ShownOutput)..];
            throw new InvalidOperationException(
                $"the process of {name} ended with exit code {process.ExitCode}. The end of its output:"
                    + $"{Environment.NewLine}{last}"
            );
        }
        return
        [
            .. output
                .Trim()
                .Split('\n')[^1]
                .Split(' ')
                .Select(number => double.Parse(number, CultureInfo.InvariantCulture)),
        ];
    }
}
