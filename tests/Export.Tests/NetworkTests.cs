using TorchBridge.Export.Verification;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>Whole networks, unchanged, with random weights and non-trivial BatchNorm statistics.</summary>
public class NetworkTests
{
    /// <summary>Fifty layers of float32 sums in another order: differences add up to some thousand units in the last
    /// place.</summary>
    private const double DeepTolerance = 1e-4;

    [Fact]
    public void ResNet18_with_in_place_residuals()
    {
        var report = Check(ResNet.ResNet18(16), randn(1, 3, 64, 64));
        Assert.Equal(20, report.Nodes["Conv"]);
        Assert.Equal(8, report.Nodes["Add"]);
        Assert.False(report.Nodes.ContainsKey("BatchNormalization"));
    }

    [Fact]
    public void ResNet50_with_in_place_residuals()
    {
        var report = Check(ResNet.ResNet50(8), randn(1, 3, 64, 64));
        Assert.Equal(53, report.Nodes["Conv"]);
        Assert.Equal(16, report.Nodes["Add"]);
    }

    [Fact]
    public void MobileNetV2() => Check(new MobileNet(v3: false), randn(1, 3, 32, 32));

    [Fact]
    public void MobileNetV3_with_squeeze_excitation() => Check(new MobileNet(v3: true), randn(1, 3, 32, 32));

    [Fact]
    public void Vgg_with_view() => Assert.Equal(1, Check(new Vgg(), randn(1, 3, 32, 32)).Nodes["Flatten"]);

    [Fact]
    public void Inception_with_concatenation() => Check(new Inception(), randn(1, 3, 16, 16));

    [Fact]
    public void UNet_with_free_height_and_width() =>
        Check(new UNet(), randn(1, 3, 32, 32), [0, 2, 3], batch => [batch, 3, 16 * batch, 48]);

    [Fact]
    public void Bidirectional_LSTM_tagger_with_free_length() =>
        Check(new Tagger(), randint(0, 50, [2, 9], ScalarType.Int64), [0, 1], batch => [batch, 4 + batch]);

    [Fact]
    public void GRU() => Check(new GruClassifier(), randn(2, 7, 6), [0, 1], batch => [batch, 6 + batch, 6]);

    [Fact]
    public void Transformer_encoder_with_free_length() =>
        Check(new TransformerClassifier(), randint(0, 50, [2, 12], ScalarType.Int64), [0, 1], batch =>
            [batch, 3 + batch]
        );

    [Fact]
    public void Vision_transformer() => Check(new VisionTransformer(), randn(1, 3, 16, 16));

    [Fact]
    public void Gpt_like_decoder_with_causal_mask_and_free_length()
    {
        var report = Check(new Gpt(), randint(0, 40, [2, 12], ScalarType.Int64), [0, 1], batch =>
            [batch, 2 + (2 * batch)]
        );
        Assert.True(
            report.InitializerBytes < 4 * 24 * (40 + 16) + (2 * 4 * ((24 * 96 * 2) + (24 * 24 * 4) + 400)) + 4000,
            "the tied weights stand in the file once"
        );
    }

    [Fact]
    public void Sizes_made_of_free_sizes_hold_at_sizes_never_traced()
    {
        // height times width, half the height, heads times batch; each axis free.
        var options = new ExportOptions { FreeAxes = new Dictionary<string, int[]> { ["input"] = [0, 2, 3] } };
        Exported.Check(
            new Function(x => x.view(x.size(0), 4, x.size(2) * x.size(3)).transpose(1, 2)),
            [randn(2, 4, 12, 10)],
            options,
            shapes: batch =>
                [
                    [batch, 4, 3 + batch, 7],
                ]
        );
        Exported.Check(
            new Function(x => x.narrow(2, 0, x.size(2) / 2) + 1),
            [randn(2, 4, 12, 10)],
            options,
            shapes: batch =>
                [
                    [batch, 4, 3 + batch, 7],
                ]
        );
        Exported.Check(
            new Function(x => x.reshape(x.size(0) * 2, 2, x.size(2), x.size(3)) * 2),
            [randn(2, 4, 12, 10)],
            options,
            shapes: batch =>
                [
                    [batch, 4, 3 + batch, 7],
                ]
        );
        Exported.Check(
            new Function(x => x + zeros([x.size(0), 1, x.size(2), 1]) + arange(x.size(3))),
            [randn(2, 4, 12, 10)],
            options,
            shapes: batch =>
                [
                    [batch, 4, 3 + batch, 7],
                ]
        );
    }

