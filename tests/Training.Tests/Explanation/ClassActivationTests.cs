using TorchBridge.Export;
using TorchBridge.Onnx.Contract;
using TorchBridge.Training.Data;
using TorchBridge.Training.Explanation;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests.Explanation;

/// <summary>The class-activation map is the logit, distributed over the picture.</summary>
public class ClassActivationTests
{
    [Theory]
    [InlineData("ModernCnn")]
    [InlineData("Resnet18")]
    public void The_maps_sum_is_the_logit_less_its_bias(string kind)
    {
        using var scope = NewDisposeScope();
        using var model = Model(kind);
        nn.init.normal_(model.Network.LastLayer.bias!, 0, 1);
        nn.init.normal_(model.Network.LastLayer.weight, 0, 0.3);
        model.Classifier.eval();
        var pixels = randint(0, 256, [3, 3, 64, 64], dtype: ScalarType.Float32);
        float[] logits;
        using (no_grad())
            logits = model.Classifier.Logits(pixels).data<float>().ToArray();
        var bias = model.Network.LastLayer.bias!.data<float>().ToArray();
        foreach (var label in Enumerable.Range(0, 4))
        {
            var maps = ClassActivation.Of(model, pixels, [label, label, label]);
            for (var i = 0; i < 3; i++)
            {
                // Float32 sums of some hundred terms in another order.
                Assert.Equal(
                    logits[(4 * i) + label] - bias[label],
                    maps[i].Values.Sum(value => (double)value),
                    1e-4 * logits.Max(Math.Abs)
                );
                Assert.Equal(maps[i].Rows * maps[i].Columns, maps[i].Values.Length);
            }
        }
    }

    [Fact]
    public void The_exported_maps_are_the_networks_and_the_other_outputs_stay()
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        using var model = Model("Resnet18");
        var explaining = new ExplainingClassifier(model.Classifier);
        explaining.eval();
        var report = OnnxExporter.Export(
            explaining,
            randint(0, 256, [1, 3, 64, 64], dtype: ScalarType.Float32),
            folder["m.onnx"],
            new ExportOptions { OutputNames = [ModelNames.Logits, ModelNames.Probabilities, ModelNames.ActivationMap] }
        );
        Assert.Equal(
            [ModelNames.Logits, ModelNames.Probabilities, ModelNames.ActivationMap],
            report.Parity!.Outputs.Select(output => output.Output)
        );
    }

    [Fact]
    public void A_network_with_a_hidden_layer_behind_its_pool_has_no_exact_map()
    {
        using var model = Model("MobilenetV3Small");
        Assert.Contains(
            "hidden layer",
            Assert.Throws<UserException>(() => ClassActivation.RequireExact(model.Network)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void An_overlay_is_red_where_the_evidence_is_and_the_picture_where_there_is_none()
    {
        var grey = Enumerable.Repeat((byte)100, 3 * 64 * 64).ToArray();
        var map = new ClassActivation([5, -1, -1, -2], 2, 2);
        var planes = new byte[3 * 256 * 256];
        TorchBridge.Inference.Pictures.PictureReader.Read(
            MapOverlay.Png(grey, 64, 64, map),
            "overlay",
            256,
            256,
            planes
        );
        int Red(int x, int y) => planes[(256 * y) + x];
        int Blue(int x, int y) => planes[(2 * 256 * 256) + (256 * y) + x];
        Assert.True(Red(10, 10) > 180 && Blue(10, 10) < 60);
        Assert.Equal((100, 100), (Red(250, 250), Blue(250, 250)));
        Assert.Equal(
            MapOverlay.Png(grey, 64, 64, null),
            MapOverlay.Png(grey, 64, 64, new ClassActivation([-1, -1, -1, -1], 2, 2))
        );
    }

    private static TrainedModel Model(string kind) =>
        new(
            new ModelSettings(
                new NetworkOptions
                {
                    Kind = Enum.Parse<NetworkKind>(kind),
                    Classes = 4,
                    Height = 64,
                    Width = 64,
                    Channels = kind == "ModernCnn" ? 8 : 64,
                },
                new Recipe(),
                ComputeOptions.Default,
                5,
                "none",
                null,
                ["a", "b", "c", "d"],
                new ChannelStatistics([0.5, 0.5, 0.5], [0.25, 0.25, 0.25])
            )
        );
}
