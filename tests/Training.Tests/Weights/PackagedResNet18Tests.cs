using TorchBridge.Onnx.Format;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Weights;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests.Weights;

/// <summary>The ResNet-18 from the NuGet package: what its import promises, and that each possible fault is
/// detected.</summary>
public class PackagedResNet18Tests
{
    private static readonly string[] Classes = ["ant", "bee"];

    [Fact]
    public void The_network_says_what_the_packages_own_file_says()
    {
        using var package = PackagedResNet18.Open();
        using var network = Make(package);
        Assert.Contains(
            "import verified on 8 pictures",
            package.LoadInto(network, Classes, DrawnLarge()),
            StringComparison.Ordinal
        );
        // Red, green, blue, as fractions of 255; the package's own picture has blue 103, green 116, red 123.
        Assert.Equal([0.48, 0.45, 0.40], package.Statistics.Mean.Select(value => Math.Round(value, 2)));
        Assert.True(ImportProof.Of(package, network, null).LargestRelative < 1e-5);
    }

    [Theory]
    [InlineData(256, 8)]
    [InlineData(192, 3)]
    public void Of_larger_pictures_the_middle_is_in_the_proof_and_smaller_ones_are_not(int side, int proved)
    {
        using var package = PackagedResNet18.Open();
        using var network = Make(package);
        Assert.Contains(
            $"import verified on {proved} pictures",
            package.LoadInto(network, Classes, DrawnLarge(side)),
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("a changed tensor")]
    [InlineData("swapped statistics")]
    [InlineData("blue, green, red")]
    public void A_wrong_tensor_of_the_import_shows_in_the_features(string fault)
    {
        using var package = PackagedResNet18.Open();
        using var scope = NewDisposeScope();
        using var network = Make(package);
        // In the package's tensors, so that only the comparison with the package's file can notice.
        switch (fault)
        {
            case "a changed tensor":
                package.Tensors["layer3.1.conv2.weight"][3].mul_(1.1);
                break;
            case "swapped statistics":
                var mean = package.Tensors["layer2.0.bn1.running_mean"].clone();
                package.Tensors["layer2.0.bn1.running_mean"].copy_(package.Tensors["layer2.0.bn1.running_var"]);
                package.Tensors["layer2.0.bn1.running_var"].copy_(mean.abs());
                break;
            default:
                package.Tensors["conv1.weight"].copy_(package.Tensors["conv1.weight"].flip(1));
                break;
        }

        Assert.Contains(
            "a feature differs",
            Assert.Throws<UserException>(() => package.LoadInto(network, Classes, null)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Another_eps_shows_in_the_features()
    {
        using var package = PackagedResNet18.Open();
        using var network = Make(package);
        foreach (var norm in network.modules().OfType<BatchNorm2d>())
            norm.eps = 1e-3;
        Assert.Contains(
            "a feature differs",
            Assert.Throws<UserException>(() => package.LoadInto(network, Classes, null)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void One_bit_of_a_tensor_that_no_feature_shows_is_noticed()
    {
        using var package = PackagedResNet18.Open();
        using var network = Make(package);
        _ = package.LoadInto(network, Classes, null);
        using (no_grad())
            network.state_dict()["layer4.1.conv1.weight"][5, 5, 1, 1].mul_(1 + 1e-6);
        Assert.Contains(
            "layer4.1.conv1.weight",
            Assert.Throws<UserException>(() => ImportProof.Of(package, network, null)).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("epsilon")]
    [InlineData("strides")]
    [InlineData("pads")]
    public void A_graph_that_is_no_ResNet18_of_CNTK_is_refused(string attribute)
    {
        var graph = OnnxReader.Read(PackagedResNet18.NetworkFile);
        var node = graph.Nodes.Last(candidate =>
            candidate.Attributes.ContainsKey(attribute)
            && candidate.OpType is "Conv" or "BatchNormalization"
            && candidate.Attributes.ContainsKey(attribute)
        );
        node.Attributes[attribute] =
            attribute == "epsilon" ? 1e-3f
            : attribute == "strides" ? new long[] { 2, 2 }
            : new long[] { 0, 0, 0, 0 };
        Assert.Contains(
            node.Name,
            Assert.Throws<InvalidDataException>(() => CntkResNetGraph.Read(graph)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Another_network_is_refused()
    {
        using var package = PackagedResNet18.Open();
        Assert.Contains(
            "resnet50",
            Assert
                .Throws<UserException>(() =>
                    package.Shape(new NetworkOptions { Kind = NetworkKind.Resnet50 }, isKindAsked: true)
                )
                .Message,
            StringComparison.Ordinal
        );
    }

    private static ImageNetwork Make(PackagedResNet18 package) =>
        ImageNetwork.Make(
            package.Shape(
                new NetworkOptions
                {
                    Classes = 2,
                    Height = 224,
                    Width = 224,
                },
                isKindAsked: false
            )
        );

    /// <summary>Five pictures of the package's size, with shapes in them.</summary>
    private static PictureSet DrawnLarge(int side = PackagedResNet18.InputSide)
    {
        var small = DrawnPictures.Make(1, 10, 10, 10).Training;
        var factor = side / 32;
        var large = new PictureSet(new byte[10 * 3 * side * side], small.Labels, side, side);
        for (var i = 0; i < large.Pixels.Length; i++)
        {
            int x = i % side,
                y = i / side % side,
                plane = i / side / side;
            large.Pixels[i] = small.Pixels[(((plane * 32) + (y / factor)) * 32) + (x / factor)];
        }

        return large;
    }
}
