using Google.Protobuf;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Tests.Format;

/// <summary>What is refused before a runtime sees it.</summary>
public class ModelStructureTests
{
    [Fact]
    public void A_function_that_calls_itself_is_refused()
    {
        var model = Model(Node("A", "x", "y"));
        model.Functions.Add(Function("A", Node("B", "x", "y")));
        model.Functions.Add(Function("B", Node("A", "x", "y")));
        Assert.Contains("calls itself", Refusal(model), StringComparison.Ordinal);
    }

    [Fact]
    public void Functions_that_unfold_without_a_bound_are_refused()
    {
        var model = Model(Node("F0", "x", "y"));
        for (var i = 0; i < 40; i++)
            model.Functions.Add(Function($"F{i}", Node($"F{i + 1}", "x", "t"), Node($"F{i + 1}", "t", "y")));
        Assert.Contains("unfold to more than 1000000 nodes", Refusal(model), StringComparison.Ordinal);
    }

    [Fact]
    public void A_value_that_is_made_twice_or_read_before_it_is_made_is_refused()
    {
        Assert.Contains(
            "'y' is made by two nodes",
            Refusal(Model(Node("Relu", "x", "y"), Node("Relu", "x", "y"))),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "reads 't' before it is made",
            Refusal(Model(Node("Relu", "t", "y"), Node("Relu", "y", "t"))),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "is also an input or an initializer",
            Refusal(Model(Node("Relu", "x", "x2"), Node("Relu", "x2", "x"))),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Tensors_are_checked_wherever_they_stand()
    {
        var bad = new TensorProto
        {
            Name = "bad",
            DataType = 1,
            Dims = { 1L << 40 },
        };
        var inner = new GraphProto { Name = "body", Initializer = { bad } };
        var node = Node("If", "x", "y");
        node.Attribute.Add(
            new AttributeProto
            {
                Name = "then_branch",
                G = inner,
                Type = AttributeProto.Types.AttributeType.Graph,
            }
        );
        Assert.Contains("'bad' is larger than 2 GB", Refusal(Model(node)), StringComparison.Ordinal);
        var constant = new NodeProto
        {
            OpType = "Constant",
            Output = { "c" },
            Attribute =
            {
                new AttributeProto
                {
                    Name = "value",
                    T = bad,
                    Type = AttributeProto.Types.AttributeType.Tensor,
                },
            },
        };
        Assert.Contains("'bad' is larger than 2 GB", Refusal(Model(constant)), StringComparison.Ordinal);
        var model = Model(Node("A", "x", "y"));
        model.Functions.Add(Function("A", constant));
        Assert.Contains("'bad' is larger than 2 GB", Refusal(model), StringComparison.Ordinal);
    }

    [Fact]
    public void External_data_of_a_constant_inside_of_a_body_is_read_from_siblings_alone()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["weights.bin"], [1, 2, 3, 4, 5, 6, 7, 8]);
        ModelProto With(string location)
        {
            var tensor = new TensorProto
            {
                Name = "t",
                DataType = 1,
                Dims = { 2 },
                DataLocation = TensorProto.Types.DataLocation.External,
            };
            tensor.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = location });
            var body = new GraphProto
            {
                Name = "body",
                Node =
                {
                    new NodeProto
                    {
                        OpType = "Constant",
                        Output = { "c" },
                        Attribute =
                        {
                            new AttributeProto
                            {
                                Name = "value",
                                T = tensor,
                                Type = AttributeProto.Types.AttributeType.Tensor,
                            },
                        },
                    },
                },
            };
            var node = Node("If", "x", "y");
            node.Attribute.Add(
                new AttributeProto
                {
                    Name = "then_branch",
                    G = body,
                    Type = AttributeProto.Types.AttributeType.Graph,
                }
            );
            return Model(node);
        }

        File.WriteAllBytes(folder["model.onnx"], With("weights.bin").ToByteArray());
        var read = OnnxReader.Read(folder["model.onnx"]);
        var attribute = (AttributeProto)read.Nodes.Single().Attributes["then_branch"];
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8], attribute.G.Node[0].Attribute[0].T.RawData.ToByteArray());
        File.WriteAllBytes(folder["model.onnx"], With("../weights.bin").ToByteArray());
        Assert.Contains(
            "only the plain name of a file in the model's folder is allowed",
            Assert.Throws<InvalidDataException>(() => OnnxReader.Read(folder["model.onnx"])).Message,
            StringComparison.Ordinal
        );
    }

    private static string Refusal(ModelProto model) =>
        Assert.Throws<InvalidDataException>(() => OnnxReader.Probe(model.ToByteArray(), "the model")).Message;

    private static NodeProto Node(string type, string input, string output) =>
        new()
        {
            OpType = type,
            Name = $"{type}:{output}",
            Input = { input },
            Output = { output },
        };

    private static FunctionProto Function(string name, params NodeProto[] nodes) =>
        new()
        {
            Name = name,
            Input = { "x" },
            Output = { "y" },
            Node = { nodes },
        };

    private static ModelProto Model(params NodeProto[] nodes)
    {
        var graph = new GraphProto
        {
            Name = "g",
            Node = { nodes },
            Input = { new ValueInfoProto { Name = "x" } },
            Output = { new ValueInfoProto { Name = "y" } },
        };
        return new ModelProto
        {
            IrVersion = 8,
            Graph = graph,
            OpsetImport = { new OperatorSetIdProto { Version = 17 } },
        };
    }
}
