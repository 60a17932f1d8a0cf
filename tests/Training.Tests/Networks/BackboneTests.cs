using TorchBridge.Export;
using TorchBridge.Training.Networks;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests.Networks;

/// <summary>The networks with torchvision's shape: keys, sizes, and that each becomes an ONNX file with every
/// BatchNorm folded.</summary>
public class BackboneTests
{
    // Parameters and state-dict entries as torchvision 0.15 counts them, with 1,000 classes.
    [Theory]
    [InlineData("Resnet18", 11_689_512, 122, "layer2.0.downsample.1.running_var", "fc.weight")]
    [InlineData("Resnet34", 21_797_672, 218, "layer3.5.bn2.num_batches_tracked", "fc.bias")]
    [InlineData("Resnet50", 25_557_032, 320, "layer1.0.downsample.0.weight", "layer4.2.conv3.weight")]
    [InlineData("MobilenetV3Small", 2_542_856, 244, "features.1.block.1.fc1.bias", "classifier.3.weight")]
    [InlineData("MobilenetV3Large", 5_483_032, 312, "features.16.1.running_mean", "features.4.block.2.fc2.weight")]
    public void Parameters_and_keys_are_torchvisions(string kind, long parameters, int entries, params string[] keys)
    {
        using var network = Make(kind, 1000);
        Assert.Equal(parameters, network.parameters().Sum(parameter => parameter.numel()));
        var state = network.state_dict();
        Assert.Equal(entries, state.Count);
        Assert.All(keys, key => Assert.Contains(key, state.Keys));
        // Every parameter belongs to one part, and all parts have some: rates by layer rest on it.
        Assert.Equal(
            Enumerable.Range(0, network.Stages.Count),
            network.named_parameters().Select(pair => network.StageOf(pair.name)).Distinct().Order()
        );
    }

    [Theory]
    [InlineData("Resnet18", 20)]
    [InlineData("Resnet34", 36)]
    [InlineData("Resnet50", 53)]
    [InlineData("MobilenetV3Small", 34)]
    [InlineData("MobilenetV3Large", 46)]
    public void Each_is_exported_with_every_BatchNorm_folded(string kind, int norms)
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        random.manual_seed(3);
        using var network = Make(kind, 5);
        Stir(network);
        network.eval();
        // The exporter compares file and module, and throws where they differ.
        var report = OnnxExporter.Export(network, rand(1, 3, 32, 32), folder["network.onnx"]);
        Assert.Empty(report.NotFolded);
        Assert.Equal(norms, report.Folded.Count);
    }

    [Theory]
    [InlineData("Resnet18")]
    [InlineData("MobilenetV3Small")]
    public void Bfloat16_pictures_give_float32_logits_of_the_same_size(string kind)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(3);
        using var network = Make(kind, 5);
        network.eval();
        using var noGrad = no_grad();
        var x = rand(2, 3, 64, 64);
        var exact = network.Features(x);
        var cast = network.Features(x.to(ScalarType.BFloat16));
        Assert.Equal(ScalarType.Float32, cast.dtype);
        // 8 bits of mantissa through some twenty layers: a few percent.
        Assert.True((exact - cast).norm().ToDouble() <= 0.05 * exact.norm().ToDouble());
        Assert.Equal([2L, 5], network.forward(x).shape);
    }

    private static ImageNetwork Make(string kind, int classes) =>
        ImageNetwork.Make(
            new NetworkOptions
            {
                Kind = Enum.Parse<NetworkKind>(kind),
                Classes = classes,
                Height = 64,
                Width = 64,
                Dropout = 0.2,
            }
        );

    /// <summary>Running statistics as after training: with zeros and ones a wrong fold would not show.</summary>
    private static void Stir(nn.Module network)
    {
        foreach (var norm in network.modules().OfType<BatchNorm2d>())
        {
            nn.init.normal_(norm.running_mean!, 0, 0.1);
            nn.init.uniform_(norm.running_var!, 0.5, 1.5);
            nn.init.uniform_(norm.weight, 0.5, 1.5);
            nn.init.normal_(norm.bias!, 0, 0.1);
        }
    }
}
