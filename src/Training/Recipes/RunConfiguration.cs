using System.Text.Json;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Ranges;

namespace TorchBridge.Training.Recipes;

/// <summary>A recipe file: how to train, and how the network is regularized. Values that are not given are the
/// lesson's.</summary>
/// <param name="About">A sentence about its purpose.</param>
/// <param name="Training">How to train.</param>
/// <param name="Network">Shape, dropout and initialization of the network; the classes come from the data.</param>
internal sealed record RunConfiguration(string About, Recipe Training, NetworkOptions Network)
{
    /// <summary>What the network starts from: <c>imagenet</c>, a safetensors file, or null for random
    /// weights.</summary>
    public string? Weights { get; init; }

    /// <summary>Default height and width in pixels at which pictures are read; null for the network's own.</summary>
    [Allowed(8, 512)]
    public int? Size { get; init; }

    /// <summary>Larger than any recipe, so that other files are not read into memory.</summary>
    private const int MostCharacters = 1 << 20;

    /// <summary>The built-in recipes.</summary>
    public static IReadOnlyList<string> Names { get; } = ["lesson", "fast", "pooled", "bare", "photos", "photos-all"];

    /// <summary>Reads a built-in recipe.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <exception cref="UserException">There is no recipe with this name.</exception>
    public static RunConfiguration Named(string name)
    {
        using var stream = typeof(RunConfiguration).Assembly.GetManifestResourceStream(
            $"TorchBridge.Training.Recipes.{name}.json"
        )
            ?? throw new UserException(
                $"--recipe is {name}; allowed is {string.Join(", ", Names)}. For a recipe of your own, use "
                    + "--config FILE."
            );
        using var reader = new StreamReader(stream);
        return Parse(name, reader.ReadToEnd());
    }

    /// <summary>Reads a user's recipe.</summary>
    /// <param name="path">A JSON file in the same format as the built-in recipes.</param>
    /// <exception cref="UserException">The file is missing or is not a recipe.</exception>
    public static RunConfiguration FromFile(string path)
    {
        if (Directory.Exists(path))
            throw new UserException(
                $"--config {path} is a folder. Give a JSON file like those in src/Training/Recipes."
            );
        try
        {
            using var reader = new StreamReader(path);
            // Counted while reading, because a pipe has no length.
            var text = new char[MostCharacters + 1];
            var count = reader.ReadBlock(text);
            return count <= MostCharacters
                ? Parse(path, new string(text, 0, count))
                : throw new UserException($"--config {path} is not a recipe: it has more than a million characters.");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"--config {path} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Parses a recipe: checks its structure first, then its values, then their ranges.</summary>
    /// <param name="source">The file, for error messages.</param>
    /// <param name="json">Its text.</param>
    /// <exception cref="UserException">It is not a recipe.</exception>
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
                $"{source} is not a recipe: {error.Message} See `train --help` and src/Training/Recipes for the "
                    + "contents of a recipe.",
                error
            );
        }
    }
}
