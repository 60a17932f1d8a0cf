using System.Runtime.InteropServices;
using Google.Protobuf;
using TorchBridge.Inference.Pictures;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Inference.Tests;

/// <summary>Makes small ONNX models, node by node.</summary>
internal static class TestModels
{
    public static readonly string[] ClassNames = ["cat", "dog", "frog"];

    /// <summary>A classifier of pictures: pixels [N, 3, size, size] to logits and probabilities, with the metadata of
    /// ours.</summary>
    public static byte[] Classifier(int size = 8, SelfCheck? check = null, PictureReading? reading = null)
    {
        var random = new Random(3);
        var weights = Enumerable
            .Range(0, 3 * size * size * 3)
            .Select(_ => (float)(random.NextDouble() - 0.5) / 100)
            .ToArray();
        var model = Model(
            [("pixels", TensorProto.Types.DataType.Float, ["N", 3, size, size])],
            [
                ("logits", TensorProto.Types.DataType.Float, ["N", 3]),
                ("probabilities", TensorProto.Types.DataType.Float, ["N", 3]),
            ]
        );
        model.Graph.Initializer.Add(Floats("w", [3 * size * size, 3], weights));
        model.Graph.Initializer.Add(Floats("b", [3], [0.1f, -0.2f, 0.3f]));
        Add(model, "Flatten", ["pixels"], ["flat"]);
        Add(model, "Gemm", ["flat", "w", "b"], ["logits"]);
        Add(model, "Softmax", ["logits"], ["probabilities"]);
        var metadata = (
            new ModelCard(ClassNames, size, size) { Reading = reading ?? PictureReading.Stock }
        ).ToMetadata();
        if (check is not null)
            metadata = metadata.Append(check.ToMetadata());
        model.MetadataProps.AddRange(
            metadata.Select(pair => new StringStringEntryProto { Key = pair.Key, Value = pair.Value })
        );
        return model.ToByteArray();
    }

    /// <summary>A classifier that loads and fails at every picture: an index beyond its table.</summary>
    public static byte[] CannotRun()
    {
        var model = ModelProto.Parser.ParseFrom(Classifier());
        model.Graph.Node.Single(node => node.OpType == "Gemm").Output[0] = "raw";
        model.Graph.Initializer.Add(Longs("none", [], [7]));
        model.Graph.Initializer.Add(Longs("columns", [1], [1]));
        // NonZero's size is known when it runs: no optimizer finds the error before.
        Add(model, "NonZero", ["raw"], ["places"]);
        Add(model, "Gather", ["places", "none"], ["row"]);
        Add(model, "Cast", ["row"], ["float"]).Attribute.Add(Whole("to", (long)TensorProto.Types.DataType.Float));
        Add(model, "ReduceSum", ["float"], ["sum"]);
        Add(model, "Add", ["raw", "sum"], ["logits"]);
        var softmax = model.Graph.Node.Single(node => node.OpType == "Softmax");
        model.Graph.Node.Remove(softmax);
        model.Graph.Node.Add(softmax);
        return model.ToByteArray();
    }

    /// <summary>Two inputs (a fixed and a free vector) and outputs of several types.</summary>
    public static byte[] Mixed()
    {
        var model = Model(
            [
                ("a", TensorProto.Types.DataType.Float, ["N", 3]),
                ("free", TensorProto.Types.DataType.Float, ["N", "L"]),
                ("whole", TensorProto.Types.DataType.Int64, ["N", 1]),
            ],
            [
                ("twice", TensorProto.Types.DataType.Float, ["N", 3]),
                ("sum", TensorProto.Types.DataType.Float, ["N", 1]),
                ("next", TensorProto.Types.DataType.Int64, ["N", 1]),
                ("positive", TensorProto.Types.DataType.Bool, ["N", 3]),
                ("precise", TensorProto.Types.DataType.Double, ["N", 3]),
            ]
        );
        model.Graph.Initializer.Add(Floats("two", [], [2]));
        model.Graph.Initializer.Add(Floats("zero", [], [0]));
        model.Graph.Initializer.Add(Longs("one", [], [1]));
        model.Graph.Initializer.Add(Longs("axis", [1], [1]));
        Add(model, "Mul", ["a", "two"], ["twice"]);
        Add(model, "ReduceSum", ["free", "axis"], ["sum"]);
        Add(model, "Add", ["whole", "one"], ["next"]);
        Add(model, "Greater", ["a", "zero"], ["positive"]);
        var cast = Add(model, "Cast", ["twice"], ["precise"]);
        cast.Attribute.Add(
            new AttributeProto
            {
                Name = "to",
                I = (long)TensorProto.Types.DataType.Double,
                Type = AttributeProto.Types.AttributeType.Int,
            }
        );
        return model.ToByteArray();
    }

    /// <summary>The same, whose batch is fixed to one.</summary>
    public static byte[] OneAtATime(byte[] classifier)
    {
        var model = ModelProto.Parser.ParseFrom(classifier);
        foreach (var value in model.Graph.Input.Concat(model.Graph.Output))
            value.Type.TensorType.Shape.Dim[0] = new TensorShapeProto.Types.Dimension { DimValue = 1 };
        return model.ToByteArray();
    }

