using System.Runtime.InteropServices;
using Google.Protobuf;
using TorchBridge.Inference;
using TorchBridge.Inference.Pictures;
using TorchBridge.Onnx.Proto;
using DataType = TorchBridge.Onnx.Proto.TensorProto.Types.DataType;

namespace TorchBridge.Serving.Tests;

/// <summary>Makes small ONNX models, node by node.</summary>
internal static class TestModels
{
    public const int Size = 8;

    public static readonly string[] ClassNames = ["cat", "dog", "frog"];

    /// <summary>
    /// A classifier of pictures as the training program writes it, with self-check pictures and, where wanted, an
    /// activation map.
    /// </summary>
    /// <param name="seed">Of the weights: another model.</param>
    /// <param name="names">Names of the classes.</param>
    /// <param name="map">Whether it has an output `activation_map`.</param>
    /// <param name="wrong">Whether the self-check's logits are another network's.</param>
    public static byte[] Classifier(int seed = 3, string[]? names = null, bool map = false, bool wrong = false)
    {
        names ??= ClassNames;
        var random = new Random(seed);
        const int pixels = 3 * Size * Size;
        float[] weights =
        [
            .. Enumerable.Range(0, pixels * names.Length).Select(_ => (float)(random.NextDouble() - 0.5) / 100),
        ];
        (string, DataType, object[])[] outputs =
        [
            ("logits", DataType.Float, ["N", names.Length]),
            ("probabilities", DataType.Float, ["N", names.Length]),
        ];
        if (map)
            outputs = [.. outputs, ("activation_map", DataType.Float, ["N", Size, Size])];
        var model = Model([("pixels", DataType.Float, ["N", 3, Size, Size])], outputs);
        model.Graph.Initializer.Add(Floats("w", [pixels, names.Length], weights));
        model.Graph.Initializer.Add(Floats("b", [names.Length], [.. names.Select((_, i) => i / 10f)]));
        Add(model, "Flatten", ["pixels"], ["flat"]);
        Add(model, "Gemm", ["flat", "w", "b"], ["logits"]);
        Add(model, "Softmax", ["logits"], ["probabilities"]);
        if (map)
        {
            model.Graph.Initializer.Add(Longs("axis", [1], 1));
            Add(model, "ReduceSum", ["pixels", "axis"], ["activation_map"]).Attribute.Add(Int("keepdims", 0));
        }

        var planes = new byte[2 * pixels];
        random.NextBytes(planes);
        float[] logits =
        [
            .. Enumerable
                .Range(0, 2)
                .SelectMany(row => Logits(planes.AsSpan(row * pixels, pixels), weights, names.Length)),
        ];
        if (wrong)
            logits[0] += 1;
        var metadata = new ModelCard(names, Size, Size) { Reading = PictureReading.Stock }
            .ToMetadata()
            .Append(new SelfCheck(planes, logits, SelfCheck.Float32Tolerance).ToMetadata());
        model.MetadataProps.AddRange(
            metadata.Select(pair => new StringStringEntryProto { Key = pair.Key, Value = pair.Value })
        );
        return model.ToByteArray();
    }

    /// <summary>y = a x + b, rows of three floats: a foreign model whose answer says which it is.</summary>
    public static byte[] Affine(float factor = 1, float offset = 0)
    {
        var model = Model([("x", DataType.Float, ["N", 3])], [("y", DataType.Float, ["N", 3])]);
        model.Graph.Initializer.Add(Floats("a", [], factor));
        model.Graph.Initializer.Add(Floats("b", [], offset));
        Add(model, "Mul", ["x", "a"], ["ax"]);
        Add(model, "Add", ["ax", "b"], ["y"]);
        return model.ToByteArray();
    }

    /// <summary>A megabyte of weights that add up to a number: y = x W, W[512, 512] with the number in its
    /// corner.</summary>
    public static byte[] Weights(float number)
    {
        const int width = 512;
        var model = Model([("x", DataType.Float, ["N", width])], [("y", DataType.Float, ["N", 1])]);
        var weights = new float[width * width];
        weights[0] = number;
        model.Graph.Initializer.Add(Floats("w", [width, width], weights));
        model.Graph.Initializer.Add(Longs("axis", [1], 1));
        Add(model, "MatMul", ["x", "w"], ["xw"]);
        Add(model, "ReduceSum", ["xw", "axis"], ["y"]);
        return model.ToByteArray();
    }

