using System.Diagnostics;
using System.Globalization;

namespace TorchBridge.Benchmarks;

/// <summary>Runs one peer of a subject in a process of its own.</summary>
internal static class Peer
{
    /// <summary>The option that such a process is started with.</summary>
    public const string Option = "--peer";

    /// <summary>Characters of a failed peer's output that the error shows.</summary>
    private const int LastWords = 2000;

    /// <summary>Starts this program again for one figure.</summary>
    public static double Run(string name, params string[] arguments) => Numbers(name, arguments)[0];

    /// <summary>Starts this program again for several figures.</summary>
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
            var last = output[^Math.Min(output.Length, LastWords)..];
            throw new InvalidOperationException(
                $"{name} ended with {process.ExitCode}. The last of what it wrote:{Environment.NewLine}{last}"
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
