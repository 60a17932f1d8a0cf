using TorchBridge.Export;
using TorchBridge.Onnx.Proto;
using TorchBridge.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Pipeline.Tests;

/// <summary>Compares the folded network with the result of PyTorch's fuse_conv_bn_eval, tensor by tensor and node by
/// node.</summary>
public class GoldenFusionTests
{
    [Theory]
    [InlineData("plain", BlockForm.Plain, 17)]
    [InlineData("residual", BlockForm.Residual, 23)]
    internal void The_folded_network_is_PyTorchs(string name, BlockForm form, int nodes)
    {
        var unfused = Shared.Find("golden", "onnx", $"{name}_unfused_preserve_dynamic.onnx");
        var fused = Shared.Find("golden", "onnx", $"{name}_fused_flatten_dynamic.onnx");
        Assert.SkipWhen(unfused is null || fused is null, "../shared/golden is not there");
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        using var network = new ModernCnn(new NetworkOptions { Channels = 8, Form = form });
        Load(network, ModelProto.Parser.ParseFrom(File.ReadAllBytes(unfused)));
        var report = OnnxExporter.Export(network, rand(2, 3, 32, 32), folder["m.onnx"]);

        var ours = ModelProto.Parser.ParseFrom(File.ReadAllBytes(folder["m.onnx"]));
        var theirs = ModelProto.Parser.ParseFrom(File.ReadAllBytes(fused));
        Assert.Equal(nodes, ours.Graph.Node.Count);
        Assert.Equal(Operations(theirs), Operations(ours));
        Assert.Equal(form == BlockForm.Plain ? 7 : 10, report.Folded.Count);

        // Names differ, and branches may be in another order. So each of PyTorch's tensors must be equal to one of
        // ours, and no two of them to the same one.
        var left = ours.Graph.Initializer.ToList();
        foreach (
            var tensor in theirs.Graph.Initializer.Where(tensor =>
                tensor.DataType == (int)TensorProto.Types.DataType.Float
            )
        )
        {
            var want = Values(tensor);
            // fuse_conv_bn_eval computes in float32: three roundings of each weight, four of each bias, of terms up
            // to a few units.
            var match = left.FirstOrDefault(candidate =>
                candidate.Dims.SequenceEqual(tensor.Dims)
                && Values(candidate)
                    .Zip(want)
                    .All(pair => Math.Abs(pair.First - pair.Second) <= 1e-6 + (4e-7 * Math.Abs(pair.Second)))
            );
            Assert.True(match is not null, $"{tensor.Name} [{string.Join(", ", tensor.Dims)}] is none of ours");
            left.Remove(match);
        }

        Assert.Empty(left);
    }

    private static string Operations(ModelProto model) =>
        string.Join(
            ", ",
            model
                .Graph.Node.CountBy(node => node.OpType)
                .OrderBy(pair => pair.Key, StringComparer.Ordinal)
                .Select(pair => $"{pair.Value} {pair.Key}")
        );

    private static float[] Values(TensorProto tensor) =>
        System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(tensor.RawData.Span).ToArray();

    private static void Load(ModernCnn network, ModelProto model)
    {
        using var noGrad = no_grad();
        var tensors = model.Graph.Initializer.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        var loaded = 0;
        foreach (var (name, target) in network.state_dict().Where(pair => tensors.ContainsKey(pair.Key)))
        {
            target.copy_(tensor(Values(tensors[name])).reshape(target.shape));
            loaded++;
        }

        Assert.Equal(tensors.Count, loaded);
    }
}
