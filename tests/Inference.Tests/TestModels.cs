using System.Runtime.InteropServices;
using Google.Protobuf;
using TorchBridge.Inference.Pictures;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Inference.Tests;

/// <summary>Makes small ONNX models, node by node.</summary>
internal static class TestModels
{
    public static readonly string[] ClassNames = ["cat", "dog", "frog"];

    /// <summary>A classifier of pictures: pixels [N, 3, size, size] to logits and probabilities, with the metadata of ours.</summary>
    public static byte[] Classifier(int size = 8, SelfCheck? check = null, PictureReading? reading = null)
    {
        var random = new Random(3);
        var weights = Enumerable.Range(0, 3 * size * size * 3).Select(_ => (float)(random.NextDouble() - 0.5) / 100).ToArray();
        var model = Model([("pixels", TensorProto.Types.DataType.Float, ["N", 3, size, size])], [("logits", TensorProto.Types.DataType.Float, ["N", 3]), ("probabilities", TensorProto.Types.DataType.Float, ["N", 3])]);
        model.Graph.Initializer.Add(Floats("w", [3 * size * size, 3], weights));
        model.Graph.Initializer.Add(Floats("b", [3], [0.1f, -0.2f, 0.3f]));
        Add(model, "Flatten", ["pixels"], ["flat"]);
        Add(model, "Gemm", ["flat", "w", "b"], ["logits"]);
        Add(model, "Softmax", ["logits"], ["probabilities"]);
        var metadata = (new ModelCard(ClassNames, size, size) { Reading = reading ?? PictureReading.Stock }).ToMetadata();
        if (check is not null) metadata = metadata.Append(check.ToMetadata());
        model.MetadataProps.AddRange(metadata.Select(pair => new StringStringEntryProto { Key = pair.Key, Value = pair.Value }));
        return model.ToByteArray();
    }

    /// <summary>Two inputs (a fixed and a free vector) and outputs of several types.</summary>
    public static byte[] Mixed()
    {
        var model = Model(
            [("a", TensorProto.Types.DataType.Float, ["N", 3]), ("free", TensorProto.Types.DataType.Float, ["N", "L"]), ("whole", TensorProto.Types.DataType.Int64, ["N", 1])],
            [("twice", TensorProto.Types.DataType.Float, ["N", 3]), ("sum", TensorProto.Types.DataType.Float, ["N", 1]), ("next", TensorProto.Types.DataType.Int64, ["N", 1]), ("positive", TensorProto.Types.DataType.Bool, ["N", 3]), ("precise", TensorProto.Types.DataType.Double, ["N", 3])]);
        model.Graph.Initializer.Add(Floats("two", [], [2]));
        model.Graph.Initializer.Add(Floats("zero", [], [0]));
        model.Graph.Initializer.Add(Longs("one", [], [1]));
        model.Graph.Initializer.Add(Longs("axis", [1], [1]));
        Add(model, "Mul", ["a", "two"], ["twice"]);
        Add(model, "ReduceSum", ["free", "axis"], ["sum"]);
        Add(model, "Add", ["whole", "one"], ["next"]);
        Add(model, "Greater", ["a", "zero"], ["positive"]);
        var cast = Add(model, "Cast", ["twice"], ["precise"]);
        cast.Attribute.Add(new AttributeProto { Name = "to", I = (long)TensorProto.Types.DataType.Double, Type = AttributeProto.Types.AttributeType.Int });
        return model.ToByteArray();
    }

    /// <summary>A model whose batch is fixed to one.</summary>
    public static byte[] FixedBatch()
    {
        var model = Model([("x", TensorProto.Types.DataType.Float, [1L, 3])], [("y", TensorProto.Types.DataType.Float, [1L, 3])]);
        Add(model, "Relu", ["x"], ["y"]);
        return model.ToByteArray();
    }

    private static ModelProto Model((string, TensorProto.Types.DataType, object[])[] inputs, (string, TensorProto.Types.DataType, object[])[] outputs)
    {
        var model = new ModelProto { IrVersion = 8, Graph = new GraphProto { Name = "test" } };
        model.OpsetImport.Add(new OperatorSetIdProto { Version = 17 });
        model.Graph.Input.AddRange(inputs.Select(Info));
        model.Graph.Output.AddRange(outputs.Select(Info));
        return model;
    }

    private static ValueInfoProto Info((string Name, TensorProto.Types.DataType Type, object[] Dims) value)
    {
        var shape = new TensorShapeProto();
        foreach (var dim in value.Dims) shape.Dim.Add(dim is string name ? new TensorShapeProto.Types.Dimension { DimParam = name } : new TensorShapeProto.Types.Dimension { DimValue = Convert.ToInt64(dim, System.Globalization.CultureInfo.InvariantCulture) });
        return new ValueInfoProto { Name = value.Name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)value.Type, Shape = shape } } };
    }

    private static NodeProto Add(ModelProto model, string opType, string[] inputs, string[] outputs)
    {
        var node = new NodeProto { OpType = opType, Name = $"{opType}{model.Graph.Node.Count}" };
        node.Input.AddRange(inputs);
        node.Output.AddRange(outputs);
        model.Graph.Node.Add(node);
        return node;
    }

    private static TensorProto Floats(string name, long[] dims, float[] values) => Tensor(name, dims, TensorProto.Types.DataType.Float, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());

    private static TensorProto Longs(string name, long[] dims, long[] values) => Tensor(name, dims, TensorProto.Types.DataType.Int64, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());

    private static TensorProto Tensor(string name, long[] dims, TensorProto.Types.DataType type, byte[] bytes)
    {
        var tensor = new TensorProto { Name = name, DataType = (int)type, RawData = ByteString.CopyFrom(bytes) };
        tensor.Dims.AddRange(dims);
        return tensor;
    }
}
