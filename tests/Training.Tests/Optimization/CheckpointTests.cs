using System.Text.Json.Nodes;
using TorchBridge.Onnx.Contract;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests.Optimization;

/// <summary>The content of a checkpoint is restored bit by bit; if it does not fit, it is refused before anything is
/// changed.</summary>
public class CheckpointTests
{
    private static readonly Recipe Averaged = new()
    {
        Epochs = 3,
        BatchSize = 32,
        WeightAverage = 0.9,
    };

    [Fact]
    public void Every_tensor_and_counter_comes_back()
    {
        using var folder = new TempFolder();
        var path = Written(folder, out var expected, out var randomState);
        using var layer = nn.Linear(3, 2);
        using var state = new TrainingState(layer, Averaged);
        random.manual_seed(99);
        using var checkpoint = Checkpoint.Read(path);
        Assert.Equal(2, checkpoint.Epochs);
        Assert.Equal(ResumeTests.Settings(Averaged).RunId, checkpoint.Settings.RunId);
        checkpoint.RestoreInto(state);
        var restored = Values(state);
        Assert.Equal(expected.Keys.Order(StringComparer.Ordinal), restored.Keys.Order(StringComparer.Ordinal));
        Assert.All(restored, pair => Assert.Equal(expected[pair.Key], pair.Value));
        Assert.Equal([Record(1), Record(2)], state.History);
        Assert.Equal((2, 0.25, 1), (state.BestEpoch, state.Stopping.Best, state.Stopping.EpochsWithout));
        Assert.Equal(17, state.Optimizer.Steps);
        using var now = get_rng_state();
        Assert.Equal(randomState, now.bytes.ToArray());
    }

    [Fact]
    public void Where_there_is_none_it_is_said_how_to_start_one()
    {
        using var folder = new TempFolder();
        var error = Assert.Throws<UserException>(() => Checkpoint.Read(folder["none"]));
        Assert.Equal(
            $"There is no unfinished run to resume: {folder["none"]} does not exist. "
                + "Start a run without --resume, or give the run's folder with --out.",
            error.Message
        );
    }

    [Fact]
    public void Another_programs_file_is_refused_and_its_tensors_are_freed()
    {
        using var folder = new TempFolder();
        var path = Written(folder, out _, out _);
        Change(path, metadata: texts => texts.Remove(MetadataKeys.Checkpoint));
        var before = Tensor.TotalCount;
        var error = Assert.Throws<UserException>(() => Checkpoint.Read(path));
        Assert.Equal($"{path} is not a checkpoint of this program (torchbridge.checkpoint is missing)", error.Message);
        // Older garbage may be finalized meanwhile: there may be fewer, never more.
        Assert.InRange(Tensor.TotalCount, 0, before);
    }

    public static TheoryData<string, string> Incomplete =>
        new()
        {
            { "null", "it is incomplete" },
            { "settings", "it is incomplete" },
            { "history", "it is incomplete" },
            { "record", "it is incomplete" },
            { "text", "invalid" },
        };

