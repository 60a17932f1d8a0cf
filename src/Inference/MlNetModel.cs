using Google.Protobuf;
using TorchBridge.Onnx.Proto;
using static TorchBridge.Onnx.Proto.AttributeProto.Types;

namespace TorchBridge.Inference;

/// <summary>Makes the variant of a classifier's ONNX file that stock ML.NET understands best.</summary>
public static class MlNetModel
{
    /// <summary>Name of the output with the probabilities.</summary>
    public const string Score = "Score";

    /// <summary>Name of the output with the most probable class's name.</summary>
    public const string PredictedLabel = "PredictedLabel";

    /// <summary>
    /// A copy of a classifier whose outputs are <c>Score</c> (float32 [N, classes], with the class names as slot names) and
    /// <c>PredictedLabel</c> (string [N, 1]). ML.NET takes every ONNX output for a vector, so the label is text of length one there.
    /// </summary>
    /// <param name="onnx">A classifier's ONNX file.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <param name="classNames">One a class, in the order of the scores.</param>
    /// <param name="probabilities">Name of the output that holds the probabilities.</param>
    /// <returns>The new file's bytes.</returns>
    /// <exception cref="InvalidDataException">The file has no such output.</exception>
    public static byte[] From(byte[] onnx, string name, IReadOnlyList<string> classNames, string probabilities = "probabilities")
    {
        ArgumentNullException.ThrowIfNull(classNames);
        var model = ModelProto.Parser.ParseFrom(onnx);
        var graph = model.Graph;
        var output = graph.Output.FirstOrDefault(value => value.Name == probabilities)
            ?? throw new InvalidDataException($"{name} has no output '{probabilities}'; it has {string.Join(", ", graph.Output.Select(value => value.Name))}");
        var batch = output.Type.TensorType.Shape.Dim[0];

        foreach (var node in graph.Node) Rename(node, probabilities);
        graph.Node.Add(Node("ArgMax", "label/ArgMax", [Score], ["label_index"], Int("axis", 1), Int("keepdims", 1)));
        graph.Initializer.Add(Names(classNames));
        graph.Node.Add(Node("Gather", "label/Gather", ["class_names", "label_index"], [PredictedLabel]));
        graph.Node.Add(SlotNames(classNames));
        graph.Output.Clear();
        graph.Output.Add(Output(Score, TensorProto.Types.DataType.Float, batch, classNames.Count));
        graph.Output.Add(Output(PredictedLabel, TensorProto.Types.DataType.String, batch, 1));
        graph.ValueInfo.Clear();
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "ai.onnx.ml", Version = 3 });
        return model.ToByteArray();
    }

    private static void Rename(NodeProto node, string from)
    {
        for (var i = 0; i < node.Output.Count; i++) node.Output[i] = node.Output[i] == from ? Score : node.Output[i];
        for (var i = 0; i < node.Input.Count; i++) node.Input[i] = node.Input[i] == from ? Score : node.Input[i];
    }

    private static TensorProto Names(IReadOnlyList<string> classNames)
    {
        var names = new TensorProto { Name = "class_names", DataType = (int)TensorProto.Types.DataType.String };
        names.Dims.Add(classNames.Count);
        names.StringData.AddRange(classNames.Select(ByteString.CopyFromUtf8));
        return names;
    }

    private static NodeProto SlotNames(IReadOnlyList<string> classNames)
    {
        // ML.NET looks for a node of this name and takes its keys_strings for the slot names of Score; what the node computes is not used.
        var keys = new AttributeProto { Name = "keys_strings", Type = AttributeType.Strings };
        keys.Strings.AddRange(classNames.Select(ByteString.CopyFromUtf8));
        var values = new AttributeProto { Name = "values_int64s", Type = AttributeType.Ints };
        values.Ints.AddRange(Enumerable.Range(0, classNames.Count).Select(i => (long)i));
        var node = Node("LabelEncoder", $"mlnet.{Score}.SlotNames", [PredictedLabel], ["label_number"], keys, values);
        node.Domain = "ai.onnx.ml";
        return node;
    }

    private static ValueInfoProto Output(string name, TensorProto.Types.DataType type, TensorShapeProto.Types.Dimension batch, long width)
    {
        var shape = new TensorShapeProto();
        shape.Dim.Add(batch.Clone());
        shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimValue = width });
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = shape } } };
    }

    private static NodeProto Node(string opType, string name, string[] inputs, string[] outputs, params AttributeProto[] attributes)
    {
        var node = new NodeProto { OpType = opType, Name = name };
        node.Input.AddRange(inputs);
        node.Output.AddRange(outputs);
        node.Attribute.AddRange(attributes);
        return node;
    }

    private static AttributeProto Int(string name, long value) => new() { Name = name, I = value, Type = AttributeType.Int };
}
