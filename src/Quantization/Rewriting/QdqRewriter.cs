using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Plan;
using TorchBridge.Quantization.Preparation;
using TorchBridge.Quantization.Weights;

namespace TorchBridge.Quantization.Rewriting;

/// <summary>
/// What the rewriter needs to know of the values: what calibration and the options decided.
/// </summary>
/// <param name="Scales">By name of the value.</param>
/// <param name="InputMeans">By a layer's input and axis: the mean of each channel, to correct biases by; null to
/// leave them.</param>
/// <param name="WeightBits">7 or 8.</param>
internal sealed record Calibrated(
    IReadOnlyDictionary<string, AffineScale> Scales,
    IReadOnlyDictionary<(string Value, int Axis), double[]>? InputMeans,
    int WeightBits
);

/// <summary>
/// Writes a plan into a model in the QDQ format: QuantizeLinear and DequantizeLinear stand around what is to compute
/// in integers, and a runtime makes integer nodes of it. Readers of a value that is made in integers read what the
/// integers stand for, outputs included.
/// </summary>
/// <param name="model">Is rewritten.</param>
/// <param name="plan">Which nodes compute in integers, and which values are held in 8 bits.</param>
/// <param name="calibrated">Scales of these values, and what else was measured.</param>
internal sealed class QdqRewriter(OnnxGraph model, QuantizationPlan plan, Calibrated calibrated)
{
    /// <summary>Ends the new name of what a node gives before it is quantized.</summary>
    private const string FloatSuffix = ":float";

    /// <summary>
    /// Ends the name of what the integers of an input, or of a float node's result, stand for.
    /// </summary>
    private const string DequantizedSuffix = ":dequantized";

    /// <summary>Gives new values and nodes names that the model has not.</summary>
    private readonly FreshNames names = new(model);

    /// <summary>The name of what the integers of a value stand for, by the value's name.</summary>
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
                // Who reads the value by its name reads what the integers stand for; the node itself gives another
                // name.
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

    /// <summary>The name of what the integers of a value stand for; the same one each time.</summary>
    /// <param name="value">A value of the plan.</param>
    private string Dequantized(string value) =>
        dequantizedNames.TryGetValue(value, out var name)
            ? name
            : dequantizedNames[value] = names.Take(value + DequantizedSuffix);

    /// <summary>
    /// QuantizeLinear and DequantizeLinear with one scale: x becomes q, and q what x is rounded to.
    /// </summary>
    /// <param name="value">The value whose scale it is.</param>
    /// <param name="from">What is quantized.</param>
    /// <param name="to">What is dequantized.</param>
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
    /// products; both behind a DequantizeLinear, which the runtime's integer kernel takes up.
    /// </summary>
    /// <param name="layer">A layer of the plan; its inputs are changed in place.</param>
    private IEnumerable<OnnxNode> QuantizeWeights(OnnxNode layer)
    {
        var input = layer.Inputs[0];
        // MatMul has no bias: nothing can take the change up. Nor is there a mean where calibration saw no element.
        var means = layer.StandardType == "MatMul" ? null : calibrated.InputMeans?[QuantizationPlan.Channels(layer)];
        if (means is { Length: 0 })
            means = null;
        var weights = new LayerWeights(model, layer);
        var inputScale = calibrated.Scales[input].Scale;
        // By the layer, not by the tensor: two layers may share one.
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

    /// <summary>A node of one output, under a name that is free.</summary>
    /// <param name="type">The operator.</param>
    /// <param name="name">Name of the node.</param>
    /// <param name="inputs">Values that it reads.</param>
    /// <param name="output">The value that it makes.</param>
    private OnnxNode Node(string type, string name, List<string> inputs, string output) =>
        new()
        {
            OpType = type,
            Name = names.Take(name),
            Inputs = inputs,
            Outputs = [output],
        };
}
