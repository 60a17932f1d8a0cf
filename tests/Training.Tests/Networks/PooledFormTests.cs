using TorchBridge.Export;
using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Format;
using TorchBridge.Quantization;
using TorchBridge.Training.Data;
using TorchBridge.Training.Explanation;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Recipes;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests.Networks;

/// <summary>Everything that works with a ModernCNN works with the pooled form.</summary>
public class PooledFormTests
{
    [Fact]
    public void It_is_the_network_that_is_described()
    {
        using var scope = NewDisposeScope();
        using var network = new ModernCnn(
            new NetworkOptions { Form = BlockForm.Pooled, Activation = ActivationKind.Gelu }
        );
        network.eval();
        // 24 x 12 + 24; convolutions without biases; weight and bias of six norms; the classifier.
        var convolutions = 9 * ((24 * 64) + (64 * 64) + (64 * 256) + (256 * 256) + (256 * 256) + (256 * 256));
        Assert.Equal(
            312 + convolutions + (2 * (64 + 64 + (4 * 256))) + 2570,
            network.parameters().Sum(parameter => parameter.numel())
        );
        foreach (var parameter in network.parameters())
            nn.init.normal_(parameter, 0, 0.1);
        var x = randn(2, 3, 32, 32);
        using var noGrad = no_grad();
        var state = network.state_dict();
        Tensor Conv(Tensor input, string name) => nn.functional.conv2d(input, state[name], padding: [1, 1]);
        Tensor Norm(Tensor input, string name) =>
            nn.functional.batch_norm(
                input,
                state[$"{name}.running_mean"],
                state[$"{name}.running_var"],
                state[$"{name}.weight"],
                state[$"{name}.bias"]
            );
        var y = nn.functional.gelu(nn.functional.conv2d(x, state["conv1.weight"], state["conv1.bias"]));
        foreach (var block in (string[])["res_block1", "res_block2", "res_block3"])
        {
            y = nn.functional.max_pool2d(Conv(y, $"{block}.0.weight"), 2);
            y = nn.functional.gelu(Norm(y, $"{block}.2"));
            y = nn.functional.gelu(Norm(Conv(y, $"{block}.4.weight"), $"{block}.5"));
        }

        Assert.Equal([2, 256, 3, 3], y.shape);
        var expected = nn.functional.linear(y.amax([2, 3]), state["fc.weight"], state["fc.bias"]) / 9;
        Close.To(
            expected.data<float>().ToArray(),
            network.forward(x).data<float>().ToArray(),
            1e-5 * expected.abs().max().item<float>(),
            1e-5,
            "the same operations"
        );
    }

