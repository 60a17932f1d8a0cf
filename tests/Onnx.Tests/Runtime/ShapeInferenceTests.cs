using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Runtime;

namespace TorchBridge.Onnx.Tests.Runtime;

public class ShapeInferenceTests
{
    [Fact]
    public void Values_of_which_only_the_rank_is_known_get_sizes_with_names_of_their_own()
    {
        using var folder = new TempFolder();
        var graph = new OnnxGraph { Opset = 17 };
        graph.Inputs.Add(new ValueInfo("x", ElementType.Float32, ["N"]));
        graph.Nodes.Add(
            new OnnxNode
            {
                OpType = "NonZero",
                Name = "where",
                Inputs = ["x"],
                Outputs = ["where"],
            }
        );
        graph.Nodes.Add(
            new OnnxNode
            {
                OpType = "Gather",
                Name = "picked",
                Inputs = ["x", "where"],
                Outputs = ["y"],
            }
        );
        graph.Outputs.Add(new ValueInfo("y", ElementType.Float32, [1L, "K"]));
        graph.Infos["y"] = graph.Outputs[0];
        graph.Ranks["where"] = (ElementType.Int64, 2);
        ShapeInference.Complete(graph, folder.Path);
        Assert.Equal(
            (ElementType.Int64, "where_0, where_1"),
            (graph.Infos["where"].Type, string.Join(", ", graph.Infos["where"].Dims))
        );
        Assert.Empty(folder.Files);
    }

    [Fact]
    public void A_graph_that_does_not_load_is_left_for_the_verification()
    {
        using var folder = new TempFolder();
        var graph = new OnnxGraph { Opset = 17 };
        graph.Nodes.Add(
            new OnnxNode
            {
                OpType = "NoSuchOperator",
                Name = "n",
                Inputs = [],
                Outputs = ["y"],
            }
        );
        graph.Outputs.Add(new ValueInfo("y", ElementType.Float32, []));
        ShapeInference.Complete(graph, folder.Path);
        Assert.Empty(graph.Infos);
        Assert.Empty(folder.Files);
    }
}
