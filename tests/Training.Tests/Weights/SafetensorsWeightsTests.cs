using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests.Weights;

/// <summary>Weights from files: torchvision's names, our own models, and what is refused.</summary>
public class SafetensorsWeightsTests
{
    private static readonly NetworkOptions Options = new()
    {
        Kind = NetworkKind.MobilenetV3Small,
        Classes = 4,
        Height = 32,
        Width = 32,
    };
    private static readonly string[] Names = ["a", "b", "c", "d"];

    [Fact]
    public void A_state_dict_is_loaded_whole()
    {
        using var folder = new TempFolder();
        using var network = Written(folder["w.safetensors"], Options);
        using var other = Fresh(Options);
        using var weights = PretrainedWeights.Open(folder["w.safetensors"]);
        Assert.DoesNotContain("classifier is new", weights.LoadInto(other, Names, null), StringComparison.Ordinal);
        Assert.Equal(WeightHash.Of(network), WeightHash.Of(other));
        Assert.Equal([0.485, 0.456, 0.406], weights.Statistics.Mean);
    }

    [Fact]
    public void Another_class_count_drops_the_classifier_and_says_so()
    {
        using var folder = new TempFolder();
        using var network = Written(folder["w.safetensors"], Options with { Classes = 1000 });
        using var other = Fresh(Options);
        var before = other.state_dict()["classifier.3.weight"].clone();
        using var weights = PretrainedWeights.Open(folder["w.safetensors"]);
        Assert.Contains(
            "it has 1,000 classes, but the pictures have 4, so the classifier is new",
            weights.LoadInto(other, Names, null),
            StringComparison.Ordinal
        );
        Assert.Equal(before.data<float>().ToArray(), other.state_dict()["classifier.3.weight"].data<float>().ToArray());
        Assert.True(
            other
                .state_dict()["classifier.0.weight"]
                .equal(network.state_dict()["classifier.0.weight"])
                .all()
                .ToBoolean()
        );
    }

    [Fact]
    public void Missing_and_surplus_keys_are_listed_and_refused()
    {
        using var folder = new TempFolder();
        using var network = Fresh(Options);
        var state = network.state_dict();
        state["stranger.weight"] = state["classifier.3.bias"];
        state.Remove("features.0.0.weight");
        state.Remove("features.0.1.num_batches_tracked");
        Safetensors.Write(folder["w.safetensors"], state, new Dictionary<string, string>());
        using var weights = PretrainedWeights.Open(folder["w.safetensors"]);
        var message = Assert.Throws<UserException>(() => weights.LoadInto(network, Names, null)).Message;
        Assert.Contains("missing features.0.0.weight;", message, StringComparison.Ordinal);
        Assert.Contains("unexpected stranger.weight;", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("w.pth", new byte[] { 80, 75, 3, 4, 0 })]
    [InlineData("w.safetensors", new byte[] { 80, 75, 3, 4, 0 })]
    [InlineData("pytorch_model.bin", new byte[] { 0x80, 2, 0x8a, 0x0a })]
    public void A_pickle_is_refused_with_the_lines_that_convert_it(string name, byte[] content)
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder[name], content);
        var message = Assert.Throws<UserException>(() => PretrainedWeights.Open(folder[name])).Message;
        Assert.Contains("import torch, safetensors.torch\n", message, StringComparison.Ordinal);
        Assert.Contains("weights_only=True", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_of_ours_keeps_its_classifier_where_the_classes_are_the_same()
    {
        using var folder = new TempFolder();
        var settings = ResumeTests.Settings(new Recipe());
        using var model = new TrainedModel(settings);
        model.Save(folder["m.safetensors"]);
        using var weights = PretrainedWeights.Open(folder["m.safetensors"]);
        var shape = weights.Shape(new NetworkOptions { Dropout = 0.1 }, isKindAsked: false);
        Assert.Equal((8, 0.1), (shape.Channels, shape.Dropout));
        using var same = Fresh(shape);
        Assert.DoesNotContain("new", weights.LoadInto(same, settings.ClassNames, null), StringComparison.Ordinal);
        Assert.Equal(WeightHash.Of(model.Network), WeightHash.Of(same));
        Assert.Contains(
            "its classes have other names",
            weights.LoadInto(same, [.. settings.ClassNames.Reverse()], null),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "modern_cnn",
            Assert
                .Throws<UserException>(() =>
                    weights.Shape(new NetworkOptions { Kind = NetworkKind.Resnet18 }, isKindAsked: true)
                )
                .Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void A_file_that_changed_since_a_run_started_from_it_is_refused()
    {
        using var folder = new TempFolder();
        using var network = Written(folder["w.safetensors"], Options);
        using var weights = PretrainedWeights.Open(folder["w.safetensors"]);
        using var reopened = PretrainedWeights.Open(weights.Origin);
        using var other = Written(folder["w.safetensors"], Options);
        Assert.Contains(
            "from which this run started",
            Assert.Throws<UserException>(() => PretrainedWeights.Open(weights.Origin)).Message,
            StringComparison.Ordinal
        );
    }

    private static ImageNetwork Fresh(NetworkOptions options) => ImageNetwork.Make(options);

    private static ImageNetwork Written(string path, NetworkOptions options)
    {
        var network = Fresh(options);
        Safetensors.Write(path, network.state_dict(), new Dictionary<string, string>());
        return network;
    }
}
