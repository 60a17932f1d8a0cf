// A sweep file: the data, a base recipe, and the settings to vary, in one of three ways.
//   { "data": "drawn", "pictures": 300, "seeds": [1, 2, 3], "recipe": "lesson",
//     "grid":   { "training.learning_rate": [0.001, 0.003], "network.dropout": [0, 0.2] } }
//   ... "list":   [ { "network.dropout": 0 }, { "network.dropout": 0.3, "training.mixup": 0.2 } ]
//   ... "random": { "trials": 20, "seed": 1, "settings": {
//           "training.learning_rate": { "low": 0.0001, "high": 0.01, "logarithmic": true }, "network.norm": ["batch", "group"] } }
// Optionally, bad settings end early: "halving": { "epochs": 5, "factor": 3 }.
// The trials are a pure function of the file: the same file gives the same trials in the same order on every machine.
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Jobs;

/// <summary>Reads a sweep file and creates its trials.</summary>
internal sealed class SweepSpecification
{
    private const int MostBytes = 1 << 20;
    private const int MostTrials = 100_000;
    private static readonly string[] Known =
    [
        "about",
        "data",
        "pictures",
        "seeds",
        "recipe",
        "grid",
        "list",
        "random",
        "halving",
    ];
    private static readonly AllowedAttribute PictureRange = new(50, 500_000);
    private readonly string source;
    private readonly JsonObject json;

    private SweepSpecification(string source, JsonObject json) => (this.source, this.json) = (source, json);

    /// <summary>The data of the trials, named as for <c>--data</c>.</summary>
    public string Data => Text("data") ?? DataSource.Drawn;

    /// <summary>Reads a file.</summary>
    /// <exception cref="UserException">It is not a sweep.</exception>
    public static SweepSpecification Read(string path)
    {
        try
        {
            if (new FileInfo(path) is { Exists: true, Length: > MostBytes })
                throw new UserException($"{path} is not a sweep: it has more than a million bytes.");
            return Parse(path, File.ReadAllText(path));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Parses a text.</summary>
    /// <param name="source">Its name in error messages.</param>
    /// <param name="text">The text.</param>
    /// <exception cref="UserException">It is not a sweep.</exception>
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
                throw new UserException($"{source} is not a sweep: it is not an object, {{ … }}.");
            if (json.Select(member => member.Key).FirstOrDefault(key => !Known.Contains(key)) is { } unknown)
                throw new UserException($"{source}: {unknown} is unknown; allowed is {string.Join(", ", Known)}.");
            string[] ways = ["grid", "list", "random"];
            return ways.Count(json.ContainsKey) == 1
                ? new SweepSpecification(source, json)
                : throw new UserException($"{source}: a sweep must have exactly one of grid, list and random.");
        }
        catch (JsonException error)
        {
            throw new UserException($"{source} is not a sweep: {error.Message}", error);
        }
    }

    /// <summary>Creates the job: its trials without duplicates, and how bad ones end early.</summary>
    /// <param name="content">Hash of the pictures; null if the program generates them.</param>
    /// <exception cref="UserException">A setting is unknown, or out of its range.</exception>
    public SweepJob Job(string? content)
    {
        var trials = Trials(content).DistinctBy(trial => trial.Key).ToArray();
        return new SweepJob(trials) { Halving = Halving(trials) };
    }

