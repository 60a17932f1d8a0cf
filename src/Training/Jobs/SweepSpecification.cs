// A sweep's file: what to train on, a recipe to begin with, and what of it to vary, in one of three ways.
//   { "data": "drawn", "pictures": 300, "seeds": [1, 2, 3], "recipe": "lesson",
//     "grid":   { "training.learning_rate": [0.001, 0.003], "network.dropout": [0, 0.2] } }
//   ... "list":   [ { "network.dropout": 0 }, { "network.dropout": 0.3, "training.mixup": 0.2 } ]
//   ... "random": { "trials": 20, "seed": 1, "settings": {
//           "training.learning_rate": { "low": 0.0001, "high": 0.01, "logarithmic": true }, "network.norm": ["batch", "group"] } }
// Its trials are a pure function of it: the same file gives the same trials in the same order on every machine.
using System.Text.Json;
using System.Text.Json.Nodes;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Jobs;

/// <summary>Reads a sweep's file, and makes its trials.</summary>
internal sealed class SweepSpecification
{
    private const int MostBytes = 1 << 20;
    private const int MostTrials = 100_000;
    private static readonly string[] Known = ["about", "data", "pictures", "seeds", "recipe", "grid", "list", "random"];
    private static readonly AllowedAttribute PictureRange = new(50, 500_000);
    private readonly string source;
    private readonly JsonObject json;

    private SweepSpecification(string source, JsonObject json) => (this.source, this.json) = (source, json);

    /// <summary>What the trials are trained on: what <c>--data</c> names.</summary>
    public string Data => Text("data") ?? DataSource.Drawn;

