// Why: a fold is exact in real numbers, but in float32 it changes rounding errors. A layer's result z = S (W x + c) +
// T is a sum whose terms have the magnitude B = |S| (|W| |x| + |c|) + |T|; whatever the order of summation, n terms
// have a rounding error of about sqrt(n) 2^-24 B. If a variance is tiny or a mean is large, B is many times z, and
// the rounding errors become visible. The condition number B / |z| says by how much. Source: Higham 2002, "Accuracy
// and Stability of Numerical Algorithms", section 4.2; the statistical growth is his section 2.8.
using TorchBridge.Export.Folding;
using TorchBridge.Export.Onnx;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>The numerical conditioning of a folded layer on some input.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Condition">Largest B over largest |z|.</param>
/// <param name="Error">Largest difference between the folded and the unfolded layer, over largest |z|.</param>
internal sealed record LayerCondition(LinearLayer Layer, double Condition, double Error)
{
    /// <summary>Rounding error of a sum of about a thousand terms, sqrt(1000) 2^-24, rounded up.</summary>
    public const double RoundingPerCondition = 2e-6;

    /// <summary>Whether rounding errors explain the error, given this condition number.</summary>
    public bool IsRounding => Error <= Condition * RoundingPerCondition;
}

/// <summary>Measures folded layers one by one, each on its input in the unfolded graph.</summary>
internal static class FoldConditioning
{
    /// <summary>Beyond this tolerance a wrong weight cannot be distinguished from rounding, so a comparison proves
    /// nothing.</summary>
    private const double LargestTolerance = 1e-2;

    /// <summary>The tolerance that a network with these layers needs, relative to its largest output.</summary>
    /// <param name="usual">The tolerance that float32 needs without ill-conditioned layers.</param>
    /// <param name="layers">The measurements of the layers.</param>
    /// <returns>The relative tolerance, at most 1 %.</returns>
    public static double Tolerance(double usual, IEnumerable<LayerCondition> layers) =>
        Math.Min(
            LargestTolerance,
            layers.Select(layer => layer.Condition * LayerCondition.RoundingPerCondition).Append(usual).Max()
        );

    /// <summary>Measures every folded layer.</summary>
    /// <param name="unfolded">The graph before folding.</param>
    /// <param name="layers">The folded layers.</param>
    /// <param name="inputs">An input of the model.</param>
    /// <returns>One entry per layer, in their order.</returns>
    public static IReadOnlyList<LayerCondition> Measure(
        OnnxGraph unfolded,
        IReadOnlyList<LinearLayer> layers,
        IReadOnlyList<Tensor> inputs
    )
    {
        using var scope = NewDisposeScope();
        // The input and output of a folded layer have the same names in the unfolded graph, because folding keeps
        // those values.
        var names = layers
            .SelectMany(layer => (string[])[layer.Node.Inputs[0], layer.Node.Outputs[0]])
            .Distinct(StringComparer.Ordinal)
            .ToArray();
        var known = unfolded.Inputs.Select(input => input.Name).ToArray();
        var wanted = names.Except(known, StringComparer.Ordinal).ToArray();
        using var model = new OrtModel(OnnxWriter.WithOutputs(unfolded, wanted));
        var values = known
            .Zip(inputs)
            .Concat(wanted.Zip(model.Run(inputs, wanted)))
            .ToDictionary(pair => pair.First, pair => pair.Second, StringComparer.Ordinal);
        return
        [
            .. layers.Select(layer =>
                Measure(unfolded.Opset, layer, values[layer.Node.Inputs[0]], values[layer.Node.Outputs[0]])
            ),
        ];
    }

    /// <summary>Measures one layer on its input x and its unfolded result z.</summary>
    /// <param name="opset">Opset of the model.</param>
    /// <param name="layer">The layer, with everything that was folded into it.</param>
    /// <param name="x">The layer's input.</param>
    /// <param name="z">The output of the unfolded layer followed by the nodes that were folded into it.</param>
    private static LayerCondition Measure(int opset, LinearLayer layer, Tensor x, Tensor z)
    {
        using var scope = NewDisposeScope();
        var largest = Math.Max(double.Epsilon, Finite(z).abs().max().ToDouble());
        var error = Finite(Alone(opset, layer, x, tensor => tensor) - z).abs().max().ToDouble() / largest;
        var magnitude = Alone(opset, layer, x.abs(), Absolute).max().ToDouble() / largest;
        return new LayerCondition(layer, magnitude, error);
    }

    /// <summary>A tensor in float64 with zeros for NaN and infinities.</summary>
    /// <param name="tensor">Tensor of any dtype; the caller keeps ownership.</param>
    private static Tensor Finite(Tensor tensor) => tensor.to(ScalarType.Float64).nan_to_num(0, 0, 0);

    /// <summary>Runs the folded layer by itself, with its tensors changed by a function.</summary>
    /// <param name="opset">Opset of the model.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="x">Its input.</param>
    /// <param name="change">Applied to weight and bias, for a run with their absolute values.</param>
    /// <returns>A float64 tensor with the layer's output shape.</returns>
    private static Tensor Alone(int opset, LinearLayer layer, Tensor x, Func<Initializer, Initializer> change)
    {
        var part = new OnnxGraph { Opset = opset };
        var tensors = layer.Folded();
        var node = layer.Node.Copy();
        node.Inputs.RemoveRange(1, node.Inputs.Count - 1);
        node.Inputs.AddRange(tensors.Select(tensor => tensor.Name));
        part.Nodes.Add(node);
        part.Inputs.Add(new ValueInfo(node.Inputs[0], x.dtype.ToOnnx(), [.. x.shape.Select(size => (object)size)]));
        foreach (var tensor in tensors)
            part.Initializers[tensor.Name] = change(tensor);
        using var model = new OrtModel(OnnxWriter.WithOutputs(part, node.Outputs));
        return model.Run([x])[0].to(ScalarType.Float64);
    }

    /// <summary>The absolute values of a tensor.</summary>
    /// <param name="tensor">A weight or bias.</param>
    private static Initializer Absolute(Initializer tensor) =>
        TensorBytes.FromDoubles(
            tensor.Name,
            tensor.Type,
            tensor.Dims,
            [.. TensorBytes.ToDoubles(tensor).Select(Math.Abs)]
        );
}