    [Theory]
    [InlineData(17)]
    [InlineData(18)]
    [InlineData(19)]
    [InlineData(20)]
    [InlineData(21)]
    public void Every_opset(int opset)
    {
        foreach (
            var (network, example) in (IEnumerable<(nn.Module, Tensor)>)
                [
                    (new MobileNet(true), randn(1, 3, 32, 32)),
                    (new VisionTransformer(), randn(1, 3, 16, 16)),
                    (new Inception(), randn(1, 3, 16, 16)),
                ]
        )
            Exported.Check(Trained(network), [example], new ExportOptions { Opset = opset }, DeepTolerance);
    }

    [Fact]
    public void The_same_model_gives_the_same_file_and_the_model_is_untouched()
    {
        using var folder = new TempFolder();
        var network = Trained(new MobileNet(true));
        network.train();
        network.modules().First(module => module is BatchNorm2d).eval();
        var before = network.state_dict().ToDictionary(pair => pair.Key, pair => pair.Value.clone());
        var modes = network.modules().Select(module => module.training).ToArray();
        using var randomState = random.get_rng_state();
        OnnxExporter.Export(network, randn(1, 3, 32, 32).fill_(0.3f), folder["a.onnx"]);
        random.set_rng_state(randomState);
        var example = randn(1, 3, 32, 32).fill_(0.3f);
        using var stateBefore = random.get_rng_state();
        OnnxExporter.Export(network, example, folder["b.onnx"]);
        Assert.True(stateBefore.equal(random.get_rng_state()).all().ToBoolean());
        Assert.Equal(File.ReadAllBytes(folder["a.onnx"]), File.ReadAllBytes(folder["b.onnx"]));
        Assert.Equal(modes, network.modules().Select(module => module.training));
        Assert.All(network.state_dict(), pair =>
            Assert.True(before[pair.Key].equal(pair.Value).all().ToBoolean(), pair.Key)
        );
        Assert.All(network.parameters(), parameter => Assert.True(parameter.grad is null));
    }

    [Fact]
    public void Two_threads_export_two_models_at_once()
    {
        using var folder = new TempFolder();
        var networks = new nn.Module[] { Trained(new MobileNet(true)), Trained(ResNet.ResNet18(8)) };
        var examples = new[] { randn(1, 3, 32, 32), randn(1, 3, 64, 64) };
        var before = networks
            .Select(network => network.state_dict().ToDictionary(pair => pair.Key, pair => pair.Value.clone()))
            .ToArray();
        Parallel.For(0, 4, i => OnnxExporter.Export(networks[i % 2], examples[i % 2], folder[$"{i}.onnx"]));
        for (var i = 0; i < 2; i++)
        {
            Assert.Equal(File.ReadAllBytes(folder[$"{i}.onnx"]), File.ReadAllBytes(folder[$"{i + 2}.onnx"]));
            Assert.All(networks[i].state_dict(), pair =>
                Assert.True(before[i][pair.Key].equal(pair.Value).all().ToBoolean(), pair.Key)
            );
        }
    }

    [Fact]
    public void Shared_modules_and_shared_weights_are_one_initializer()
    {
        var shared = nn.Linear(4, 4);
        var report = Exported.Check(nn.Sequential(("a", shared), ("act", nn.ReLU()), ("b", shared)), [randn(2, 4)]);
        Assert.Equal(2, report.Initializers);
        Assert.Equal(2, report.Nodes["Gemm"]);
    }

    private static ExportReport Check(
        nn.Module network,
        Tensor example,
        int[]? free = null,
        Func<long, long[]>? shape = null
    )
    {
        using var scope = NewDisposeScope();
        var name = Capture.ForwardPlan.Find(network, 1).Names[0];
        var options = free is null
            ? null
            : new ExportOptions { FreeAxes = new Dictionary<string, int[]> { [name] = free } };
        return Exported.Check(
            Trained(network),
            [example],
            options,
            DeepTolerance,
            shape is null ? null : batch => [shape(batch)]
        );
    }

    internal static nn.Module Trained(nn.Module network)
    {
        random.manual_seed(3);
        using var noGrad = no_grad();
        foreach (var norm in network.modules().OfType<BatchNorm2d>())
        {
            norm.running_mean!.copy_(randn_like(norm.running_mean) * 0.2f);
            norm.running_var!.copy_(rand_like(norm.running_var) + 0.5f);
            norm.weight.copy_(rand_like(norm.weight) + 0.5f);
            norm.bias!.copy_(randn_like(norm.bias) * 0.2f);
        }

        return network;
    }
}
