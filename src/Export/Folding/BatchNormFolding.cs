// What it does: puts an eval-mode BatchNorm into the linear layer before it.
//
//   BatchNorm:  z = (y - m) / sqrt(v + eps) * g + b, per channel, so z = s y + t with s = g / sqrt(v + eps), t = b - m s
//   layer:      y = W x + c                          so z = (s W) x + (s c + t)
//
// Layouts, where the output channel o of the weight is:
//   Conv           W[o, in/groups, k...]             o is axis 0
//   ConvTranspose  W[in, out/groups, k...]           o is axis 1 within the group of its input channel: o = group * (out/groups) + j
//   Gemm (transB)  W[out, in]                        o is axis 0 (alpha = 1, beta = 1, as the exporter writes it; others are refused)
// Everything is computed in float64 and rounded once. v is the running (unbiased) variance, eps is inside the root.
// Source: Ioffe & Szegedy 2015, section 3.1; PyTorch torch.nn.utils.fusion.fuse_conv_bn_weights.
using System.Runtime.InteropServices;
using TorchBridge.Export.Onnx;

namespace TorchBridge.Export.Folding;

/// <summary>Folds BatchNormalization nodes into the layers before them, or says why not.</summary>
internal static class BatchNormFolding
{
    /// <summary>Folds what can be folded, in place.</summary>
    /// <param name="graph">A graph in topological order.</param>
    /// <param name="keep">Module paths of BatchNorms that are to stay, with the reason.</param>
    public static (IReadOnlyList<string> Folded, IReadOnlyList<FoldRefusal> Refused) Fold(OnnxGraph graph, IReadOnlyDictionary<string, string>? keep = null)
    {
        var folded = new List<string>();
        var refused = new List<FoldRefusal>();
        foreach (var norm in graph.Nodes.Where(node => node.OpType == "BatchNormalization").ToArray())
        {
            var reason = keep?.GetValueOrDefault(norm.Name) ?? TryFold(graph, norm);
            if (reason is null) folded.Add(norm.ModulePath);
            else refused.Add(new FoldRefusal(norm.ModulePath, reason));
        }

        return (folded, refused);
    }

    private static string? TryFold(OnnxGraph graph, OnnxNode norm)
    {
        var layer = graph.Nodes.FirstOrDefault(node => node.Outputs.Contains(norm.Inputs[0]));
        if (layer is null) return "it normalizes an input of the model";
        if (layer.OpType is not ("Conv" or "ConvTranspose" or "Gemm")) return $"the layer before it is {layer.OpType} ({layer.Name})";
        if (graph.IsOutput(norm.Inputs[0])) return $"the output of {layer.Name} is an output of the model";
        if (graph.Uses()[norm.Inputs[0]] != 1) return $"the output of {layer.Name} is used elsewhere too";
        if (!graph.Initializers.TryGetValue(layer.Inputs[1], out var weight)) return $"the weight of {layer.Name} is computed in forward";
        if (Sharer(graph, layer, layer.Inputs[1]) is { } other) return $"weights shared with {other.Name}";
        var parameters = norm.Inputs.Skip(1).Select(graph.Initializers.GetValueOrDefault).ToArray();
        if (parameters.Any(parameter => parameter is null)) return "its statistics are computed in forward";
        Initializer? bias = null;
        if (layer.Inputs.Count > 2 && !graph.Initializers.TryGetValue(layer.Inputs[2], out bias)) return $"the bias of {layer.Name} is computed in forward";
        if (layer.OpType == "Gemm" && (layer.Int("transB", 0) != 1 || layer.Int("transA", 0) != 0 || layer.Float("alpha", 1) != 1 || layer.Float("beta", 1) != 1))
            return $"{layer.Name} is a scaled or transposed Gemm";

        var affine = ChannelAffine.OfBatchNorm(parameters!, norm.Float("epsilon", 1e-5f));
        var channels = affine.Scale.Length;
        var (newWeight, newBias) = Apply(layer, weight, bias, affine);
        Replace(graph, layer, newWeight, newBias, channels);
        layer.Outputs[0] = norm.Outputs[0];
        graph.Nodes.Remove(norm);
        // The layer must stand before whoever reads the norm: it already does, norms follow their layers.
        return null;
    }

    private static OnnxNode? Sharer(OnnxGraph graph, OnnxNode layer, string tensor) =>
        graph.Nodes.FirstOrDefault(node => node != layer && node.Inputs.Contains(tensor));

    private static (Initializer Weight, Initializer Bias) Apply(OnnxNode layer, Initializer weight, Initializer? bias, ChannelAffine affine)
    {
        var scaled = Scale(weight, ChannelOf(layer, weight.Dims), affine.Scale);

        var c = bias is null ? new double[affine.Scale.Length] : TensorBytes.ToDoubles(bias);
        var shifted = new double[affine.Scale.Length];
        for (var o = 0; o < shifted.Length; o++) shifted[o] = (affine.Scale[o] * c[o]) + affine.Shift[o];
        return (scaled, TensorBytes.FromDoubles(bias?.Name ?? BiasName(weight.Name), weight.Type, [shifted.Length], shifted));
    }

    /// <summary>Each element times its channel's scale, in float64, rounded once.</summary>
    private static Initializer Scale(Initializer weight, Func<int, int> channelOf, double[] scale)
    {
        if (weight.Type == TorchSharp.torch.ScalarType.Float32)
        {
            // The usual case without arrays of float64: a large network's weights would stand in memory three times.
            var from = MemoryMarshal.Cast<byte, float>(weight.Data.Span);
            var bytes = new byte[weight.Data.Length];
            var to = MemoryMarshal.Cast<byte, float>(bytes.AsSpan());
            for (var i = 0; i < from.Length; i++) to[i] = (float)(from[i] * scale[channelOf(i)]);
            return weight with { Data = bytes };
        }

        var values = TensorBytes.ToDoubles(weight);
        for (var i = 0; i < values.Length; i++) values[i] *= scale[channelOf(i)];
        return TensorBytes.FromDoubles(weight.Name, weight.Type, weight.Dims, values);
    }

    /// <summary>Maps a flat index of the weight to its output channel.</summary>
    private static Func<int, int> ChannelOf(OnnxNode layer, long[] dims)
    {
        if (layer.OpType != "ConvTranspose")
        {
            var perChannel = (int)(dims.Skip(1).Aggregate(1L, (product, size) => product * size));
            return i => i / perChannel;
        }

        var kernel = (int)dims.Skip(2).Aggregate(1L, (product, size) => product * size);
        var outPerGroup = (int)dims[1];
        var inPerGroup = (int)(dims[0] / layer.Int("group", 1));
        return i =>
        {
            var j = i / kernel % outPerGroup;
            var inputChannel = i / (kernel * outPerGroup);
            return (inputChannel / inPerGroup * outPerGroup) + j;
        };
    }

    private static string BiasName(string weight) => weight.EndsWith(".weight", StringComparison.Ordinal) ? $"{weight[..^".weight".Length]}.bias" : $"{weight}.bias";

    private static void Replace(OnnxGraph graph, OnnxNode layer, Initializer weight, Initializer bias, int channels)
    {
        var weightName = $"{weight.Name}:folded";
        var biasName = $"{bias.Name}:folded";
        graph.Initializers[weightName] = weight with { Name = weightName, Source = null };
        graph.Initializers[biasName] = bias with { Name = biasName, Dims = [channels], Source = null };
        layer.Inputs[1] = weightName;
        if (layer.Inputs.Count > 2) layer.Inputs[2] = biasName;
        else layer.Inputs.Add(biasName);
    }
}
