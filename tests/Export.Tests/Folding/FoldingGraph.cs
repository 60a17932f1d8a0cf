using TorchBridge.Onnx.Graph;

namespace TorchBridge.Export.Tests;

/// <summary>Small graphs built by hand, with numbers that are exact in float64 and float32.</summary>
internal static class FoldingGraph
{
    /// <summary>A graph from x, of the sizes given (the batch is free), to y, with these nodes.</summary>
    public static OnnxGraph Of(long[] sizes, params OnnxNode[] nodes)
    {
        var graph = new OnnxGraph { Opset = 17 };
        graph.Inputs.Add(new ValueInfo("x", ElementType.Float32, ["batch", .. sizes.Select(size => (object)size)]));
        graph.Outputs.Add(new ValueInfo("y", ElementType.Float32, ["batch"]));
        graph.Nodes.AddRange(nodes);
        return graph;
    }

    /// <summary>Adds a tensor of float32.</summary>
    public static OnnxGraph With(this OnnxGraph graph, string name, float[] values, params long[] dims)
    {
        graph.Add(Initializer.Of(name, values, dims));
        return graph;
    }

    /// <summary>Adds the four tensors of a norm of two channels: 3 x + 2 and x - 2, with epsilon 1.</summary>
    public static OnnxGraph WithNorm(this OnnxGraph graph) =>
        graph.With("gamma", [6, 1], 2).With("beta", [5, 0], 2).With("mean", [1, 2], 2).With("variance", [3, 0], 2);

    /// <summary>The norm of <see cref="WithNorm"/>.</summary>
    public static OnnxNode Norm(string from, string to, string name = "norm") =>
        Node("BatchNormalization", [from, "gamma", "beta", "mean", "variance"], to, name, ("epsilon", 1f));

    /// <summary>A node.</summary>
    public static OnnxNode Node(
        string type,
        string[] inputs,
        string output,
        string? name = null,
        params (string Name, object Value)[] attributes
    )
    {
        var node = new OnnxNode
        {
            OpType = type,
            Name = name ?? type,
            ModulePath = $"path.{name ?? type}",
            Inputs = [.. inputs],
            Outputs = [output],
        };
        foreach (var (key, value) in attributes)
            node.Attributes[key] = value;
        return node;
    }

    /// <summary>A Gemm as the exporter writes it.</summary>
    public static OnnxNode Gemm(string[] inputs, string output, string name = "gemm") =>
        Node("Gemm", inputs, output, name, ("transB", 1L));

    /// <summary>The operators in order.</summary>
    public static string Text(this OnnxGraph graph) => string.Join(", ", graph.Nodes.Select(node => node.OpType));
}