    /// <summary>Reads a file.</summary>
    /// <exception cref="UserException">It is no sweep.</exception>
    public static SweepSpecification Read(string path)
    {
        try
        {
            if (new FileInfo(path) is { Exists: true, Length: > MostBytes })
                throw new UserException($"{path} is no sweep: it has more than a million bytes.");
            return Parse(path, File.ReadAllText(path));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Reads a text.</summary>
    /// <param name="source">What to call it in an error.</param>
    /// <param name="text">The text.</param>
    /// <exception cref="UserException">It is no sweep.</exception>
    public static SweepSpecification Parse(string source, string text)
    {
        try
        {
            var options = new JsonNodeOptions();
            var document = new JsonDocumentOptions
            {
                AllowTrailingCommas = true,
                CommentHandling = JsonCommentHandling.Skip,
                AllowDuplicateProperties = false,
            };
            if (JsonNode.Parse(text, options, document) is not JsonObject json)
                throw new UserException($"{source} is no sweep: it is no object, {{ … }}.");
            if (json.Select(member => member.Key).FirstOrDefault(key => !Known.Contains(key)) is { } unknown)
                throw new UserException($"{source}: {unknown} is unknown; allowed is {string.Join(", ", Known)}.");
            string[] ways = ["grid", "list", "random"];
            return ways.Count(json.ContainsKey) == 1
                ? new SweepSpecification(source, json)
                : throw new UserException($"{source}: a sweep has exactly one of grid, list and random.");
        }
        catch (JsonException error)
        {
            throw new UserException($"{source} is no sweep: {error.Message}", error);
        }
    }

    /// <summary>The trials, in order: settings by settings, each with all seeds.</summary>
    /// <param name="content">What the pictures are; null where the program makes them.</param>
    /// <exception cref="UserException">A setting is unknown, or out of its range.</exception>
    public IReadOnlyList<RunRequest> Trials(string? content)
    {
        var settings = Settings();
        var seeds = Seeds();
        if ((long)settings.Count * seeds.Length is > MostTrials and var many)
            throw new UserException(
                FormattableString.Invariant($"{source} asks for {many:N0} trials; allowed are up to {MostTrials:N0}.")
            );
        var pictures = json.TryGetPropertyValue("pictures", out var given)
            ? NumberText.Whole(given?.ToJsonString() ?? "null", $"{source}: pictures", PictureRange)
            : 300;
        var start = JsonNode.Parse(Json.Text(Base()))!.AsObject();
        return
        [
            .. settings.SelectMany(changes =>
            {
                var configuration = Changed(start, changes);
                return seeds.Select(seed => new RunRequest(configuration, Data, pictures, seed) { Content = content });
            }),
        ];
    }

    private RunConfiguration Base() =>
        json["recipe"] switch
        {
            null => RunConfiguration.Named("lesson"),
            JsonObject recipe => RunConfiguration.Parse($"{source}: recipe", recipe.ToJsonString()),
            JsonValue value when value.GetValueKind() == JsonValueKind.String => RunConfiguration.Named(
                value.GetValue<string>()
            ),
            _ => throw new UserException($"{source}: recipe is neither a name nor a recipe."),
        };

    private RunConfiguration Changed(JsonObject start, IReadOnlyList<(string Key, JsonNode? Value)> changes)
    {
        var changed = start.DeepClone().AsObject();
        foreach (var (key, value) in changes)
        {
            var parts = key.Split('.');
            JsonObject? place = changed;
            foreach (var part in parts[..^1])
                place = place?[part] as JsonObject;
            if (parts.Length < 2 || place is null || !place.ContainsKey(parts[^1]))
                throw new UserException(
                    $"{source}: there is no setting {key}. Write training.learning_rate or network.dropout: src/Training/Recipes "
                        + "shows what a recipe holds."
                );
            place[parts[^1]] = value?.DeepClone();
        }

        return RunConfiguration.Parse(source, changed.ToJsonString());
    }

    private IReadOnlyList<IReadOnlyList<(string, JsonNode?)>> Settings()
    {
        if (json["list"] is { } list)
            return list is JsonArray { Count: > 0 } items
                ? [.. items.Select(item => Pairs(item, "list"))]
                : throw new UserException($"{source}: list is no list of settings, [ {{ … }}, … ].");
        return json["grid"] is { } grid ? Grid(Pairs(grid, "grid")) : Random();
    }

    private List<List<(string, JsonNode?)>> Grid(IReadOnlyList<(string Key, JsonNode? Value)> axes)
    {
        List<List<(string, JsonNode?)>> all =
        [
            [],
        ];
        foreach (var (key, values) in axes)
        {
            if (values is not JsonArray { Count: > 0 } choices)
                throw new UserException($"{source}: grid: {key} is no list of values, [ … ].");
            if ((long)all.Count * choices.Count > MostTrials)
                throw new UserException(
                    FormattableString.Invariant($"{source} asks for more than {MostTrials:N0} trials.")
                );
            all =
            [
                .. all.SelectMany(before =>
                    choices.Select(value => (List<(string, JsonNode?)>)[.. before, (key, value)])
                ),
            ];
        }

        return all;
    }

    private IReadOnlyList<IReadOnlyList<(string, JsonNode?)>> Random()
    {
        var random = json["random"] as JsonObject;
        if (
            random is null
            || random.Select(member => member.Key).Except(["trials", "seed", "settings"]).Any()
            || !random.ContainsKey("trials")
            || !random.ContainsKey("settings")
        )
            throw new UserException($"{source}: random holds trials, settings and, where wanted, seed.");
        var trials = NumberText.Whole(
            random["trials"]?.ToJsonString() ?? "null",
            $"{source}: trials",
            new AllowedAttribute(1, MostTrials)
        );
        var seed = random.ContainsKey("seed")
            ? NumberText.Whole(
                random["seed"]?.ToJsonString() ?? "null",
                $"{source}: seed",
                new AllowedAttribute(int.MinValue, int.MaxValue)
            )
            : 1;
        var axes = Pairs(random["settings"], "settings");
        // Each value has a stream of its own: a further setting, or a further trial, changes none of the others.
        return
        [
            .. Enumerable
                .Range(0, trials)
                .Select(trial =>
                    (IReadOnlyList<(string, JsonNode?)>)
                        [.. axes.Select((axis, number) => (axis.Key, Drawn(axis, new Draw(seed, trial, number))))]
                ),
        ];
    }

    private JsonNode? Drawn((string Key, JsonNode? Value) axis, Draw draw)
    {
        if (axis.Value is JsonArray { Count: > 0 } choices)
            return choices[draw.Below(choices.Count)];
        if (
            axis.Value is not JsonObject range
            || range.Select(member => member.Key).Except(["low", "high", "logarithmic"]).Any()
        )
            throw new UserException(
                $"{source}: {axis.Key} is neither a list of values nor {{ \"low\": …, \"high\": …, \"logarithmic\": true }}."
            );
        double low = Number(range, "low"),
            high = Number(range, "high");
        var isLogarithmic = range["logarithmic"]?.GetValueKind() == JsonValueKind.True;
        if (!(low < high) || (isLogarithmic && low <= 0))
            throw new UserException(
                $"{source}: {axis.Key}: low must be below high{(isLogarithmic ? ", and above 0 where it is logarithmic" : "")}."
            );
        return isLogarithmic ? Math.Exp(draw.Uniform(Math.Log(low), Math.Log(high))) : draw.Uniform(low, high);

        double Number(JsonObject members, string name) =>
            members[name]?.GetValueKind() == JsonValueKind.Number
                ? members[name]!.GetValue<double>()
                : throw new UserException($"{source}: {axis.Key}: {name} is no number.");
    }

    private IReadOnlyList<(string Key, JsonNode? Value)> Pairs(JsonNode? node, string name) =>
        node is JsonObject members && (members.Count > 0 || name == "list")
            ? [.. members.Select(member => (member.Key, member.Value))]
            : throw new UserException($"{source}: {name} holds no settings, {{ \"training.learning_rate\": … }}.");

    private int[] Seeds()
    {
        if (json["seeds"] is not { } node)
            return [1];
        if (node is not JsonArray { Count: > 0 } list)
            throw new UserException($"{source}: seeds is no list of whole numbers, [1, 2, 3].");
        int[] seeds =
        [
            .. list.Select(seed =>
                NumberText.Whole(
                    seed?.ToJsonString() ?? "null",
                    $"{source}: a seed",
                    new AllowedAttribute(int.MinValue, int.MaxValue)
                )
            ),
        ];
        return seeds.Distinct().Count() == seeds.Length
            ? seeds
            : throw new UserException($"{source}: a seed stands twice in seeds.");
    }

    private string? Text(string name) =>
        json[name] is null ? null
        : json[name]!.GetValueKind() == JsonValueKind.String ? json[name]!.GetValue<string>()
        : throw new UserException($"{source}: {name} is no text.");
}
