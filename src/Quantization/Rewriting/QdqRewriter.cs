using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Plan;
using TorchBridge.Quantization.Preparation;
using TorchBridge.Quantization.Weights;

namespace TorchBridge.Quantization.Rewriting;

/// <summary>
/// The decisions of calibration and options that the rewriter needs.
/// </summary>
/// <param name="Scales">Scales by name of the value.</param>
/// <param name="InputMeans">The mean of each channel by a layer's input and axis, for bias correction; null to leave
/// biases unchanged.</param>
/// <param name="WeightBits">Bits of the weights, 7 or 8.</param>
internal sealed record Calibrated(
    IReadOnlyDictionary<string, AffineScale> Scales,
    IReadOnlyDictionary<(string Value, int Axis), double[]>? InputMeans,
    int WeightBits
);

/// <summary>
/// Writes a plan into a model in the QDQ format: QuantizeLinear and DequantizeLinear surround the nodes that compute
/// in integers, and a runtime fuses them into integer nodes. Readers of a value that is produced in integers,
/// including the model's outputs, read the dequantized value.
/// </summary>
/// <param name="model">The model; changed in place.</param>
/// <param name="plan">The nodes that compute in integers and the values held in 8 bits.</param>
/// <param name="calibrated">Scales of these values, and channel means.</param>
internal sealed class QdqRewriter(OnnxGraph model, QuantizationPlan plan, Calibrated calibrated)
{
    /// <summary>Suffix of a node's result before it is quantized.</summary>
    private const string FloatSuffix = ":float";

    /// <summary>
    /// Suffix of the dequantized value of an input or of a float node's result.
    /// </summary>
    private const string DequantizedSuffix = ":dequantized";

    /// <summary>Creates unique names for new values and nodes.</summary>
    private readonly FreshNames names = new(model);

    /// <summary>Names of the dequantized values, by name of the value.</summary>
    private readonly Dictionary<string, string> dequantizedNames = new(StringComparer.Ordinal);

    /// <summary>
    /// Rewrites the model in place: pairs of QuantizeLinear and DequantizeLinear around the planned values, integer
    /// weights and biases in the layers.
    /// </summary>
    public void Rewrite()
    {
        var nodes = new List<OnnxNode>();
        var before = model.Nodes.ToArray();
        var inputs = model.InputNames.ToArray();
        foreach (var input in inputs.Where(plan.Values.ContainsKey))
            nodes.AddRange(Pair(input, input, Dequantized(input)));
        foreach (var node in before)
        {
            if (plan.Roles.TryGetValue(node.Name, out var role))
            {
                if (role == Role.Layer)
                    nodes.AddRange(QuantizeWeights(node));
                foreach (
                    var value in QuantizationPlan
                        .Activations(node, role)
                        .Distinct()
                        .Where(value => !plan.Values[value].IsMadeInIntegers)
                )
                {
                    for (var position = 0; position < node.Inputs.Count; position++)
                    {
                        if (node.Inputs[position] == value)
                            node.Inputs[position] = Dequantized(value);
                    }
                }
            }

            nodes.Add(node);
            for (var position = 0; position < node.Outputs.Count; position++)
            {
                var value = node.Outputs[position];
                if (!plan.Values.TryGetValue(value, out var planned))
                    continue;
                // Readers of the value's name read the dequantized value; the node's own result gets another name.
                if (planned.IsMadeInIntegers)
                    node.Outputs[position] = names.Take(value + FloatSuffix);
                nodes.AddRange(
                    Pair(value, node.Outputs[position], planned.IsMadeInIntegers ? value : Dequantized(value))
                );
            }
        }

        model.Nodes.Clear();
        foreach (var node in nodes)
            model.Nodes.Add(node);
        model.RemoveUnreadInitializers();
    }

    /// <summary>The name of a value's dequantized form; the same on every call.</summary>
    /// <param name="value">A value of the plan.</param>
    private string Dequantized(string value) =>
        dequantizedNames.TryGetValue(value, out var name)
            ? name
            : dequantizedNames[value] = names.Take(value + DequantizedSuffix);