    [Fact]
    public void Its_norms_keep_the_scale_of_1()
    {
        using var network = new ModernCnn(new NetworkOptions { Form = BlockForm.Pooled });
        var fixedOnes = network.named_parameters().Where(pair => !pair.parameter.requires_grad).ToArray();
        Assert.Equal(6, fixedOnes.Length);
        Assert.All(fixedOnes, pair => Assert.Equal(1, pair.parameter.min().item<float>()));
        Assert.All(fixedOnes, pair => Assert.EndsWith(".weight", pair.name, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(NormKind.Batch)]
    [InlineData(NormKind.Layer)]
    [InlineData(NormKind.Group)]
    [InlineData(NormKind.Instance)]
    [InlineData(NormKind.None)]
    [InlineData(NormKind.BatchFromScratch)]
    internal void Every_norm_fits_at_odd_sizes(NormKind norm)
    {
        using var scope = NewDisposeScope();
        using var network = new ModernCnn(Small with { Norm = norm, Height = 21, Width = 26 });
        var logits = network.forward(randn(2, 3, 21, 26));
        Assert.Equal([2, 10], logits.shape);
        logits.sum().backward();
        Assert.All(network.named_parameters().Where(pair => pair.parameter.requires_grad), pair =>
            Assert.True(pair.parameter.grad is not null, pair.name)
        );
    }

    [Theory]
    [InlineData(9, 9, true)]
    [InlineData(8, 9, false)]
    [InlineData(32, 8, false)]
    public void Pictures_that_vanish_are_refused(int height, int width, bool fits)
    {
        var options = Small with { Height = height, Width = width };
        if (fits)
        {
            using var network = new ModernCnn(options);
            using var logits = network.forward(zeros(2, 3, height, width));
            Assert.Equal([2, 10], logits.shape);
            return;
        }

        var error = Assert.Throws<UserException>(() => new ModernCnn(options));
        Assert.Contains("at least 9", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_window_that_would_vanish_is_refused()
    {
        var error = Assert.Throws<UserException>(() =>
            ConfigurationRanges.Check(new RunConfiguration("", new Recipe { Window = 8 }, Small), "recipe.json")
        );
        Assert.Contains("window", error.Message, StringComparison.Ordinal);
        ConfigurationRanges.Check(new RunConfiguration("", new Recipe { Window = 9 }, Small), "recipe.json");
    }

    [Fact]
    public void In_bfloat16_it_computes_the_same_to_eight_bits()
    {
        using var scope = NewDisposeScope();
        random.manual_seed(1);
        using var network = new ModernCnn(Small with { Initialization = InitializationKind.Dirac, Dropout = 0 });
        var x = randn(16, 3, 24, 24);
        var exact = network.forward(x);
        var half = network.forward(x.to(ScalarType.BFloat16));
        Assert.Equal(ScalarType.Float32, half.dtype);
        // Some eight roundings of 2^-9 on the way, against the spread of the logits.
        Assert.InRange((half - exact).abs().max().item<float>() / exact.abs().max().item<float>(), 1e-6, 0.1);
        half.sum().backward();
        Assert.All(network.parameters().Where(parameter => parameter.requires_grad), parameter =>
            Assert.Equal(ScalarType.Float32, parameter.grad!.dtype)
        );
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_maps_sum_is_the_logit_less_its_bias(bool hasTies)
    {
        using var scope = NewDisposeScope();
        using var model = Model(new Recipe());
        nn.init.normal_(model.Network.LastLayer.bias!, 0, 1);
        nn.init.normal_(model.Network.LastLayer.weight, 0, 0.3);
        model.Classifier.eval();
        var pixels = hasTies ? full(2, 3, 32, 32, 90f) : randint(0, 256, [2, 3, 32, 32], dtype: ScalarType.Float32);
        using var noGrad = no_grad();
        var logits = model.Classifier.Logits(pixels).data<float>().ToArray();
        var maps = ClassActivation.Of(model, pixels, [3, 7]);
        var bias = model.Network.LastLayer.bias!.data<float>().ToArray();
        // The classifier is divided by 9, its bias too; float32 sums of some terms in another order.
        Assert.Equal(logits[3] - (bias[3] / 9), maps[0].Values.Sum(value => (double)value), 1e-5);
        Assert.Equal(logits[17] - (bias[7] / 9), maps[1].Values.Sum(value => (double)value), 1e-5);
    }

    [Fact]
    public void A_trained_one_is_exported_folded_and_quantized()
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        using var model = Model(ResumeTests.Named("muon") with { Epochs = 2 });
        new Trainer(model, new SilentObserver()).Train(
            ResumeTests.Pictures,
            null,
            TestContext.Current.CancellationToken
        );
        var report = OnnxExporter.Export(
            model.Classifier,
            randint(0, 256, [1, 3, 32, 32], dtype: ScalarType.Float32),
            folder["m.onnx"],
            new ExportOptions { OutputNames = [ModelNames.Logits, ModelNames.Probabilities] }
        );
        // The export has compared both outputs with the module. A norm behind a convolution is folded; behind a
        // max-pool it is not.
        Assert.Equal(3, report.Folded.Count);
        Assert.Equal(3, report.NotFolded.Count);
        var quantized = OnnxQuantizer.Quantize(
            folder["m.onnx"],
            QuantizedPackager.Batches(ResumeTests.Pictures.Training),
            folder["q.onnx"],
            new QuantizationOptions
            {
                HeldOut = QuantizedPackager.Batches(ResumeTests.Pictures.Validation),
                FallBack = false,
                Budget = new AccuracyBudget { AccuracyDrop = 1 },
            }
        );
        var graph = OnnxReader.Read(folder["q.onnx"]);
        Assert.Equal(7, graph.Nodes.Count(node => node.OpType == "Conv"));
        Assert.True(quantized.Fidelity.Agreement >= 0.8, $"{quantized.Fidelity.Agreement}");
    }

    private static NetworkOptions Small { get; } =
        new()
        {
            Form = BlockForm.Pooled,
            Activation = ActivationKind.Gelu,
            Channels = 8,
            SecondChannels = 16,
            ThirdChannels = 24,
        };

    private static TrainedModel Model(Recipe recipe) =>
        new(ResumeTests.Settings(recipe) with { Network = Small with { Dropout = 0.1 } });
}
