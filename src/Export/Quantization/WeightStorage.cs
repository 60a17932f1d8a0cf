// What it does: stores weights smaller, and computes in float32 as before.
//   int8     w' = Cast(q) * scale, one scale an output channel: two nodes that a runtime computes once, when it loads the model
//   float16  w' = Cast(h): h stands in a Constant node, because ML.NET's ApplyOnnxModel refuses float16 initializers
using System.Runtime.InteropServices;
using TorchBridge.Onnx.Proto;
using DataType = TorchBridge.Onnx.Proto.TensorProto.Types.DataType;

namespace TorchBridge.Export.Quantization;

/// <summary>Weight-only compression.</summary>
internal static class WeightStorage
{
    /// <summary>Smaller tensors are left: their nodes would outweigh what they save.</summary>
    private const int LeastElements = 256;

    private const float LargestHalf = 65504;

    /// <summary>Rewrites a model in place.</summary>
    /// <returns>Names of the tensors that are stored smaller.</returns>
    public static IReadOnlyList<string> Apply(OnnxModel model, QuantizationMode mode)
    {
        var done = new List<string>();
        var nodes = new List<NodeProto>();
        foreach (var tensor in model.Proto.Graph.Initializer.Where(tensor => tensor.DataType == (int)DataType.Float).ToArray())
        {
            var values = OnnxModel.Floats(tensor);
            if (values.Length < LeastElements || model.IsOutput(tensor.Name)) continue;
            var replaced = mode == QuantizationMode.WeightsFloat16 ? Half(tensor, values) : ChannelAxis(model, tensor) is { } axis ? Int8(model, tensor, values, axis) : null;
            if (replaced is null) continue;
            nodes.AddRange(replaced);
            done.Add(tensor.Name);
            // Its name is now that of a computed value.
            tensor.Name += ":float32";
        }

        var before = model.Nodes.ToArray();
        model.Nodes.Clear();
        foreach (var node in nodes.Concat(before)) model.Nodes.Add(node);
        model.RemoveUnread();
        return done;
    }

    /// <summary>The axis of the output channels; null for a tensor that is no layer's weight.</summary>
    private static int? ChannelAxis(OnnxModel model, TensorProto tensor)
    {
        if (tensor.Dims.Count < 2) return null;
        foreach (var reader in model.Consumers(tensor.Name))
        {
            switch (reader.OpType)
            {
                case "Conv" when reader.Input[1] == tensor.Name: return 0;
                case "ConvTranspose" when reader.Input[1] == tensor.Name: return 1;
                case "Gemm" when reader.Input[1] == tensor.Name: return OnnxModel.Int(reader, "transB", 0) != 0 ? 0 : 1;
                case "MatMul" when reader.Input[1] == tensor.Name: return tensor.Dims.Count - 1;
                case "LSTM" or "GRU" or "RNN": return 1;
            }
        }

        return null;
    }

    private static NodeProto[]? Half(TensorProto tensor, float[] values)
    {
        if (values.Any(value => !(Math.Abs(value) <= LargestHalf))) return null;
        var halves = OnnxModel.Tensor("", DataType.Float16, MemoryMarshal.AsBytes(Array.ConvertAll(values, value => (Half)value).AsSpan()), [.. tensor.Dims]);
        var constant = new NodeProto { OpType = "Constant", Name = $"{tensor.Name}:float16" };
        constant.Attribute.Add(new AttributeProto { Name = "value", T = halves, Type = AttributeProto.Types.AttributeType.Tensor });
        constant.Output.Add($"{tensor.Name}:float16");
        return [constant, Cast(constant.Output[0], tensor.Name)];
    }

    private static NodeProto[] Int8(OnnxModel model, TensorProto tensor, float[] values, int axis)
    {
        int channels = (int)tensor.Dims[axis], inner = (int)tensor.Dims.Skip(axis + 1).Aggregate(1L, (product, size) => product * size);
        var weights = new ChannelWeights(values, channels, inner);
        var scales = weights.Scales(127);
        var integers = weights.Round(scales, 127);
        var shape = new long[tensor.Dims.Count];
        Array.Fill(shape, 1);
        shape[axis] = channels;
        model.Add(OnnxModel.Tensor($"{tensor.Name}:int8", DataType.Int8, MemoryMarshal.AsBytes(integers.AsSpan()), [.. tensor.Dims]));
        model.Add(OnnxModel.Tensor($"{tensor.Name}:scale", scales, shape));
        var product = new NodeProto { OpType = "Mul", Name = $"{tensor.Name}:scaled" };
        product.Input.AddRange([$"{tensor.Name}:unscaled", $"{tensor.Name}:scale"]);
        product.Output.Add(tensor.Name);
        return [Cast($"{tensor.Name}:int8", $"{tensor.Name}:unscaled"), product];
    }

    private static NodeProto Cast(string from, string to)
    {
        var cast = new NodeProto { OpType = "Cast", Name = $"{to}:cast" };
        cast.Input.Add(from);
        cast.Output.Add(to);
        cast.Attribute.Add(new AttributeProto { Name = "to", I = (int)DataType.Float, Type = AttributeProto.Types.AttributeType.Int });
        return cast;
    }
}
