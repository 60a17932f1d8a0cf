using System.CommandLine;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Commands;

/// <summary>Options that several commands take.</summary>
internal static class CommonOptions
{
    /// <summary><c>--out</c>: the folder that models are written to and read from.</summary>
    public static Option<string> Out() =>
        new("--out")
        {
            Description = "Folder of the model's files.",
            DefaultValueFactory = _ => "models",
            HelpName = "DIR",
        };

    /// <summary><c>--seed</c>: any 32-bit integer.</summary>
    public static NumberOption Seed() =>
        new("--seed", new AllowedAttribute(int.MinValue, int.MaxValue))
        {
            Description = "Seed of all randomness. Default: 1, or the model's own.",
            HelpName = "N",
        };

    /// <summary><c>--json</c>: the same result for other programs.</summary>
    public static OutputFileOption JsonFile() =>
        new("--json") { Description = "Write the result as JSON to this file.", HelpName = "FILE" };

    /// <summary><c>--data</c>: what <see cref="Data.DataSource"/> takes.</summary>
    /// <param name="fallback">What the help names as the default.</param>
    public static Option<string?> DataSet(string fallback) =>
        new("--data")
        {
            Description =
                "`drawn` (built-in pictures), `cifar10` (downloaded once), or a folder with one "
                + $"sub-folder a class, or a .zip or .tar.gz of such. Default: {fallback}.",
            HelpName = "WHAT",
        };

    /// <summary>Writes a result where --json asks for it.</summary>
    /// <param name="path">The file, or null for none.</param>
    /// <param name="result">A record of this program.</param>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public static void WriteJson(string? path, object result)
    {
        if (path is not null)
            AtomicWrite.Text(path, Json.Text(result) + "\n");
    }
}
