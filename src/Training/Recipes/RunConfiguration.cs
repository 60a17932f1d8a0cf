using System.Text.Json;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Ranges;

namespace TorchBridge.Training.Recipes;

/// <summary>A recipe as a file: how to train, and how the network is regularized. What is not named has the lesson's
/// value.</summary>
/// <param name="About">A sentence on what it is for.</param>
/// <param name="Training">How to train.</param>
/// <param name="Network">Shape, dropout, start; the data decides the classes.</param>
internal sealed record RunConfiguration(string About, Recipe Training, NetworkOptions Network)
{
    /// <summary>What the network starts from: <c>imagenet</c>, a safetensors file, or null for random
    /// weights.</summary>
    public string? Weights { get; init; }

    /// <summary>Height and width in pixels that pictures are read at where nobody says otherwise; null for the
    /// network's own.</summary>
    [Allowed(8, 512)]
    public int? Size { get; init; }

    /// <summary>Larger than any recipe: what is no recipe is not read into memory.</summary>
    private const int MostCharacters = 1 << 20;

    /// <summary>The recipes that the program brings.</summary>
    public static IReadOnlyList<string> Names { get; } = ["lesson", "fast", "pooled", "bare", "photos", "photos-all"];

    /// <summary>A recipe of the program's own.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <exception cref="UserException">There is none of this name.</exception>
    public static RunConfiguration Named(string name)
    {
        using var stream = typeof(RunConfiguration).Assembly.GetManifestResourceStream(
            $"TorchBridge.Training.Recipes.{name}.json"
        )
            ?? throw new UserException(
                $"--recipe is {name}; allowed is {string.Join(", ", Names)}. A recipe of your own is a file: --config FILE."
            );
        using var reader = new StreamReader(stream);
        return Parse(name, reader.ReadToEnd());
    }

    /// <summary>A recipe of the user's.</summary>
    /// <param name="path">A JSON file of the same form as those that the program brings.</param>
    /// <exception cref="UserException">The file is missing, or is no recipe.</exception>
    public static RunConfiguration FromFile(string path)
    {
        if (Directory.Exists(path))
            throw new UserException($"--config {path} is a folder. Give a JSON file as those in src/Training/Recipes.");
        try
        {
            using var reader = new StreamReader(path);
            // Counted as it is read: a pipe has no length.
            var text = new char[MostCharacters + 1];
            var count = reader.ReadBlock(text);
            return count <= MostCharacters
                ? Parse(path, new string(text, 0, count))
                : throw new UserException($"--config {path} is no recipe: it has more than a million characters.");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"--config {path} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Reads a recipe: its form first, then its values, then their ranges.</summary>
    /// <param name="source">The file, for an error.</param>
    /// <param name="json">Its text.</param>
    /// <exception cref="UserException">It is no recipe.</exception>
    public static RunConfiguration Parse(string source, string json)
    {
        try
        {
            using (var document = JsonDocument.Parse(json))
                RecipeForm.Check(document.RootElement, typeof(RunConfiguration), source);
            var read = JsonSerializer.Deserialize<RunConfiguration>(json, Json.Options)!;
            var configuration = new RunConfiguration(
                read.About ?? "",
                read.Training ?? new Recipe(),
                read.Network ?? new NetworkOptions()
            )
            {
                Weights = read.Weights,
                Size = read.Size,
            };
            ConfigurationRanges.Check(configuration, source);
            return configuration;
        }
        catch (JsonException error)
        {
            throw new UserException(
                $"{source} is no recipe: {error.Message} `train --help` and src/Training/Recipes show what a recipe holds.",
                error
            );
        }
    }
}