    /// <summary>A model whose batch is fixed to one.</summary>
    public static byte[] FixedBatch()
    {
        var model = Model(
            [("x", TensorProto.Types.DataType.Float, [1L, 3])],
            [("y", TensorProto.Types.DataType.Float, [1L, 3])]
        );
        Add(model, "Relu", ["x"], ["y"]);
        return model.ToByteArray();
    }

    /// <summary>Writes a model, and gives its path back.</summary>
    public static string Write(string path, byte[] model)
    {
        File.WriteAllBytes(path, model);
        return path;
    }

    /// <summary>y = max(x, 0) over a batch of [batch, 3]; free where it is a name. A batch of 2 takes six numbers a
    /// row, and so does a free one of rank 2 here.</summary>
    public static byte[] Relu(object batch)
    {
        var width = batch is string ? 6L : 3L;
        var model = Model(
            [("x", TensorProto.Types.DataType.Float, [batch, width])],
            [("y", TensorProto.Types.DataType.Float, [batch, width])]
        );
        Add(model, "Relu", ["x"], ["y"]);
        return model.ToByteArray();
    }

    /// <summary>One operator from x to y, of any type; the batch is free.</summary>
    public static byte[] One(
        string opType,
        TensorProto.Types.DataType type,
        object[] from,
        object[] to,
        params AttributeProto[] attributes
    )
    {
        var model = Model([("x", type, from)], [("y", type, to)]);
        Add(model, opType, ["x"], ["y"]).Attribute.AddRange(attributes);
        return model.ToByteArray();
    }

    /// <summary>An integer attribute.</summary>
    public static AttributeProto Whole(string name, long value) =>
        new()
        {
            Name = name,
            I = value,
            Type = AttributeProto.Types.AttributeType.Int,
        };

    /// <summary>A model of any nodes.</summary>
    public static byte[] Build(
        (string, TensorProto.Types.DataType, object[])[] inputs,
        (string, TensorProto.Types.DataType, object[])[] outputs,
        Action<ModelProto> nodes
    )
    {
        var model = Model(inputs, outputs);
        nodes(model);
        return model.ToByteArray();
    }

    /// <summary>Another metadata value in a model's bytes; null takes it out.</summary>
    public static byte[] WithMetadata(byte[] onnx, string key, string? value)
    {
        var model = ModelProto.Parser.ParseFrom(onnx);
        foreach (var old in model.MetadataProps.Where(entry => entry.Key == key).ToArray())
            model.MetadataProps.Remove(old);
        if (value is not null)
            model.MetadataProps.Add(new StringStringEntryProto { Key = key, Value = value });
        return model.ToByteArray();
    }

    private static ModelProto Model(
        (string, TensorProto.Types.DataType, object[])[] inputs,
        (string, TensorProto.Types.DataType, object[])[] outputs
    )
    {
        var model = new ModelProto
        {
            IrVersion = 8,
            Graph = new GraphProto { Name = "test" },
        };
        model.OpsetImport.Add(new OperatorSetIdProto { Version = 17 });
        model.Graph.Input.AddRange(inputs.Select(Info));
        model.Graph.Output.AddRange(outputs.Select(Info));
        return model;
    }

    private static ValueInfoProto Info((string Name, TensorProto.Types.DataType Type, object[] Dims) value)
    {
        var shape = new TensorShapeProto();
        foreach (var dim in value.Dims)
            shape.Dim.Add(
                dim is string name
                    ? new TensorShapeProto.Types.Dimension { DimParam = name }
                    : new TensorShapeProto.Types.Dimension
                    {
                        DimValue = Convert.ToInt64(dim, System.Globalization.CultureInfo.InvariantCulture),
                    }
            );
        return new ValueInfoProto
        {
            Name = value.Name,
            Type = new TypeProto
            {
                TensorType = new TypeProto.Types.Tensor { ElemType = (int)value.Type, Shape = shape },
            },
        };
    }

    public static NodeProto Add(ModelProto model, string opType, string[] inputs, string[] outputs)
    {
        var node = new NodeProto { OpType = opType, Name = $"{opType}{model.Graph.Node.Count}" };
        node.Input.AddRange(inputs);
        node.Output.AddRange(outputs);
        model.Graph.Node.Add(node);
        return node;
    }

    public static TensorProto Floats(string name, long[] dims, float[] values) =>
        Tensor(name, dims, TensorProto.Types.DataType.Float, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());

    public static TensorProto Longs(string name, long[] dims, long[] values) =>
        Tensor(name, dims, TensorProto.Types.DataType.Int64, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());

    private static TensorProto Tensor(string name, long[] dims, TensorProto.Types.DataType type, byte[] bytes)
    {
        var tensor = new TensorProto
        {
            Name = name,
            DataType = (int)type,
            RawData = ByteString.CopyFrom(bytes),
        };
        tensor.Dims.AddRange(dims);
        return tensor;
    }
}
