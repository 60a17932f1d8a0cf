using System.CommandLine;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Commands;

/// <summary>Options that several commands share.</summary>
internal static class CommonOptions
{
    /// <summary><c>--out</c>: the folder from which model files are read and to which they are written.</summary>
    public static Option<string> Out() =>
        new("--out")
        {
            Description = "Folder for the model files.",
            DefaultValueFactory = _ => "models",
            HelpName = "DIR",
        };

    /// <summary><c>--seed</c>: any 32-bit integer.</summary>
    public static NumberOption Seed() =>
        new("--seed", new AllowedAttribute(int.MinValue, int.MaxValue))
        {
            Description = "Seed for all random numbers. Default: 1, or the model's own.",
            HelpName = "N",
        };

    /// <summary><c>--json</c>: also writes the result as JSON.</summary>
    public static OutputFileOption JsonFile() =>
        new("--json") { Description = "Also write the result as JSON to this file.", HelpName = "FILE" };

    /// <summary><c>--data</c>: any name that <see cref="Data.DataSource"/> accepts.</summary>
    /// <param name="fallback">The default as the help describes it.</param>
    public static Option<string?> DataSet(string fallback) =>
        new("--data")
        {
            Description =
                "`drawn` (built-in pictures), `cifar10` (downloaded once), a folder with one "
                + $"subfolder per class, or a .zip or .tar.gz of such a folder. Default: {fallback}.",
            HelpName = "WHAT",
        };

    /// <summary>Writes a result if --json is given.</summary>
    /// <param name="path">The file, or null for none.</param>
    /// <param name="result">A record of this program.</param>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public static void WriteJson(string? path, object result)
    {
        if (path is not null)
            AtomicWrite.Text(path, Json.Text(result) + "\n");
    }
}
