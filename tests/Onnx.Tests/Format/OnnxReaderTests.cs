using Google.Protobuf;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;
using static TorchBridge.Onnx.Proto.AttributeProto.Types;

namespace TorchBridge.Onnx.Tests.Format;

public class OnnxReaderTests
{
    [Fact]
    public void What_the_graph_does_not_hold_is_written_again()
    {
        var model = Message();
        var graph = OnnxReader.Read(model.ToByteArray(), "the model");
        Assert.Equal(Sorted(model), ModelProto.Parser.ParseFrom(OnnxWriter.ToBytes(graph)));
        Assert.Equal(Sorted(model), ModelProto.Parser.ParseFrom(OnnxWriter.ToBytes(graph.Copy())));
    }

    [Fact]
    public void Models_that_others_made_are_written_as_they_were_read()
    {
        var models = Shared.Find("findings", "files", "onnx");
        Assert.SkipWhen(models is null, "../shared/findings is not there");
        var seen = 0;
        foreach (var path in Directory.EnumerateFiles(models!, "*.onnx"))
        {
            OnnxGraph graph;
            try
            {
                graph = OnnxReader.Read(path);
            }
            catch (InvalidDataException error)
            {
                Assert.StartsWith(path, error.Message, StringComparison.Ordinal); // a few are damaged on purpose
                continue;
            }

            var stored = Sorted(ModelProto.Parser.ParseFrom(File.ReadAllBytes(path)));
            // Nodes get the names that reports need; a tensor that stands twice is one; infos of values that no node
            // makes are left out.
            if (stored.Graph.Initializer.DistinctBy(tensor => tensor.Name).Count() < stored.Graph.Initializer.Count)
                continue;
            foreach (var (node, named) in stored.Graph.Node.Zip(graph.Nodes))
                node.Name = named.Name;
            stored.Graph.ValueInfo.Clear();
            graph.Infos.Clear();
            Assert.Equal(stored, ModelProto.Parser.ParseFrom(OnnxWriter.ToBytes(graph)));
            seen++;
        }

        Assert.InRange(seen, 80, 1000);
    }

    [Fact]
    public void Attributes_are_read_as_they_stand()
    {
        var node = OnnxReader.Read(Message().ToByteArray(), "the model").Nodes[0];
        Assert.Equal((7, 0.5f, "text"), (node.Int("i", 0), node.Float("f", 0), node.Text("s", "")));
        Assert.Equal([1L, 2L], node.Ints("ints"));
        Assert.Equal(
            (5, 1.5f, "none"),
            (node.Int("missing", 5), node.Float("missing", 1.5f), node.Text("missing", "none"))
        );
        Assert.Empty(node.Ints("missing"));
    }

    [Fact]
    public void Nodes_without_a_name_get_one_that_no_other_has()
    {
        var model = Message();
        model.Graph.Node.Clear();
        foreach (var name in (string[])["", "Relu_0", "", "Relu_2", ""])
            model.Graph.Node.Add(new NodeProto { OpType = "Relu", Name = name });
        Assert.Equal(
            ["Relu_1", "Relu_0", "Relu_3", "Relu_2", "Relu_4"],
            OnnxReader.Read(model.ToByteArray(), "the model").Nodes.Select(node => node.Name)
        );
    }

    [Fact]
    public void Constants_that_share_a_name_get_one_of_their_own()
    {
        var model = Message();
        model.Graph.Node.Clear();
        foreach (var type in (string[])["Constant", "Relu", "Constant"])
            model.Graph.Node.Add(new NodeProto { OpType = type, Name = "anon" });
        Assert.Equal(
            ["Constant_0", "anon", "Constant_1"],
            OnnxReader.Read(model.ToByteArray(), "the model").Nodes.Select(node => node.Name)
        );
    }

    [Fact]
    public void Of_two_tensors_of_one_name_the_later_counts_as_in_ONNX_Runtime()
    {
        var model = Message();
        model.Graph.Initializer.Add(
            new TensorProto
            {
                Name = "raw",
                DataType = 1,
                Dims = { 1 },
                FloatData = { 9 },
            }
        );
        Assert.Equal([9f], OnnxReader.Read(model.ToByteArray(), "the model").Initializers["raw"].Floats());
    }