    /// <summary>The trials, in order: each combination of settings with every seed.</summary>
    /// <param name="content">Hash of the pictures; null if the program generates them.</param>
    /// <exception cref="UserException">A setting is unknown, or out of its range.</exception>
    private IReadOnlyList<RunRequest> Trials(string? content)
    {
        var settings = Settings();
        var seeds = Seeds();
        if ((long)settings.Count * seeds.Length is > MostTrials and var many)
            throw new UserException(
                FormattableString.Invariant($"{source} asks for {many:N0} trials; the limit is {MostTrials:N0}.")
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

    private Halving? Halving(IReadOnlyList<RunRequest> trials)
    {
        if (!json.ContainsKey("halving"))
            return null;
        if (
            json["halving"] is not JsonObject halving
            || halving.Select(member => member.Key).Except(["epochs", "factor"]).Any()
            || !halving.ContainsKey("epochs")
        )
            throw new UserException(
                $"{source}: halving must have epochs and may have factor: {{ \"epochs\": 5, \"factor\": 3 }}."
            );
        var all = trials.Select(trial => trial.Configuration.Training.Epochs).Distinct().Order().ToArray();
        if (all.Length > 1)
            throw new UserException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{source}: halving compares trials after equal numbers of epochs, but training.epochs "
                        + $"differs ({all[0]} to {all[^1]}). "
                ) + "Use the same number for all, or omit halving."
            );
        if (all[0] < 2)
            throw new UserException($"{source}: halving needs trials with at least 2 epochs.");
        return new Halving(
            NumberText.Whole(
                halving["epochs"]?.ToJsonString() ?? "null",
                $"{source}: halving: epochs",
                new AllowedAttribute(1, all[0] - 1)
            ),
            halving.ContainsKey("factor")
                ? NumberText.Whole(
                    halving["factor"]?.ToJsonString() ?? "null",
                    $"{source}: halving: factor",
                    new AllowedAttribute(2, 100)
                )
                : 3
        );
    }

    private RunConfiguration Base() =>
        json["recipe"] switch
        {
            null => RunConfiguration.Named("lesson"),
            JsonObject recipe => RunConfiguration.Parse($"{source}: recipe", recipe.ToJsonString()),
            JsonValue value when value.GetValueKind() == JsonValueKind.String => RunConfiguration.Named(
                value.GetValue<string>()
            ),
            _ => throw new UserException($"{source}: recipe must be a name or an object."),
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
                    $"{source}: there is no setting {key}. Settings are named like training.learning_rate or "
                        + $"network.dropout; src/Training/Recipes shows the contents of a recipe."
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
                : throw new UserException($"{source}: list must be an array of settings, [ {{ … }}, … ].");
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
                throw new UserException($"{source}: grid: {key} must be an array of values, [ … ].");
            if ((long)all.Count * choices.Count > MostTrials)
                throw new UserException(
                    FormattableString.Invariant(
                        $"{source} asks for more than {MostTrials:N0} trials, which is the limit."
                    )
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
            throw new UserException($"{source}: random must have trials and settings, and may have seed.");
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
        // Each value has its own random stream, so that adding a setting or a trial changes none of the others.
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
                $"{source}: {axis.Key} must be an array of values or "
                    + $"{{ \"low\": …, \"high\": …, \"logarithmic\": true }}."
            );
        double low = Number(range, "low"),
            high = Number(range, "high");
        var isLogarithmic = range["logarithmic"]?.GetValueKind() == JsonValueKind.True;
        if (!(low < high) || (isLogarithmic && low <= 0))
            throw new UserException(
                $"{source}: {axis.Key}: low must be below "
                    + $"high{(isLogarithmic ? ", and above 0 for a logarithmic range" : "")}."
            );
        return isLogarithmic ? Math.Exp(draw.Uniform(Math.Log(low), Math.Log(high))) : draw.Uniform(low, high);

        double Number(JsonObject members, string name) =>
            members[name]?.GetValueKind() == JsonValueKind.Number
                ? members[name]!.GetValue<double>()
                : throw new UserException($"{source}: {axis.Key}: {name} must be a number.");
    }

    private IReadOnlyList<(string Key, JsonNode? Value)> Pairs(JsonNode? node, string name) =>
        node is JsonObject members && (members.Count > 0 || name == "list")
            ? [.. members.Select(member => (member.Key, member.Value))]
            : throw new UserException(
                $"{source}: {name} must be an object with settings, {{ \"training.learning_rate\": … }}."
            );

    private int[] Seeds()
    {
        if (json["seeds"] is not { } node)
            return [1];
        if (node is not JsonArray { Count: > 0 } list)
            throw new UserException($"{source}: seeds must be an array of whole numbers, [1, 2, 3].");
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
            : throw new UserException($"{source}: seeds contains a seed twice.");
    }

    private string? Text(string name) =>
        json[name] is null ? null
        : json[name]!.GetValueKind() == JsonValueKind.String ? json[name]!.GetValue<string>()
        : throw new UserException($"{source}: {name} must be a string.");
}