    /// <summary>A request of <see cref="Weights"/>, which is answered with the number.</summary>
    public static string WeightsRequest { get; } =
        $$"""{"inputs":[{"name":"x","datatype":"FP32","shape":[1,512],"data":[{{string.Join(',', Enumerable.Repeat("1", 512))}}]}]}""";

    /// <summary>The sum and the difference of two vectors: what the protocol's sample clients ask for.</summary>
    public static byte[] Simple()
    {
        var model = Model(
            [("INPUT0", DataType.Int32, ["N", 16]), ("INPUT1", DataType.Int32, ["N", 16])],
            [("OUTPUT0", DataType.Int32, ["N", 16]), ("OUTPUT1", DataType.Int32, ["N", 16])]
        );
        Add(model, "Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]);
        Add(model, "Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"]);
        return model.ToByteArray();
    }

    /// <summary>Gives back an input of every datatype; rows of any length.</summary>
    public static byte[] Identity()
    {
        var types = AllTypes.ToArray();
        var model = Model(
            [.. types.Select(type => ($"in_{type}", type, (object[])["N", "L"]))],
            [.. types.Select(type => ($"out_{type}", type, (object[])["N", "L"]))]
        );
        foreach (var type in types)
            Add(model, "Identity", [$"in_{type}"], [$"out_{type}"]);
        return model.ToByteArray();
    }

    /// <summary>The datatypes that ONNX and the protocol share.</summary>
    public static IEnumerable<DataType> AllTypes =>
        Enum.GetValues<DataType>()
            .Where(type => type is not (DataType.Undefined or DataType.Complex64 or DataType.Complex128));

    /// <summary>The protocol's datatype of ONNX's.</summary>
    public static TensorType TypeOf(DataType type) =>
        TensorTypes
            .Find(
                type switch
                {
                    DataType.Float => "FP32",
                    DataType.Double => "FP64",
                    DataType.Float16 => "FP16",
                    DataType.Bfloat16 => "BF16",
                    DataType.String => "BYTES",
                    _ => type.ToString().ToUpperInvariant(),
                }
            )!
            .Value;

    /// <summary>A softmax over axis 0: rows that depend on each other, whatever the free axis says.</summary>
    public static byte[] MixedRows()
    {
        var model = Model([("x", DataType.Float, ["N", 3])], [("y", DataType.Float, ["N", 3])]);
        Add(model, "Softmax", ["x"], ["y"]).Attribute.Add(Int("axis", 0));
        return model.ToByteArray();
    }

