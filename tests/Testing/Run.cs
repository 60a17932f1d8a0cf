using System.Diagnostics;

namespace TorchBridge.Testing;

/// <summary>The output and exit code of a program.</summary>
public sealed record RunResult(int ExitCode, string Output, string Error);

/// <summary>Runs programs of the solution, which are built together with the tests.</summary>
public static class Run
{
    /// <summary>The output folder of a project, in the build configuration of the tests.</summary>
    public static string OutputOf(params string[] project) =>
        Path.Combine([Shared.Repository, .. project, "bin", Configuration, "net10.0"]);

    private static string Configuration =>
        AppContext.BaseDirectory.Contains(
            $"{Path.DirectorySeparatorChar}Release{Path.DirectorySeparatorChar}",
            StringComparison.Ordinal
        )
            ? "Release"
            : "Debug";

    /// <summary>Whether a program is on the path.</summary>
    public static bool IsInstalled(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator)
            .Any(folder =>
                File.Exists(Path.Combine(folder, program)) || File.Exists(Path.Combine(folder, $"{program}.exe"))
            );

    /// <summary>Starts a program of the solution and waits until it ends.</summary>
    public static RunResult Program(
        string dll,
        string[] arguments,
        string? folder = null,
        IReadOnlyDictionary<string, string>? environment = null
    ) => Command("dotnet", [dll, .. arguments], folder, environment);

    /// <summary>Starts any program and waits until it ends.</summary>
    public static RunResult Command(
        string program,
        string[] arguments,
        string? folder = null,
        IReadOnlyDictionary<string, string>? environment = null
    )
    {
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder ?? Path.GetTempPath(),
        };
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new RunResult(process.ExitCode, output, error.Result);
    }
}
