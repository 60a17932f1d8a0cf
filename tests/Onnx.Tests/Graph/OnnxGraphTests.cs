using TorchBridge.Onnx.Graph;

namespace TorchBridge.Onnx.Tests.Graph;

public class OnnxGraphTests
{
    [Fact]
    public void Queries_and_the_index_agree_on_random_graphs()
    {
        var random = new Random(7);
        for (var round = 0; round < 50; round++)
        {
            var graph = Random(random);
            var index = graph.Index();
            var values = graph
                .Nodes.SelectMany(node => node.Inputs.Concat(node.Outputs))
                .Where(name => name.Length > 0)
                .Append("nobody")
                .Distinct()
                .ToArray();
            Assert.All(values, value =>
            {
                Assert.Same(graph.Producer(value), index.Producer(value));
                Assert.Equal(graph.Readers(value), index.Readers(value));
                Assert.Equal(graph.IsOutput(value), index.IsOutput(value));
                var reads = graph.Nodes.Sum(node => node.Inputs.Count(input => input == value));
                Assert.Equal(
                    reads + graph.Outputs.Count(output => output.Name == value),
                    graph.Uses().GetValueOrDefault(value)
                );
            });
        }
    }

    [Fact]
    public void An_index_is_of_the_moment_and_a_query_of_now()
    {
        var graph = Chain();
        var index = graph.Index();
        graph.ReplaceUses("a", "x");
        Assert.Equal(["second"], index.Readers("a").Select(node => node.Name));
        Assert.Empty(graph.Readers("a"));
        Assert.Equal(["first", "second"], graph.Readers("x").Select(node => node.Name));
    }

    [Fact]
    public void A_value_is_renamed_where_it_is_made_and_read()
    {
        var graph = Chain();
        graph.Rename("a", "b");
        Assert.Equal(("b", "b"), (graph.Nodes[0].Outputs[0], graph.Nodes[1].Inputs[0]));
    }

    [Fact]
    public void Tensors_that_nobody_reads_go_and_outputs_stay()
    {
        var graph = Chain();
        foreach (var name in (string[])["x", "unread", "y"])
            graph.Add(Initializer.Of(name, [1f]));
        graph.RemoveUnreadInitializers();
        Assert.Equal(["x", "y"], graph.Initializers.Keys);
        Assert.Empty(graph.InputNames);
    }

    [Fact]
    public void A_copy_can_be_rewritten_and_shares_its_tensors()
    {
        var graph = Chain();
        graph.Add(Initializer.Of("w", [1f, 2f], 2));
        graph.Metadata["key"] = "value";
        var copy = graph.Copy();
        copy.Nodes[0].Inputs[0] = "other";
        copy.Nodes[0].Attributes["axis"] = 1L;
        copy.Nodes.RemoveAt(1);
        copy.Metadata["key"] = "another";
        Assert.Equal(
            ("x", 0, 2, "value"),
            (graph.Nodes[0].Inputs[0], graph.Nodes[0].Attributes.Count, graph.Nodes.Count, graph.Metadata["key"])
        );
        Assert.Same(graph.Initializers["w"], copy.Initializers["w"]);
    }

    private static OnnxGraph Chain()
    {
        var graph = new OnnxGraph { Opset = 17 };
        graph.Inputs.Add(new ValueInfo("x", ElementType.Float32, ["N"]));
        graph.Nodes.Add(
            new OnnxNode
            {
                OpType = "Relu",
                Name = "first",
                Inputs = ["x"],
                Outputs = ["a"],
            }
        );
        graph.Nodes.Add(
            new OnnxNode
            {
                OpType = "Relu",
                Name = "second",
                Inputs = ["a"],
                Outputs = ["y"],
            }
        );
        graph.Outputs.Add(new ValueInfo("y", ElementType.Float32, ["N"]));
        return graph;
    }

    private static OnnxGraph Random(Random random)
    {
        var graph = new OnnxGraph { Opset = 17 };
        for (var i = 0; i < 20; i++)
        {
            var inputs = Enumerable
                .Range(0, random.Next(4))
                .Select(_ => random.Next(5) == 0 ? "" : $"v{random.Next(Math.Max(1, i))}")
                .ToList();
            graph.Nodes.Add(
                new OnnxNode
                {
                    OpType = "Op",
                    Name = $"n{i}",
                    Inputs = inputs,
                    Outputs = [$"v{i}"],
                }
            );
            if (random.Next(6) == 0)
                graph.Outputs.Add(new ValueInfo($"v{i}", ElementType.Float32, []));
        }

        return graph;
    }
}
