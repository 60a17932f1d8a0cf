using TorchBridge.Onnx.Graph;

namespace TorchBridge.Onnx.Tests.Graph;

public class GraphIndexTests
{
    [Fact]
    public void Makers_and_readers_are_found_and_names_left_out_are_nobodys()
    {
        var graph = new OnnxGraph { Opset = 17 };
        graph.Inputs.Add(new ValueInfo("x", ElementType.Float32, [1L]));
        graph.Outputs.Add(new ValueInfo("y", ElementType.Float32, [1L]));
        graph.Nodes.Add(Node("split", ["x"], ["a", ""]));
        graph.Nodes.Add(Node("add", ["a", "x"], ["y"]));
        var index = graph.Index();
        Assert.Equal("split", index.Producer("a")?.Name);
        Assert.Null(index.Producer("x"));
        Assert.Null(index.Producer(""));
        Assert.Equal(["split", "add"], index.Readers("x").Select(node => node.Name));
        Assert.Empty(index.Readers("y"));
        Assert.True(index.IsOutput("y"));
        Assert.False(index.IsOutput("a"));
    }

    private static OnnxNode Node(string name, string[] inputs, string[] outputs) =>
        new()
        {
            OpType = "Any",
            Name = name,
            Inputs = [.. inputs],
            Outputs = [.. outputs],
        };
}