    /// <summary>One scale for the whole batch, as dynamic quantization computes it.</summary>
    public static byte[] BatchScale()
    {
        var model = Model([("x", DataType.Float, ["N", 3])], [("y", DataType.Float, ["N", 3])]);
        Add(model, "DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]);
        Add(model, "DequantizeLinear", ["q", "scale", "zero"], ["y"]);
        return model.ToByteArray();
    }

    /// <summary>A reshape inside fixes the free axis to one row.</summary>
    public static byte[] OneRowInside()
    {
        var model = Model([("x", DataType.Float, ["N", 3])], [("y", DataType.Float, ["N", 3])]);
        // [N, 3] * [0, 1] + [1, 0]: computed, so that ONNX Runtime does not see it when the file is opened.
        model.Graph.Initializer.Add(Longs("keep", [2], 0, 1));
        model.Graph.Initializer.Add(Longs("one", [2], 1, 0));
        Add(model, "Shape", ["x"], ["sizes"]);
        Add(model, "Mul", ["sizes", "keep"], ["width"]);
        Add(model, "Add", ["width", "one"], ["shape"]);
        Add(model, "Reshape", ["x", "shape"], ["y"]);
        return model.ToByteArray();
    }

    /// <summary>A batch of one, and no other.</summary>
    public static byte[] FixedBatch()
    {
        var model = Model([("x", DataType.Float, [1L, 3])], [("y", DataType.Float, [1L, 3])]);
        Add(model, "Relu", ["x"], ["y"]);
        return model.ToByteArray();
    }

    /// <summary>A table of four entries: an index beyond it fails inside the run.</summary>
    public static byte[] Table()
    {
        var model = Model([("i", DataType.Int64, ["N", 1])], [("y", DataType.Float, ["N", 1])]);
        model.Graph.Initializer.Add(Floats("table", [4], 10, 11, 12, 13));
        Add(model, "Gather", ["table", "i"], ["y"]);
        return model.ToByteArray();
    }

    /// <summary>One text for each row.</summary>
    public static byte[] Texts()
    {
        var model = Model([("x", DataType.String, ["N", 1])], [("y", DataType.String, ["N", 1])]);
        Add(model, "Identity", ["x"], ["y"]);
        return model.ToByteArray();
    }

    /// <summary>NaN for negative inputs.</summary>
    public static byte[] Logarithm()
    {
        var model = Model([("x", DataType.Float, ["N", 1])], [("y", DataType.Float, ["N", 1])]);
        Add(model, "Log", ["x"], ["y"]);
        return model.ToByteArray();
    }

    /// <summary>A loop that runs for long: a batch that takes its time.</summary>
    public static byte[] Slow(int rounds)
    {
        var model = Model([("x", DataType.Float, ["N", 64, 64])], [("y", DataType.Float, ["N", 64, 64])]);
        model.Graph.Initializer.Add(Floats("half", [], 0.01f));
        var name = "x";
        for (var i = 0; i < rounds; i++)
        {
            Add(model, "MatMul", [name, "x"], [$"m{i}"]);
            Add(model, "Mul", [$"m{i}", "half"], [name = i == rounds - 1 ? "y" : $"h{i}"]);
        }

        return model.ToByteArray();
    }

    /// <summary>A model whose weights lie in another file.</summary>
    public static byte[] External(string location, bool inSubgraph = false)
    {
        var model = Model([("x", DataType.Float, ["N", 3])], [("y", DataType.Float, ["N", 3])]);
        var tensor = new TensorProto
        {
            Name = "w",
            DataType = (int)DataType.Float,
            DataLocation = TensorProto.Types.DataLocation.External,
        };
        tensor.Dims.Add(3);
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = location });
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "length", Value = "12" });
        if (inSubgraph)
            Add(model, "Constant", [], ["w"])
                .Attribute.Add(
                    new AttributeProto
                    {
                        Name = "value",
                        T = tensor,
                        Type = AttributeProto.Types.AttributeType.Tensor,
                    }
                );
        else
            model.Graph.Initializer.Add(tensor);
        Add(model, "Mul", ["x", "w"], ["y"]);
        return model.ToByteArray();
    }

    public static ModelProto Model((string, DataType, object[])[] inputs, (string, DataType, object[])[] outputs)
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

    public static NodeProto Add(ModelProto model, string opType, string[] inputs, string[] outputs)
    {
        var node = new NodeProto { OpType = opType, Name = $"{opType}{model.Graph.Node.Count}" };
        node.Input.AddRange(inputs);
        node.Output.AddRange(outputs);
        model.Graph.Node.Add(node);
        return node;
    }

    private static float[] Logits(ReadOnlySpan<byte> pixels, float[] weights, int classes)
    {
        var sums = new double[classes];
        for (var i = 0; i < pixels.Length; i++)
        {
            for (var c = 0; c < classes; c++)
                sums[c] += (double)pixels[i] * weights[(i * classes) + c];
        }

        return [.. sums.Select((sum, c) => (float)(sum + (c / 10f)))];
    }

    private static AttributeProto Int(string name, long value) =>
        new()
        {
            Name = name,
            I = value,
            Type = AttributeProto.Types.AttributeType.Int,
        };

    private static ValueInfoProto Info((string Name, DataType Type, object[] Dims) value)
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

    private static TensorProto Floats(string name, long[] dims, params float[] values) =>
        Tensor(name, dims, DataType.Float, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());

    private static TensorProto Longs(string name, long[] dims, params long[] values) =>
        Tensor(name, dims, DataType.Int64, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());

    private static TensorProto Tensor(string name, long[] dims, DataType type, byte[] bytes)
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
