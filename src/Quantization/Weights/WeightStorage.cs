// What it does: stores weights in fewer bits and computes in float32 as before.
//   int8     w' = Cast(q) * scale, one scale per output channel: two nodes that a runtime computes once, on loading
//   float16  w' = Cast(h): h is in a Constant node, because ML.NET's ApplyOnnxModel refuses float16 initializers
using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Preparation;

namespace TorchBridge.Quantization.Weights;

/// <summary>
/// Weight-only compression: weights stored in int8 or float16, everything computed in float32 as before.
/// </summary>
internal static class WeightStorage
{
    /// <summary>Smaller tensors are left unchanged: the added nodes would take more space than is saved.</summary>
    private const int LeastElements = 256;

    /// <summary>The largest finite float16.</summary>
    private const float LargestHalf = 65504;

    /// <summary>Rewrites a model in place.</summary>
    /// <param name="model">The model; changed in place. The nodes that restore the weights come first.</param>
    /// <param name="mode">int8 or float16.</param>
    /// <returns>Names of the compressed tensors.</returns>
    public static IReadOnlyList<string> Apply(OnnxGraph model, QuantizationMode mode)
    {
        var done = new List<string>();
        var nodes = new List<OnnxNode>();
        var index = model.Index();
        var names = new FreshNames(model);
        foreach (var tensor in model.Initializers.Values.Where(tensor => tensor.Type == ElementType.Float32).ToArray())
        {
            if (
                tensor.Count < LeastElements
                || index.IsOutput(tensor.Name)
                || tensor.Floats().Any(value => !float.IsFinite(value))
            )
                continue;
            var replaced =
                mode == QuantizationMode.WeightsFloat16 ? Half(tensor, names)
                : ChannelAxis(index, tensor) is { } axis ? Int8(model, tensor, axis, names)
                : null;
            if (replaced is null)
                continue;
            nodes.AddRange(replaced);
            done.Add(tensor.Name);
        }

        // These names now belong to computed values.
        foreach (var name in done)
            model.Initializers.Remove(name);
        model.Inputs.RemoveAll(input => done.Contains(input.Name));
        model.Nodes.InsertRange(0, nodes);
        model.RemoveUnreadInitializers();
        return done;
    }

    /// <summary>The axis of the output channels; null for a tensor that is not a layer's weight.</summary>
    /// <param name="index">Index of the graph.</param>
    /// <param name="tensor">A weight.</param>
    private static int? ChannelAxis(GraphIndex index, Initializer tensor)
    {
        if (tensor.Dims.Length < 2)
            return null;
        foreach (var reader in index.Readers(tensor.Name))
        {
            switch (reader.StandardType)
            {
                case "Conv" when reader.Inputs[1] == tensor.Name:
                    return 0;
                case "ConvTranspose" when reader.Inputs[1] == tensor.Name:
                    return 1;
                case "Gemm" when reader.Inputs[1] == tensor.Name:
                    return reader.Int("transB", 0) != 0 ? 0 : 1;
                case "MatMul" when reader.Inputs[1] == tensor.Name:
                    return tensor.Dims.Length - 1;
                case "LSTM" or "GRU" or "RNN":
                    return 1;
            }
        }

        return null;
    }

    /// <summary>A float16 constant and its Cast; null if a weight overflows float16.</summary>
    /// <param name="tensor">A weight.</param>
    /// <param name="names">Source of names for the new values.</param>
    /// <returns>Null if a weight overflows float16.</returns>
    private static OnnxNode[]? Half(Initializer tensor, FreshNames names)
    {
        var values = tensor.Floats();
        if (values.Any(value => !(Math.Abs(value) <= LargestHalf)))
            return null;
        var name = names.Take($"{tensor.Name}:float16");
        var constant = new OnnxNode
        {
            OpType = "Constant",
            Name = name,
            Inputs = [],
            Outputs = [name],
        };
        constant.Attributes["value"] = Initializer.Of<Half>(
            "",
            ElementType.Float16,
            Array.ConvertAll(values, value => (Half)value),
            tensor.Dims
        );
        return [constant, Cast(name, tensor.Name, names)];
    }

    /// <summary>Integers, their Cast to float32, and a Mul with one scale per output channel.</summary>
    /// <param name="model">The graph, which receives the stored tensors.</param>
    /// <param name="tensor">A weight.</param>
    /// <param name="axis">Axis of its output channels.</param>
    /// <param name="names">Source of names for the new values.</param>
    private static OnnxNode[] Int8(OnnxGraph model, Initializer tensor, int axis, FreshNames names)
    {
        int channels = (int)tensor.Dims[axis],
            inner = (int)tensor.Dims.Skip(axis + 1).Aggregate(1L, (product, size) => product * size);
        var weights = new ChannelWeights(tensor.Floats(), channels, inner);
        var scales = weights.Scales(127);
        var shape = new long[tensor.Dims.Length];
        Array.Fill(shape, 1);
        shape[axis] = channels;
        string integers = names.Take($"{tensor.Name}:int8"),
            unscaled = names.Take($"{tensor.Name}:unscaled"),
            scale = names.Take($"{tensor.Name}:scale");
        model.Add(Initializer.Of<sbyte>(integers, ElementType.Int8, weights.Round(scales, 127), tensor.Dims));
        model.Add(Initializer.Of(scale, scales, shape));
        var product = new OnnxNode
        {
            OpType = "Mul",
            Name = names.Take($"{tensor.Name}:scaled"),
            Inputs = [unscaled, scale],
            Outputs = [tensor.Name],
        };
        return [Cast(integers, unscaled, names), product];
    }

    /// <summary>A Cast to float32.</summary>
    /// <param name="from">A float16 value.</param>
    /// <param name="to">The float32 value.</param>
    /// <param name="names">Source of a name for the node.</param>
    private static OnnxNode Cast(string from, string to, FreshNames names)
    {
        var cast = new OnnxNode
        {
            OpType = "Cast",
            Name = names.Take($"{to}:cast"),
            Inputs = [from],
            Outputs = [to],
        };
        cast.Attributes["to"] = (long)ElementType.Float32;
        return cast;
    }
}
