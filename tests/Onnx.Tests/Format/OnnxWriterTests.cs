using Google.Protobuf;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Tests.Format;

public class OnnxWriterTests
{
    [Theory]
    [InlineData(17, 8)]
    [InlineData(19, 9)]
    [InlineData(21, 10)]
    public void The_version_of_the_format_is_that_of_the_operators(int opset, long ir)
    {
        var model = OnnxWriter.ToProto(Graph(opset));
        Assert.Equal((ir, opset), (model.IrVersion, model.OpsetImport[0].Version));
    }

    [Fact]
    public void Attributes_of_all_kinds_come_back_as_they_were()
    {
        var graph = Graph(17);
        var attributes = graph.Nodes[0].Attributes;
        attributes["whole"] = 3L;
        attributes["real"] = 0.5f;
        attributes["text"] = "same";
        attributes["wholes"] = (long[])[1, -1];
        attributes["reals"] = (float[])[0.25f];
        attributes["texts"] = (string[])["a", "ä"];
        var read = OnnxReader.Read(OnnxWriter.ToBytes(graph), "graph").Nodes[0];
        Assert.Equal(3, read.Int("whole", 0));
        Assert.Equal(0.5f, read.Float("real", 0));
        Assert.Equal("same", read.Text("text", ""));
        Assert.Equal([1, -1], read.Ints("wholes"));
        attributes["wrong"] = 1.0m;
        Assert.Contains(
            "wrong",
            Assert.Throws<ArgumentException>(() => OnnxWriter.ToProto(graph)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void A_value_inside_becomes_an_output_once()
    {
        var graph = Graph(17);
        var names = ModelProto.Parser.ParseFrom(OnnxWriter.WithOutputs(graph, ["x", "y"])).Graph.Output;
        Assert.Equal(["y", "x"], names.Select(output => output.Name));
    }

    /// <summary>Protobuf joins messages that stand behind each other: metadata is appended, the weights not read.</summary>
    [Fact]
    public void Metadata_is_appended_and_replaced_where_it_was_there()
    {
        using var folder = new TempFolder();
        var path = folder["model.onnx"];
        var before = OnnxWriter.ToBytes(Graph(17));
        File.WriteAllBytes(path, before);
        OnnxWriter.AddMetadata(path, [], new Dictionary<string, string> { ["a"] = "1" });
        Assert.Equal(before, File.ReadAllBytes(path)[..before.Length]);
        OnnxWriter.AddMetadata(path, ["a"], new Dictionary<string, string> { ["a"] = "2", ["b"] = "3" });
        Assert.Equal(
            [("a", "2"), ("b", "3")],
            ModelProto.Parser.ParseFrom(File.ReadAllBytes(path)).MetadataProps.Select(pair => (pair.Key, pair.Value))
        );
    }

    [Fact]
    public void A_file_is_as_long_as_is_told_before()
    {
        var graph = Graph(17);
        graph.Add(Initializer.Of("w", new float[1000], 10, 100));
        Assert.Equal(4000, OnnxWriter.TensorBytes(graph));
        Assert.Equal(OnnxWriter.ToBytes(graph).Length, OnnxWriter.FileBytes(graph));
    }

    private static OnnxGraph Graph(int opset)
    {
        var graph = new OnnxGraph { Opset = opset };
        graph.Inputs.Add(new ValueInfo("x", ElementType.Float32, ["batch", 2L]));
        graph.Outputs.Add(new ValueInfo("y", ElementType.Float32, ["batch", 2L]));
        graph.Nodes.Add(
            new OnnxNode
            {
                OpType = "Relu",
                Name = "relu",
                Inputs = ["x"],
                Outputs = ["y"],
            }
        );
        return graph;
    }
}
