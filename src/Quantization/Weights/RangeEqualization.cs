// What it does: gives the channels between two layers equal ranges without changing what the model computes.
//   For layer 1 (weights w1[c, ...], bias b1[c]), a positively homogeneous step f(s x) = s f(x), s > 0, and layer 2
//   (w2[..., c]):
//   w1[c] / s_c,  b1[c] / s_c,  w2[..., c] * s_c   with   s_c = sqrt(max |w1[c]| / max |w2[..., c]|)
// Source: Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction", section 4.1.
using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Plan;

namespace TorchBridge.Quantization.Weights;

/// <summary>
/// Equalizes the ranges of channels across adjacent convolutions, so that one wide channel does not coarsen the steps
/// of the others. The model computes the same results up to rounding.
/// </summary>
internal static class RangeEqualization
{
    /// <summary>Changing one pair affects its neighbours; the scales settle in a few rounds.</summary>
    private const int Rounds = 10;

    /// <summary>Rewrites the weights in place.</summary>
    /// <param name="model">The model; changed in place: the weights of pairs of convolutions with only ReLU,
    /// LeakyReLU or pooling between them.</param>
    public static void Apply(OnnxGraph model)
    {
        var index = model.Index();
        var pairs = model
            .Nodes.Where(node => IsPlain(model, index, node))
            .Select(first => (First: first, Second: Next(model, index, first)))
            .Where(pair => pair.Second is not null)
            .ToArray();
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var (first, second) in pairs)
                Equalize(model, first, second!);
        }
    }

    /// <summary>Whether a node is a convolution whose weight and bias no other node reads.</summary>
    /// <param name="model">The graph.</param>
    /// <param name="index">Index of the graph.</param>
    /// <param name="node">Any node.</param>
    private static bool IsPlain(OnnxGraph model, GraphIndex index, OnnxNode node) =>
        node.StandardType == "Conv"
        && QuantizationPlan.Refusal(model, node) is null
        && node.Inputs.Skip(1)
            .Where(input => input.Length > 0)
            .All(input => !index.IsOutput(input) && index.Readers(input).Count() == 1);

    /// <summary>
    /// The convolution that is the only reader of another one's result, with only positively homogeneous nodes
    /// between them.
    /// </summary>
    /// <param name="model">The graph.</param>
    /// <param name="index">Index of the graph.</param>
    /// <param name="first">A plain convolution.</param>
    /// <returns>The next plain convolution, or null.</returns>
    private static OnnxNode? Next(OnnxGraph model, GraphIndex index, OnnxNode first)
    {
        var value = first.Outputs[0];
        while (!index.IsOutput(value) && index.Readers(value).ToArray() is [var node])
        {
            if (IsPlain(model, index, node))
                return
                    node.Inputs[0] == value
                    && (node.Int("group", 1) == 1 || model.Initializers[node.Inputs[1]].Dims[1] == 1)
                    ? node
                    : null;
            if (
                node.StandardType is not ("Relu" or "LeakyRelu" or "MaxPool" or "AveragePool" or "GlobalAveragePool")
                || node.Outputs.Count > 1
            )
                return null;
            value = node.Outputs[0];
        }

        return null;
    }

    /// <summary>Scales the channels between two convolutions; channels of zeros are left unchanged.</summary>
    /// <param name="model">The graph, whose tensors are replaced.</param>
    /// <param name="first">The convolution whose outputs are divided.</param>
    /// <param name="second">The convolution whose inputs are multiplied.</param>
    private static void Equalize(OnnxGraph model, OnnxNode first, OnnxNode second)
    {
        Initializer firstTensor = model.Initializers[first.Inputs[1]],
            secondTensor = model.Initializers[second.Inputs[1]];
        float[] w1 = firstTensor.Floats(),
            w2 = secondTensor.Floats();
        var channels = (int)firstTensor.Dims[0];
        var isDepthwise = second.Int("group", 1) > 1;
        // Depthwise convolutions with several filters per channel are left: their results would need separate
        // factors.
        if (isDepthwise && secondTensor.Dims[0] != channels)
            return;
        var biasTensor =
            first.Inputs.Count > 2 && first.Inputs[2].Length > 0 ? model.Initializers[first.Inputs[2]] : null;
        var bias = biasTensor?.Floats() ?? [];
        int perFirst = w1.Length / channels,
            outputs = isDepthwise ? 1 : (int)secondTensor.Dims[0],
            window = w2.Length / (channels * outputs);
        for (var channel = 0; channel < channels; channel++)
        {
            float most1 = 0,
                most2 = 0;
            for (var position = 0; position < perFirst; position++)
                most1 = Math.Max(most1, Math.Abs(w1[(channel * perFirst) + position]));
            for (var position = 0; position < outputs * window; position++)
                most2 = Math.Max(most2, Math.Abs(w2[At(position)]));
            var factor = MathF.Sqrt(most1 / most2);
            // A channel of zeros, or a bias that would overflow float32.
            if (!float.IsNormal(factor) || (bias.Length > 0 && !float.IsFinite(bias[channel] / factor)))
                continue;
            for (var position = 0; position < perFirst; position++)
                w1[(channel * perFirst) + position] /= factor;
            if (bias.Length > 0)
                bias[channel] /= factor;
            for (var position = 0; position < outputs * window; position++)
                w2[At(position)] *= factor;

            int At(int i) => ((((i / window) * channels) + channel) * window) + (i % window);
        }

        model.Initializers[firstTensor.Name] = Initializer.Of(firstTensor.Name, w1, firstTensor.Dims);
        model.Initializers[secondTensor.Name] = Initializer.Of(secondTensor.Name, w2, secondTensor.Dims);
        if (biasTensor is not null)
            model.Initializers[biasTensor.Name] = Initializer.Of(biasTensor.Name, bias, bias.Length);
    }
}