    /// <summary>
    /// QuantizeLinear and DequantizeLinear with one scale: x becomes q, and q the rounded x.
    /// </summary>
    /// <param name="value">The value whose scale is used.</param>
    /// <param name="from">Name of the value to quantize.</param>
    /// <param name="to">Name of the dequantized value.</param>
    private OnnxNode[] Pair(string value, string from, string to)
    {
        var scale = calibrated.Scales[value];
        var (scaleName, zeroName, integers) = (
            names.Take($"{value}:scale"),
            names.Take($"{value}:zero_point"),
            names.Take($"{value}:integers")
        );
        model.Add(Initializer.Of(scaleName, [scale.Scale]));
        model.Add(
            Initializer.Of<byte>(
                zeroName,
                scale.IsSigned ? ElementType.Int8 : ElementType.UInt8,
                [unchecked((byte)scale.ZeroPoint)]
            )
        );
        return
        [
            Node("QuantizeLinear", $"{value}:quantize", [from, scaleName, zeroName], integers),
            Node("DequantizeLinear", $"{value}:dequantize", [integers, scaleName, zeroName], to),
        ];
    }

    /// <summary>
    /// A layer's weight in int8 with one scale per output channel, and its bias in int32 at the scale of the
    /// products; both followed by a DequantizeLinear, which the runtime's integer kernel absorbs.
    /// </summary>
    /// <param name="layer">A layer of the plan; its inputs are changed in place.</param>
    private IEnumerable<OnnxNode> QuantizeWeights(OnnxNode layer)
    {
        var input = layer.Inputs[0];
        // MatMul has no bias that could be corrected. There is no mean either if calibration saw no elements.
        var means = layer.StandardType == "MatMul" ? null : calibrated.InputMeans?[QuantizationPlan.Channels(layer)];
        if (means is { Length: 0 })
            means = null;
        var weights = new LayerWeights(model, layer);
        var inputScale = calibrated.Scales[input].Scale;
        // Named after the layer, not the tensor: two layers may share one.
        var (tensor, bias) = weights.Quantize(
            inputScale,
            calibrated.WeightBits,
            means,
            names.Take($"{layer.Name}:int8"),
            names.Take($"{layer.Name}.bias:int32")
        );
        var scale = Initializer.Of(names.Take($"{layer.Name}:weight_scale"), weights.Scales, weights.Channels);
        var zero = Initializer.Of<sbyte>(
            names.Take($"{layer.Name}:weight_zero_point"),
            ElementType.Int8,
            new sbyte[weights.Channels],
            weights.Channels
        );
        model.Add(tensor);
        model.Add(scale);
        model.Add(zero);
        var dequantized = Node(
            "DequantizeLinear",
            $"{layer.Name}:weights",
            [tensor.Name, scale.Name, zero.Name],
            names.Take($"{layer.Name}:weight")
        );
        dequantized.Attributes["axis"] = (long)weights.Axis;
        layer.Inputs[1] = dequantized.Outputs[0];
        yield return dequantized;
        if (bias is null)
            yield break;
        var biasScale = Initializer.Of(
            names.Take($"{layer.Name}:bias_scale"),
            Array.ConvertAll(weights.Scales, step => step * inputScale),
            weights.Channels
        );
        var biasZero = Initializer.Of<int>(
            names.Take($"{layer.Name}:bias_zero_point"),
            ElementType.Int32,
            new int[weights.Channels],
            weights.Channels
        );
        model.Add(bias);
        model.Add(biasScale);
        model.Add(biasZero);
        var biases = Node(
            "DequantizeLinear",
            $"{layer.Name}:biases",
            [bias.Name, biasScale.Name, biasZero.Name],
            names.Take($"{layer.Name}:bias")
        );
        biases.Attributes["axis"] = 0L;
        while (layer.Inputs.Count < 3)
            layer.Inputs.Add("");
        layer.Inputs[2] = biases.Outputs[0];
        yield return biases;
    }

    /// <summary>Creates a node with one output under a unique name.</summary>
    /// <param name="type">The operator.</param>
    /// <param name="name">Name of the node.</param>
    /// <param name="inputs">Inputs of the node.</param>
    /// <param name="output">Output of the node.</param>
    private OnnxNode Node(string type, string name, List<string> inputs, string output) =>
        new()
        {
            OpType = type,
            Name = names.Take(name),
            Inputs = inputs,
            Outputs = [output],
        };
}
