// What it does: converts a model of opset 11 or 12 to opset 13, whose DequantizeLinear has one scale per channel.
//   Squeeze, Unsqueeze, ReduceSum   axes:  an attribute becomes an input
//   Split                           split: an attribute becomes an input
//   Softmax, LogSoftmax, Hardmax    flattened x to two axes; since 13 they act on one axis:
//                                   y = reshape(f(flatten(x, axis), -1), shape(x))
//   Dropout                         ratio: an attribute became an input in 12; inference does not read it
// All other operators have the same semantics in 11, 12 and 13. Source: ONNX, docs/Changelog.md.
using System.Globalization;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Quantization.Preparation;

/// <summary>Converts models of opset 11 and 12 to 13, the first with one scale per channel.</summary>
internal static class OpsetConversion
{
    /// <summary>The first opset whose QuantizeLinear and DequantizeLinear have an axis.</summary>
    private const int Opset = 13;

    /// <summary>The oldest opset that can be converted to 13.</summary>
    private const int Oldest = 11;

    /// <summary>The version of the file format that came with opset 13.</summary>
    private const int IrOfOpset = 7;

    /// <summary>Operators whose semantics changed in opset 13.</summary>
    private static readonly HashSet<string> Changed =
    [
        "Squeeze",
        "Unsqueeze",
        "ReduceSum",
        "Split",
        "Softmax",
        "LogSoftmax",
        "Hardmax",
        "Dropout",
    ];

    /// <summary>Refuses a model that cannot be converted.</summary>
    /// <param name="model">The model that was read.</param>
    /// <param name="path">What to call it in an error.</param>
    /// <exception cref="QuantizationException">The model is refused; the message says how to convert it.</exception>
    public static void Refuse(OnnxGraph model, string path)
    {
        if (model.Opset >= Opset)
            return;
        const string how =
            "Convert it with onnx.version_converter.convert_version(model, 13) of Python's onnx package, "
            + "or export it again: TorchBridge writes opsets 17 to 21.";
        if (model.Opset < Oldest)
        {
            throw new QuantizationException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{path} has opset {model.Opset}; supported are {Oldest} and later, because scales per "
                        + $"channel need {Opset} and only {Oldest} and 12 can be converted to it. {how}"
                )
            );
        }

        var inside = model
            .Nodes.SelectMany(node => node.Attributes.Values.OfType<AttributeProto>())
            .SelectMany(Subgraphs.Of)
            .SelectMany(graph => Subgraphs.Nodes(graph.Node));
        if (
            inside
                .Concat(model.Rest?.Functions.SelectMany(function => function.Node) ?? [])
                .FirstOrDefault(node => Changed.Contains(node.OpType)) is
            { } node
        )
        {
            throw new QuantizationException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{path} has opset {model.Opset}; its node '{node.Name}' ({node.OpType}) in a "
                        + $"subgraph or function has other semantics in opset {Opset}. {how}"
                )
            );
        }
    }

    /// <summary>Copies the model and converts it to opset 13, unless it already has that opset or a later
    /// one.</summary>
    /// <param name="original">The model, which is not changed.</param>
    public static OnnxGraph Apply(OnnxGraph original)
    {
        if (original.Opset >= Opset)
            return original.Copy();
        var model = original.Copy(Opset, IrOfOpset);
        var names = new FreshNames(model);
        var nodes = model.Nodes.ToArray();
        model.Nodes.Clear();
        foreach (var node in nodes)
        {
            switch (node.StandardType)
            {
                case "Squeeze" or "Unsqueeze" or "ReduceSum":
                    ToInput(model, names, node, "axes");
                    break;
                case "Split":
                    ToInput(model, names, node, "split");
                    break;
                case "Softmax" or "LogSoftmax" or "Hardmax" when node.Int("axis", 1) != -1:
                    model.Nodes.AddRange(Flattened(names, node));
                    continue;
                case "Dropout":
                    node.Attributes.Remove("ratio");
                    break;
            }

            model.Nodes.Add(node);
        }

        return model;
    }

    /// <summary>
    /// Turns an attribute of integers into an input; a missing or empty attribute is left out.
    /// </summary>
    /// <param name="model">The graph, which receives the tensor.</param>
    /// <param name="names">Source of a name for the tensor.</param>
    /// <param name="node">The node, changed in place.</param>
    /// <param name="attribute">A list of integers.</param>
    private static void ToInput(OnnxGraph model, FreshNames names, OnnxNode node, string attribute)
    {
        var values = node.Ints(attribute).ToArray();
        node.Attributes.Remove(attribute);
        if (values.Length == 0)
            return;
        var tensor = Initializer.Of<long>(
            names.Take($"{node.Name}:{attribute}"),
            ElementType.Int64,
            values,
            values.Length
        );
        model.Add(tensor);
        node.Inputs.Add(tensor.Name);
    }

    /// <summary>
    /// Softmax with the semantics of opset 11, over all axes from one on: Shape, Flatten, the node along the last
    /// axis, Reshape back.
    /// </summary>
    /// <param name="names">Source of names for the new nodes and values.</param>
    /// <param name="node">The softmax, changed in place.</param>
    /// <returns>The nodes that replace it, in order.</returns>
    private static OnnxNode[] Flattened(FreshNames names, OnnxNode node)
    {
        string input = node.Inputs[0],
            output = node.Outputs[0];
        var shape = Node("Shape", [input]);
        var flat = Node("Flatten", [input]);
        flat.Attributes["axis"] = node.Int("axis", 1);
        node.Inputs[0] = flat.Outputs[0];
        node.Outputs[0] = names.Take($"{node.Name}:rows");
        node.Attributes["axis"] = -1L;
        var back = new OnnxNode
        {
            OpType = "Reshape",
            Name = names.Take($"{node.Name}:back"),
            Inputs = [node.Outputs[0], shape.Outputs[0]],
            Outputs = [output],
        };
        return [shape, flat, node, back];

        OnnxNode Node(string type, List<string> inputs)
        {
            var name = names.Take($"{node.Name}:{type.ToLowerInvariant()}");
            return new OnnxNode
            {
                OpType = type,
                Name = name,
                Inputs = inputs,
                Outputs = [name],
            };
        }
    }
}
