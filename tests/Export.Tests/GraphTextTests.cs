using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>The graph of each whole network as text: a change of lowering or folding shows in a diff.</summary>
public class GraphTextTests
{
    private static readonly Dictionary<string, (Func<nn.Module> Make, long[] Shape, bool IsTokens, int[] Free)> All =
        new(StringComparer.Ordinal)
        {
            ["resnet18"] = (() => ResNet.ResNet18(16), [1, 3, 64, 64], false, [0]),
            ["resnet50"] = (() => ResNet.ResNet50(8), [1, 3, 64, 64], false, [0]),
            ["mobilenet_v2"] = (() => new MobileNet(v3: false), [1, 3, 32, 32], false, [0]),
            ["mobilenet_v3"] = (() => new MobileNet(v3: true), [1, 3, 32, 32], false, [0]),
            ["vgg"] = (() => new Vgg(), [1, 3, 32, 32], false, [0]),
            ["inception"] = (() => new Inception(), [1, 3, 16, 16], false, [0]),
            ["unet"] = (() => new UNet(), [1, 3, 32, 32], false, [0, 2, 3]),
            ["lstm_tagger"] = (() => new Tagger(), [2, 9], true, [0, 1]),
            ["gru"] = (() => new GruClassifier(), [2, 7, 6], false, [0, 1]),
            ["transformer_encoder"] = (() => new TransformerClassifier(), [2, 12], true, [0, 1]),
            ["vision_transformer"] = (() => new VisionTransformer(), [1, 3, 16, 16], false, [0]),
            ["gpt"] = (() => new Gpt(), [2, 12], true, [0, 1]),
        };

    public static TheoryData<string> Names => [.. All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Is_as_committed(string name)
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        var (make, shape, isTokens, free) = All[name];
        using var network = make();
        FoldingTests.Randomize(network);
        var options = new ExportOptions { Verify = false };
        options.FreeAxes[network.GetType().GetMethod("forward")!.GetParameters()[0].Name!] = free;
        var example = isTokens ? randint(0, 40, shape, ScalarType.Int64) : randn(shape);
        OnnxExporter.Export(network, [example], folder["m.onnx"], options);
        var text = GraphText.Of(OnnxReader.Read(folder["m.onnx"]));
        var path = Path.Combine(Shared.Repository, "tests", "Export.Tests", "Graphs", $"{name}.txt");
        Assert.Null(Snapshot.Difference(text, path, $"the graph of {name}"));
    }
}