    [Theory]
    [InlineData(new long[] { 3 })]
    [InlineData(new long[] { -2 })]
    [InlineData(new long[] { 1L << 62, 1L << 62 })]
    [InlineData(new long[] { long.MaxValue, 3 })]
    public void Tensors_whose_sizes_do_not_fit_are_refused(long[] dims)
    {
        var model = Message();
        model.Graph.Initializer[0].Dims.Clear();
        model.Graph.Initializer[0].Dims.Add(dims);
        var error = Assert.Throws<InvalidDataException>(() => OnnxReader.Read(model.ToByteArray(), "the model"));
        Assert.Contains("the model is not an ONNX model that can be read: ", error.Message, StringComparison.Ordinal);
        Assert.Contains("'raw'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_no_model_is_refused_by_one_exception()
    {
        var random = new Random(5);
        var whole = Message().ToByteArray();
        for (var i = 0; i < 2000; i++)
        {
            var bytes = whole.ToArray();
            if (i % 3 == 0)
                bytes = bytes[..random.Next(bytes.Length)];
            for (var k = 0; k < 1 + (i % 5) && bytes.Length > 0; k++)
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            try
            {
                OnnxWriter.ToBytes(OnnxReader.Read(bytes, "the model"));
                OnnxReader.MetadataEntries(bytes, "the model");
            }
            catch (InvalidDataException error)
            {
                Assert.StartsWith("the model is not an ONNX model", error.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void Metadata_that_stands_twice_has_its_later_value()
    {
        var model = Message();
        model.MetadataProps.Add(new StringStringEntryProto { Key = "key", Value = "later" });
        Assert.Equal(
            "later",
            OnnxReader.MetadataEntries(model.ToByteArray(), "the model").Last(entry => entry.Key == "key").Value
        );
        Assert.Equal("later", OnnxReader.Read(model.ToByteArray(), "the model").Metadata["key"]);
    }

    /// <summary>A message with something in every field that the graph keeps, and fields of newer versions that it
    /// does not know.</summary>
    private static ModelProto Message()
    {
        var model = new ModelProto
        {
            IrVersion = 10,
            ProducerName = "somebody",
            Domain = "here",
            ModelVersion = 3,
            DocString = "doc",
        };
        model.OpsetImport.Add([
            new OperatorSetIdProto { Version = 17 },
            new OperatorSetIdProto { Domain = "ai.onnx.ml", Version = 3 },
        ]);
        model.MetadataProps.Add([
            new StringStringEntryProto { Key = "z", Value = "1" },
            new StringStringEntryProto { Key = "key", Value = "value" },
        ]);
        var graph = model.Graph = new GraphProto { Name = "g", DocString = "of the graph" };
        var body = new GraphProto
        {
            Name = "body",
            Node =
            {
                new NodeProto
                {
                    OpType = "Identity",
                    Input = { "raw" },
                    Output = { "inner" },
                },
            },
        };
        graph.Node.Add(
            new NodeProto
            {
                Name = "n",
                OpType = "If",
                Domain = "mine",
                DocString = "of the node",
                Input = { "x", "" },
                Output = { "y", "v" },
                Attribute =
                {
                    new AttributeProto
                    {
                        Name = "s",
                        S = ByteString.CopyFromUtf8("text"),
                        Type = AttributeType.String,
                        DocString = "of the attribute",
                    },
                    new AttributeProto
                    {
                        Name = "body",
                        G = body,
                        Type = AttributeType.Graph,
                    },
                    new AttributeProto
                    {
                        Name = "bytes",
                        S = ByteString.CopyFrom(0xFF, 0xFE),
                        Type = AttributeType.String,
                    },
                    new AttributeProto
                    {
                        Name = "f",
                        F = 0.5f,
                        Type = AttributeType.Float,
                    },
                    new AttributeProto
                    {
                        Name = "i",
                        I = 7,
                        Type = AttributeType.Int,
                    },
                    new AttributeProto
                    {
                        Name = "ints",
                        Ints = { 1, 2 },
                        Type = AttributeType.Ints,
                    },
                },
            }
        );
        graph.Initializer.Add([
            new TensorProto
            {
                Name = "raw",
                DataType = 1,
                Dims = { 1 },
                RawData = ByteString.CopyFrom(0, 0, 128, 63),
                DocString = "of the tensor",
            },
            new TensorProto
            {
                Name = "floats",
                DataType = 1,
                Dims = { 2 },
                FloatData = { 1, 2 },
            },
            new TensorProto
            {
                Name = "text",
                DataType = 8,
                Dims = { 1 },
                StringData = { ByteString.CopyFromUtf8("a") },
            },
            new TensorProto
            {
                Name = "packed",
                DataType = 22,
                Dims = { 3 },
                RawData = ByteString.CopyFrom(0x21, 0x03),
            }, // int4
        ]);
        graph.Input.Add(
            new ValueInfoProto
            {
                Name = "x",
                DocString = "of the input",
                Type = new TypeProto
                {
                    Denotation = "IMAGE",
                    TensorType = new TypeProto.Types.Tensor
                    {
                        ElemType = 1,
                        Shape = new TensorShapeProto
                        {
                            Dim =
                            {
                                new TensorShapeProto.Types.Dimension { Denotation = "N" },
                                new TensorShapeProto.Types.Dimension { DimValue = 3 },
                            },
                        },
                    },
                },
            }
        );
        graph.Output.Add(new ValueInfoProto { Name = "y" });
        graph.ValueInfo.Add(
            new ValueInfoProto
            {
                Name = "v",
                Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = 1 } },
            }
        );
        // Fields 25 (functions) of the model and 14, 15 (quantization annotations, sparse tensors) of the graph:
        // unknown here, and kept.
        return ModelProto.Parser.ParseFrom([
            .. model.ToByteArray(),
            .. Field(25),
            .. Field(7, [.. Field(14), .. Field(15)]),
        ]);
    }

    private static byte[] Field(int number, byte[]? content = null)
    {
        using var memory = new MemoryStream();
        using (var output = new CodedOutputStream(memory))
        {
            output.WriteTag(number, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(ByteString.CopyFrom(content ?? [8, 1]));
        }

        return memory.ToArray();
    }

    /// <summary>The writer puts attributes in the order of their names.</summary>
    private static ModelProto Sorted(ModelProto model)
    {
        var sorted = model.Clone();
        foreach (var node in sorted.Graph?.Node ?? [])
        {
            var attributes = node.Attribute.OrderBy(attribute => attribute.Name, StringComparer.Ordinal).ToArray();
            node.Attribute.Clear();
            node.Attribute.Add(attributes);
        }

        return sorted;
    }
}
