// What it does: folds a BatchNormalization into the Conv or Gemm before it, whose values then stay in integers.
//   s = gamma / sqrt(variance + epsilon):   w'[c] = w[c] s[c],   b'[c] = (b[c] - mean[c]) s[c] + beta[c]
// in float64, rounded once.
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Quantization.Preparation;

/// <summary>
/// Folds a BatchNormalization that the exporter left unfolded into the Conv or Gemm before it; otherwise values would
/// be converted to float32 and back between the two.
/// </summary>
internal static class BatchNormFolding
{
    /// <summary>Rewrites a model in place.</summary>
    /// <param name="model">The model; changed in place. A norm stays if it is in training mode or if another node
    /// reads the layer's result.</param>
    public static void Apply(OnnxGraph model)
    {
        var names = new FreshNames(model);
        var index = model.Index();
        foreach (var norm in model.Nodes.Where(node => node.StandardType == "BatchNormalization").ToArray())
        {
            if (norm.Int("training_mode", 0) != 0 || norm.Outputs.Skip(1).Any(output => output.Length > 0))
                continue;
            if (index.Producer(norm.Inputs[0]) is not { StandardType: "Conv" or "Gemm" } layer)
                continue;
            if (index.IsOutput(norm.Inputs[0]) || index.Readers(norm.Inputs[0]).Count() != 1)
                continue;
            if (
                norm
                    .Inputs.Skip(1)
                    .Concat(layer.Inputs.Skip(1).Where(input => input.Length > 0))
                    .Any(input => model.Tensor(input) is not { Type: ElementType.Float32 })
            )
                continue;
            Fold(model, names, layer, norm);
            layer.Outputs[0] = norm.Outputs[0];
            model.Nodes.Remove(norm);
            index = model.Index();
        }

        model.RemoveUnreadInitializers();
    }

    /// <summary>Writes the folded weight and bias under new names, since other layers may share the original
    /// tensors.</summary>
    /// <param name="model">The graph, changed in place.</param>
    /// <param name="names">Source of names for the two new tensors.</param>
    /// <param name="layer">The Conv or Gemm before the norm.</param>
    /// <param name="norm">The norm, which the caller removes.</param>
    private static void Fold(OnnxGraph model, FreshNames names, OnnxNode layer, OnnxNode norm)
    {
        var weight = model.Initializers[layer.Inputs[1]];
        var axis = layer.StandardType == "Conv" || layer.Int("transB", 0) != 0 ? 0 : 1;
        int channels = (int)weight.Dims[axis],
            inner = (int)weight.Dims.Skip(axis + 1).Aggregate(1L, (product, size) => product * size);
        float[] gamma = Of(1),
            beta = Of(2),
            mean = Of(3),
            variance = Of(4),
            weights = weight.Floats();
        var bias =
            layer.Inputs.Count > 2 && layer.Inputs[2].Length > 0
                ? model.Initializers[layer.Inputs[2]].Floats()
                : new float[channels];
        double epsilon = norm.Float("epsilon", 1e-5f);
        var scales = new double[channels];
        for (var channel = 0; channel < channels; channel++)
        {
            scales[channel] = gamma[channel] / Math.Sqrt(variance[channel] + epsilon);
            bias[channel] = (float)(((bias[channel] - (double)mean[channel]) * scales[channel]) + beta[channel]);
        }

        for (var index = 0; index < weights.Length; index++)
            weights[index] = (float)(weights[index] * scales[index / inner % channels]);
        var folded = Initializer.Of(names.Take($"{layer.Name}:folded"), weights, weight.Dims);
        var foldedBias = Initializer.Of(names.Take($"{layer.Name}:folded_bias"), bias, channels);
        model.Add(folded);
        model.Add(foldedBias);
        layer.Inputs[1] = folded.Name;
        while (layer.Inputs.Count < 3)
            layer.Inputs.Add("");
        layer.Inputs[2] = foldedBias.Name;

        float[] Of(int input) => model.Initializers[norm.Inputs[input]].Floats();
    }
}
