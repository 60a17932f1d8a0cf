using System.Runtime.InteropServices;
using TorchBridge.Onnx.Proto;
using DataType = TorchBridge.Onnx.Proto.TensorProto.Types.DataType;

namespace TorchBridge.Export.Quantization;

/// <summary>What the rewriter needs to know of the values.</summary>
/// <param name="Scales">By name of the value.</param>
/// <param name="InputMeans">By name of a layer's input: the mean of each channel, to correct biases by; null to leave them.</param>
/// <param name="WeightBits">7 or 8.</param>
internal sealed record Calibrated(IReadOnlyDictionary<string, AffineScale> Scales, IReadOnlyDictionary<string, double[]>? InputMeans, int WeightBits);

/// <summary>
/// Writes a plan into a model in the QDQ format: QuantizeLinear and DequantizeLinear stand around what is to compute in integers, and a
/// runtime makes integer nodes of it. Readers of a value that is made in integers read what the integers stand for, outputs included.
/// </summary>
internal sealed class QdqRewriter(OnnxModel model, QuantizationPlan plan, Calibrated calibrated)
{
    private const string FloatSuffix = ":float";
    private const string DequantizedSuffix = ":dequantized";

    /// <summary>Rewrites the model in place.</summary>
    public void Rewrite()
    {
        var nodes = new List<NodeProto>();
        var before = model.Nodes.ToArray();
        var inputs = model.InputNames.ToArray();
        foreach (var input in inputs.Where(plan.Values.ContainsKey)) nodes.AddRange(Pair(input, input, input + DequantizedSuffix));
        foreach (var node in before)
        {
            if (plan.Roles.TryGetValue(node.Name, out var role))
            {
                if (role == Role.Layer) nodes.AddRange(QuantizeWeights(node));
                foreach (var value in QuantizationPlan.Activations(node, role).Distinct().Where(value => !plan.Values[value].IsMadeInIntegers))
                {
                    for (var i = 0; i < node.Input.Count; i++)
                    {
                        if (node.Input[i] == value) node.Input[i] = value + DequantizedSuffix;
                    }
                }
            }

            nodes.Add(node);
            for (var i = 0; i < node.Output.Count; i++)
            {
                var value = node.Output[i];
                if (!plan.Values.TryGetValue(value, out var planned)) continue;
                // Who reads the value by its name reads what the integers stand for; the node itself gives another name.
                if (planned.IsMadeInIntegers) node.Output[i] = value + FloatSuffix;
                nodes.AddRange(Pair(value, node.Output[i], planned.IsMadeInIntegers ? value : value + DequantizedSuffix));
            }
        }

        model.Nodes.Clear();
        foreach (var node in nodes) model.Nodes.Add(node);
        model.RemoveUnread();
    }

    private NodeProto[] Pair(string value, string from, string to)
    {
        var scale = calibrated.Scales[value];
        var (scaleName, zeroName) = ($"{value}:scale", $"{value}:zero_point");
        model.Add(OnnxModel.Tensor(scaleName, [scale.Scale]));
        model.Add(OnnxModel.Tensor(zeroName, scale.IsSigned ? DataType.Int8 : DataType.Uint8, [unchecked((byte)scale.ZeroPoint)]));
        return
        [
            Node("QuantizeLinear", $"{value}:quantize", [from, scaleName, zeroName], $"{value}:integers"),
            Node("DequantizeLinear", $"{value}:dequantize", [$"{value}:integers", scaleName, zeroName], to),
        ];
    }

    private IEnumerable<NodeProto> QuantizeWeights(NodeProto layer)
    {
        var input = layer.Input[0];
        var means = calibrated.InputMeans?[input];
        // MatMul has no bias: nothing can take the change up.
        if (layer.OpType == "MatMul") means = null;
        var weights = new LayerWeights(model, layer);
        var inputScale = calibrated.Scales[input].Scale;
        // By the layer, not by the tensor: two layers may share one.
        var (tensor, bias) = weights.Quantize(inputScale, calibrated.WeightBits, means, layer.Name);
        model.Add(tensor);
        model.Add(OnnxModel.Tensor($"{layer.Name}:weight_scale", weights.Scales, weights.Channels));
        model.Add(OnnxModel.Tensor($"{layer.Name}:weight_zero_point", DataType.Int8, new byte[weights.Channels], weights.Channels));
        var dequantized = Node("DequantizeLinear", $"{layer.Name}:weights", [tensor.Name, $"{layer.Name}:weight_scale", $"{layer.Name}:weight_zero_point"], $"{layer.Name}:weight");
        dequantized.Attribute.Add(new AttributeProto { Name = "axis", I = weights.Axis, Type = AttributeProto.Types.AttributeType.Int });
        layer.Input[1] = dequantized.Output[0];
        yield return dequantized;
        if (bias is null) yield break;
        model.Add(bias);
        model.Add(OnnxModel.Tensor($"{layer.Name}:bias_scale", Array.ConvertAll(weights.Scales, scale => scale * inputScale), weights.Channels));
        model.Add(OnnxModel.Tensor($"{layer.Name}:bias_zero_point", DataType.Int32, MemoryMarshal.AsBytes(new int[weights.Channels].AsSpan()), weights.Channels));
        var biases = Node("DequantizeLinear", $"{layer.Name}:biases", [bias.Name, $"{layer.Name}:bias_scale", $"{layer.Name}:bias_zero_point"], $"{layer.Name}:bias");
        biases.Attribute.Add(new AttributeProto { Name = "axis", I = 0, Type = AttributeProto.Types.AttributeType.Int });
        while (layer.Input.Count < 3) layer.Input.Add("");
        layer.Input[2] = biases.Output[0];
        yield return biases;
    }

    private static NodeProto Node(string type, string name, string[] inputs, string output)
    {
        var node = new NodeProto { OpType = type, Name = name };
        node.Input.AddRange(inputs);
        node.Output.Add(output);
        return node;
    }
}
