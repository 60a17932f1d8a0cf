using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Quantization.Tests;

/// <summary>Builds small models node by node, which our exporter would not write.</summary>
/// <param name="opset">Version of the standard operators.</param>
internal sealed class SmallModel(int opset = 17)
{
    private int seed = 100;

    /// <summary>The graph.</summary>
    public OnnxGraph Graph { get; } = new() { Opset = opset };

    /// <summary>Changes the file's message before it is written.</summary>
    public Action<ModelProto>? Late { get; init; }

    /// <summary>An input.</summary>
    public SmallModel Input(string name, ElementType type, params object[] dims)
    {
        Graph.Inputs.Add(new ValueInfo(name, type, dims));
        return this;
    }

    /// <summary>An input of float32, the batch free.</summary>
    public SmallModel Input(string name, params long[] dims) =>
        Input(name, ElementType.Float32, ["batch", .. dims.Select(size => (object)size)]);

    /// <summary>A tensor of random normal numbers, scaled as layers are.</summary>
    public SmallModel Weight(string name, params long[] dims)
    {
        Graph.Add(Initializer.Of(name, Numbers(dims), dims));
        return this;
    }

    /// <summary>A node.</summary>
    public SmallModel Node(
        string type,
        string[] inputs,
        string output,
        params (string Name, object Value)[] attributes
    ) => Node(type, inputs, [output], attributes);

    /// <summary>A node of several outputs.</summary>
    public SmallModel Node(
        string type,
        string[] inputs,
        string[] outputs,
        params (string Name, object Value)[] attributes
    )
    {
        var node = new OnnxNode
        {
            OpType = type,
            Name = $"{type}:{outputs[0]}",
            Inputs = [.. inputs],
            Outputs = [.. outputs],
        };
        foreach (var (name, value) in attributes)
            node.Attributes[name] = value;
        Graph.Nodes.Add(node);
        return this;
    }

    /// <summary>An output.</summary>
    public SmallModel Output(string name, ElementType type = ElementType.Float32)
    {
        // Without a shape: the runtime infers it.
        Graph.Outputs.Add(
            new ValueInfo(name, type, [])
            {
                Stored = new ValueInfoProto
                {
                    Name = name,
                    Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type } },
                },
            }
        );
        return this;
    }

    /// <summary>Random numbers for a tensor.</summary>
    public float[] Numbers(params long[] dims) =>
        ArithmeticTests
            .Normal((int)dims.Aggregate(1L, (product, size) => product * size), seed++)
            .Select(value =>
                (float)(
                    value
                    / Math.Sqrt(dims.Length > 1 ? dims.Skip(1).Aggregate(1L, (product, size) => product * size) : 1)
                )
            )
            .ToArray();

    /// <summary>Any other change.</summary>
    public SmallModel With(Action<SmallModel> change)
    {
        change(this);
        return this;
    }

    /// <summary>Writes the file.</summary>
    public string Save(string path)
    {
        var model = OnnxWriter.ToProto(Graph);
        Late?.Invoke(model);
        File.WriteAllBytes(path, Google.Protobuf.MessageExtensions.ToByteArray(model));
        return path;
    }

    /// <summary>A subgraph for If: one node on values of the graph around it.</summary>
    public static AttributeProto Branch(string name, string type, string[] inputs, string output)
    {
        var graph = new GraphProto { Name = name };
        graph.Node.Add(
            new NodeProto
            {
                OpType = type,
                Name = $"{name}/{type}",
                Input = { inputs },
                Output = { output },
            }
        );
        graph.Output.Add(
            new ValueInfoProto
            {
                Name = output,
                Type = new TypeProto
                {
                    TensorType = new TypeProto.Types.Tensor { ElemType = (int)ElementType.Float32 },
                },
            }
        );
        return new AttributeProto
        {
            Name = name,
            Type = AttributeProto.Types.AttributeType.Graph,
            G = graph,
        };
    }
}