    [Theory]
    [MemberData(nameof(Incomplete))]
    public void Facts_that_are_not_whole_are_refused_and_the_tensors_are_freed(string what, string reason)
    {
        using var folder = new TempFolder();
        var path = Written(folder, out _, out _);
        Change(path, metadata: texts =>
        {
            var facts = JsonNode.Parse(texts[MetadataKeys.Checkpoint])!.AsObject();
            if (what is "settings" or "history")
                facts.Remove(what);
            if (what == "record")
                facts["history"]!.AsArray()[0] = null;
            texts[MetadataKeys.Checkpoint] =
                what == "null" ? "null"
                : what == "text" ? "no JSON"
                : facts.ToJsonString();
        });
        var before = Tensor.TotalCount;
        var error = Assert.Throws<UserException>(() => Checkpoint.Read(path));
        Assert.StartsWith($"{path}: its metadata cannot be read: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.InRange(Tensor.TotalCount, 0, before);
    }

    [Fact]
    public void Settings_out_of_their_range_are_refused_by_name()
    {
        using var folder = new TempFolder();
        var path = Written(folder, out _, out _);
        ChangeFacts(path, facts => facts["settings"]!["class_names"] = new JsonArray("one"));
        var error = Assert.Throws<UserException>(() => Checkpoint.Read(path));
        Assert.Contains("its settings name 1 classes", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("facts", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Two epochs are in the history: the best is one of them.</summary>
    [Theory]
    [InlineData("best_epoch", 0, true)]
    [InlineData("best_epoch", -1, true)]
    [InlineData("best_epoch", 3, true)]
    [InlineData("best_epoch", 1, false)]
    [InlineData("best_epoch", 2, false)]
    [InlineData("epochs_without", -1, true)]
    [InlineData("epochs_without", 0, false)]
    [InlineData("steps", -1, true)]
    [InlineData("steps", 0, false)]
    public void Counters_that_do_not_fit_the_history_are_refused(string counter, int value, bool isRefused)
    {
        using var folder = new TempFolder();
        var path = Written(folder, out _, out _);
        ChangeFacts(path, facts => facts[counter] = value);
        if (!isRefused)
        {
            using var checkpoint = Checkpoint.Read(path);
            return;
        }

        var error = Assert.Throws<UserException>(() => Checkpoint.Read(path));
        Assert.Contains("its counters do not fit its history", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Before_the_first_epoch_no_epoch_is_the_best()
    {
        using var folder = new TempFolder();
        var path = Written(folder, out _, out _);
        ChangeFacts(path, facts => (facts["history"], facts["best_epoch"]) = (new JsonArray(), 0));
        using (var checkpoint = Checkpoint.Read(path))
            Assert.Equal(0, checkpoint.Epochs);
        ChangeFacts(path, facts => facts["best_epoch"] = 1);
        Assert.Throws<UserException>(() => Checkpoint.Read(path));
    }

    [Theory]
    [InlineData("missing", "weights.weight", "'weights.weight' is missing or unexpected")]
    [InlineData("missing", "random_state", "'random_state' is missing or unexpected")]
    [InlineData("too much", "weights.other", "'weights.other' is missing or unexpected")]
    [InlineData("shape", "optimizer.m.bias", "'optimizer.m.bias' has another shape or type")]
    [InlineData("type", "best.weight", "'best.weight' has another shape or type")]
    [InlineData("damaged", "random_state", "'random_state' is not a valid state of the random generator")]
    public void What_does_not_fit_the_network_is_refused_before_anything_is_changed(
        string fault,
        string name,
        string message
    )
    {
        using var folder = new TempFolder();
        var path = Written(folder, out _, out _);
        Change(path, tensors: tensors =>
        {
            tensors.Remove(name, out var old);
            if (fault != "missing")
                tensors[name] = fault switch
                {
                    "shape" => old![..1],
                    "type" => old!.to(ScalarType.Float64),
                    "damaged" => zeros_like(old!),
                    _ => zeros(2),
                };
        });
        using var layer = nn.Linear(3, 2);
        using var state = new TrainingState(layer, Averaged);
        var before = Values(state);
        using var checkpoint = Checkpoint.Read(path);
        var error = Assert.Throws<UserException>(() => checkpoint.RestoreInto(state));
        Assert.StartsWith(path, error.Message, StringComparison.Ordinal);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.Equal(before, Values(state));
        Assert.Empty(state.History);
        Assert.Equal(0, state.Optimizer.Steps);
    }

    [Fact]
    public void A_checkpoint_frees_its_tensors()
    {
        using var folder = new TempFolder();
        var path = Written(folder, out _, out _);
        var before = Tensor.TotalCount;
        var checkpoint = Checkpoint.Read(path);
        Assert.True(Tensor.TotalCount > before);
        checkpoint.Dispose();
        Assert.InRange(Tensor.TotalCount, 0, before);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_models_history_is_that_of_the_checkpoint_with_its_very_weights(bool isHeadAlone)
    {
        using var folder = new TempFolder();
        using var model = new TrainedModel(ResumeTests.Settings(Tuned(isHeadAlone ? TuneKind.Head : TuneKind.None)));
        var path = Written(folder, model);
        var training = Checkpoint.TrainingOf(path, model);
        Assert.NotNull(training);
        Assert.Equal([Record(1), Record(2)], training.History);
        Assert.Equal((2, "stopped by the user"), (training.BestEpoch, training.Ending));
    }

    [Theory]
    [InlineData("no file")]
    [InlineData("broken")]
    [InlineData("another run")]
    [InlineData("another weight")]
    [InlineData("missing")]
    [InlineData("shape")]
    public void A_model_has_no_history_of_what_is_not_its_run(string fault)
    {
        using var folder = new TempFolder();
        using var model = new TrainedModel(ResumeTests.Settings(Tuned(TuneKind.Head)));
        using (no_grad())
        {
            foreach (var (_, value) in model.Network.Head.state_dict())
                value.fill_(0.5f);
        }

        var path = Written(folder, model);
        switch (fault)
        {
            case "no file":
                File.Delete(path);
                break;
            case "broken":
                File.WriteAllBytes(path, File.ReadAllBytes(path)[..100]);
                break;
            case "another run":
                ChangeFacts(path, facts => facts["settings"]!["seed"] = 12);
                break;
            default:
                Change(path, tensors: tensors =>
                {
                    var old = tensors["best.bias"];
                    if (fault == "missing")
                        tensors.Remove("best.bias");
                    else if (fault == "shape")
                        tensors["best.bias"] = old[..1]; // equal to every number that it is broadcast to
                    else
                        old[1] = 2;
                });
                break;
        }

        var before = Tensor.TotalCount;
        Assert.Null(Checkpoint.TrainingOf(path, model));
        Assert.InRange(Tensor.TotalCount, 0, before);
    }

    private static Recipe Tuned(TuneKind what) => Averaged with { Tuning = new TuningOptions(what) };

    private static EpochRecord Record(int epoch) => new(epoch, 0.5 / epoch, 0.75, 0.25, 0.875, 0.001, 100, 2, 300);

    /// <summary>Writes a state in which no two tensors are alike.</summary>
    private static string Written(TempFolder folder, out Dictionary<string, string> values, out byte[] randomState)
    {
        using var layer = nn.Linear(3, 2);
        using var state = new TrainingState(layer, Averaged);
        using (no_grad())
        {
            var number = 0;
            foreach (var tensor in state.Tensors().Values)
                tensor.fill_(++number);
        }

        Fill(state);
        random.manual_seed(7);
        using (randn(5))
        using (var drawn = get_rng_state())
            randomState = drawn.bytes.ToArray();
        var path = folder["run"];
        Checkpoint.Write(path, ResumeTests.Settings(Averaged), state);
        values = Values(state);
        return path;
    }

    /// <summary>Writes a checkpoint whose best weights are those of a model.</summary>
    private static string Written(TempFolder folder, TrainedModel model)
    {
        var recipe = model.Settings.Recipe;
        using var state = new TrainingState(
            recipe.Tuning.What == TuneKind.Head ? model.Network.Head : model.Classifier,
            recipe
        );
        Fill(state);
        Checkpoint.Write(folder["run"], model.Settings, state);
        return folder["run"];
    }

    private static void Fill(TrainingState state)
    {
        state.History.AddRange([Record(1), Record(2)]);
        state.BestEpoch = 2;
        state.Stopping.Restore(0.25, 1);
        state.Optimizer.Steps = 17;
    }

    /// <summary>Type, shape and bytes of each tensor.</summary>
    private static Dictionary<string, string> Values(TrainingState state) =>
        state
            .Tensors()
            .ToDictionary(
                pair => pair.Key,
                pair =>
                    $"{pair.Value.dtype} [{string.Join(", ", pair.Value.shape)}] "
                    + Convert.ToHexString(pair.Value.detach().contiguous().bytes),
                StringComparer.Ordinal
            );

    private static void ChangeFacts(string path, Action<JsonNode> change) => Change(path, metadata: texts =>
        {
            var facts = JsonNode.Parse(texts[MetadataKeys.Checkpoint])!;
            change(facts);
            texts[MetadataKeys.Checkpoint] = facts.ToJsonString();
        });

    /// <summary>Rewrites a checkpoint with a change.</summary>
    private static void Change(
        string path,
        Action<Dictionary<string, Tensor>>? tensors = null,
        Action<Dictionary<string, string>>? metadata = null
    )
    {
        using var scope = NewDisposeScope();
        var (values, texts) = Safetensors.Read(path);
        tensors?.Invoke(values);
        metadata?.Invoke(texts);
        Safetensors.Write(path, values, texts);
        foreach (var value in values.Values)
            value.Dispose();
    }
}
