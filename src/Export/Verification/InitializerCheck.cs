// Why: one wrong weight among millions does not show in the logits. So the written file is read back, and every
// tensor in it is compared bit for bit: a parameter with the module's parameter, a folded tensor with an independent
// float64 computation (with TorchSharp's operations, from the module's own tensors), and any other tensor with the
// one that the exporter computed.
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TorchBridge.Export.Folding;
using TorchBridge.Export.Onnx;
using TorchBridge.Onnx;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>Compares the tensors of a file with the module's.</summary>
internal sealed class InitializerCheck
{
    /// <summary>The module's parameters and buffers by state-dict key; the module keeps ownership.</summary>
    private readonly IReadOnlyDictionary<string, Tensor> module;

    /// <summary>The graph before folding, with the tensors that folding started from.</summary>
    private readonly OnnxGraph unfolded;

    /// <summary>Folded layers by the name of the folded weight.</summary>
    private readonly Dictionary<string, LinearLayer> foldedWeights = new(StringComparer.Ordinal);

    /// <summary>Folded layers by the name of the folded bias.</summary>
    private readonly Dictionary<string, LinearLayer> foldedBiases = new(StringComparer.Ordinal);

    /// <summary>SHA-256 of each computed tensor (one that is not a parameter or buffer).</summary>
    private readonly Dictionary<string, byte[]> computed = new(StringComparer.Ordinal);

    /// <summary>State-dict key of each tensor that is an unchanged parameter or buffer.</summary>
    private readonly Dictionary<string, string> sources = new(StringComparer.Ordinal);

    /// <summary>Notes what the file must contain. Must be created before the exporter releases its tensors.</summary>
    /// <param name="module">The module's parameters and buffers by name.</param>
    /// <param name="unfolded">The graph before folding: folding started from its constants.</param>
    /// <param name="graph">The graph that is written.</param>
    /// <param name="layers">Layers that were folded.</param>
    public InitializerCheck(
        IReadOnlyDictionary<string, Tensor> module,
        OnnxGraph unfolded,
        OnnxGraph graph,
        IReadOnlyList<LinearLayer> layers
    )
    {
        (this.module, this.unfolded) = (module, unfolded);
        foreach (var layer in layers)
        {
            foldedWeights[layer.FoldedWeightName] = layer;
            foldedBiases[layer.FoldedBiasName] = layer;
        }

        foreach (var tensor in graph.Initializers.Values)
        {
            if (tensor.Source is { } source && module.ContainsKey(source))
                sources[tensor.Name] = source;
            else
                computed[tensor.Name] = SHA256.HashData(tensor.Data.Span);
        }
    }

    /// <summary>Reads a file and compares.</summary>
    /// <param name="path">The file that was written.</param>
    /// <exception cref="ParityException">A tensor differs; the message names it.</exception>
    public void Check(string path)
    {
        var seen = 0;
        foreach (var tensor in OnnxReader.Initializers(path))
        {
            using var scope = NewDisposeScope();
            var bytes = tensor.Data.Span;
            if (foldedWeights.TryGetValue(tensor.Name, out var layer))
                Compare(
                    tensor,
                    bytes,
                    Weight(layer),
                    $"the float64 recomputation of {layer.Node.Name} with the norms folded into it"
                );
            else if (foldedBiases.TryGetValue(tensor.Name, out layer))
                Compare(
                    tensor,
                    bytes,
                    Bias(layer),
                    $"the float64 recomputation of {layer.Node.Name} with the norms folded into it",
                    sumsInAnotherOrder: !layer.Before.ShiftsNothing
                );
            else if (sources.TryGetValue(tensor.Name, out var source))
                Compare(tensor, bytes, module[source], $"the module's {source}");
            else if (
                !computed.TryGetValue(tensor.Name, out var hash) || !SHA256.HashData(bytes).AsSpan().SequenceEqual(hash)
            )
                throw new ParityException(
                    $"the tensor '{tensor.Name}' in the file is not the tensor that the exporter computed"
                );
            seen++;
        }

        if (seen != sources.Count + computed.Count)
            throw new ParityException(
                $"the file contains {seen} tensors, but {sources.Count + computed.Count} were written"
            );
    }

    /// <summary>
    /// Compares bytes with a tensor; the message names the first element that differs.
    /// </summary>
    /// <param name="tensor">The tensor of the file, for the message.</param>
    /// <param name="bytes">Its elements in the file.</param>
    /// <param name="expected">The expected elements.</param>
    /// <param name="what">Description of <paramref name="expected"/>, for the message.</param>
    /// <param name="sumsInAnotherOrder">Whether float32 elements may differ by one unit in the last place.</param>
    /// <exception cref="ParityException">They differ in length or in an element.</exception>
    private static void Compare(
        Initializer tensor,
        ReadOnlySpan<byte> bytes,
        Tensor expected,
        string what,
        bool sumsInAnotherOrder = false
    )
    {
        var plain = expected.detach().cpu().contiguous();
        var want = plain.numel() == 0 ? [] : plain.bytes;
        if (bytes.SequenceEqual(want) || (sumsInAnotherOrder && OneRoundingApart(bytes, want, plain.dtype)))
            return;
        var at = bytes.Length == want.Length ? bytes.CommonPrefixLength(want) / (int)plain.element_size() : -1;
        if (at < 0)
            throw new ParityException(
                $"the tensor '{tensor.Name}' has {bytes.Length} bytes in the file, but {what} has {want.Length}"
            );
        var values =
            plain.dtype == ScalarType.Float32 ? $": {ShortFloat(bytes, at)}, expected {ShortFloat(want, at)}" : "";
        throw new ParityException(
            $"the tensor '{tensor.Name}' in the file differs from {what} at element {at}{values}"
        );
    }

    /// <summary>Whether two elements are adjacent float32 numbers: a float64 sum in another order may round to the
    /// neighbour.</summary>
    /// <param name="a">Bytes of a tensor.</param>
    /// <param name="b">Bytes of another tensor.</param>
    /// <param name="type">Type of their elements; only float32 may differ.</param>
    private static bool OneRoundingApart(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, ScalarType type)
    {
        if (type != ScalarType.Float32 || a.Length != b.Length)
            return false;
        var first = MemoryMarshal.Cast<byte, float>(a);
        var second = MemoryMarshal.Cast<byte, float>(b);
        for (var index = 0; index < first.Length; index++)
        {
            if (
                first[index] != second[index]
                && first[index] != MathF.BitIncrement(second[index])
                && first[index] != MathF.BitDecrement(second[index])
            )
                return false;
        }

        return true;
    }

    // ---- the second computation, in float64 -----------------------------------------------------------------------------------

    /// <summary>Computes the folded weight with TorchSharp's own operations, from the module's tensors.</summary>
    /// <param name="layer">A folded layer.</param>
    private Tensor Weight(LinearLayer layer)
    {
        // A copy, changed in place, so that a large layer's weight is in memory twice, not four times.
        var weight = Double(layer.WeightName).clone();
        var (before, after) = Affines(layer);
        weight.mul_(Expand(after.Scale, layer, isOutput: true));
        return weight
            .mul_(Expand(before.Scale, layer, isOutput: false))
            .to(module.TryGetValue(layer.WeightName, out var own) ? own.dtype : ScalarType.Float32);
    }

    /// <summary>Computes the folded bias with TorchSharp's own operations, from the module's tensors.</summary>
    /// <param name="layer">A folded layer.</param>
    private Tensor Bias(LinearLayer layer)
    {
        var weight = Double(layer.WeightName);
        var (before, after) = Affines(layer);
        var outputs =
            layer.Node.OpType == "ConvTranspose" ? weight.shape[1] * layer.Node.Int("group", 1) : weight.shape[0];
        var ownBias = layer.OwnBiasName is { } bias ? Double(bias) : zeros(outputs, ScalarType.Float64);
        var axes = Enumerable.Range(1, (int)weight.dim() - 1).Select(axis => (long)axis).ToArray();
        if (before.Shift.count_nonzero().item<long>() > 0)
            ownBias = ownBias + (weight * Expand(before.Shift, layer, isOutput: false)).sum(axes);
        return ((after.Scale * ownBias) + after.Shift).to(
            module.TryGetValue(layer.WeightName, out var own) ? own.dtype : ScalarType.Float32
        );
    }

    /// <summary>Composes everything that was folded into a layer from the tensors of the folded nodes.</summary>
    /// <param name="layer">A folded layer.</param>
    /// <returns>float64 tensors with one element, or one per channel; they belong to the caller's dispose
    /// scope.</returns>
    private ((Tensor Scale, Tensor Shift) Before, (Tensor Scale, Tensor Shift) After) Affines(LinearLayer layer)
    {
        (Tensor Scale, Tensor Shift) before = (ones(1, ScalarType.Float64), zeros(1, ScalarType.Float64)),
            after = before;
        foreach (var step in layer.Steps)
        {
            var (scale, shift) = Affine(step.Affine);
            if (step.IsBefore)
                before = (before.Scale * scale, (before.Scale * shift) + before.Shift);
            else
                after = (scale * after.Scale, (scale * after.Shift) + shift);
        }

        return (before, after);
    }

    /// <summary>Scale and shift of one folded node, from its tensors.</summary>
    /// <param name="affine">The folded node.</param>
    private (Tensor Scale, Tensor Shift) Affine(AffineNode affine)
    {
        var tensors = affine.Tensors.Select(name => Double(name).flatten()).ToArray();
        Tensor one = ones(1, ScalarType.Float64),
            zero = zeros(1, ScalarType.Float64);
        if (affine.IsBatchNorm)
        {
            var scale = tensors[0] / (tensors[3] + affine.Node.Float("epsilon", 1e-5f)).sqrt();
            return (scale, tensors[1] - (tensors[2] * scale));
        }

        var constantFirst = affine.Node.Inputs[0] == affine.Tensors[0];
        return affine.Node.OpType switch
        {
            "Mul" => (tensors[0], zero),
            "Add" => (one, tensors[0]),
            "Sub" when constantFirst => (-one, tensors[0]),
            "Sub" => (one, -tensors[0]),
            "Div" => (one / tensors[0], zero),
            _ => throw new InvalidOperationException(affine.Node.OpType),
        };
    }

    /// <summary>Reshapes per-channel values so that they multiply the layer's weight.</summary>
    /// <param name="perChannel">One number per channel.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="isOutput">Whether the channels are output channels.</param>
    private Tensor Expand(Tensor perChannel, LinearLayer layer, bool isOutput)
    {
        if (perChannel.numel() == 1)
            return perChannel;
        var shape = unfolded.Initializers[layer.WeightName].Dims;
        var groups = layer.Node.Int("group", 1);
        var tail = Enumerable.Repeat(1L, shape.Length - 2).ToArray();
        // Axis 0 holds all channels of one side; axis 1 holds the channels of the other side within the group of the
        // axis-0 channel.
        if (isOutput != (layer.Node.OpType == "ConvTranspose"))
            return perChannel.reshape([shape[0], 1, .. tail]);
        return perChannel
            .reshape(groups, 1, shape[1])
            .expand(groups, shape[0] / groups, shape[1])
            .reshape([shape[0], shape[1], .. tail]);
    }

    /// <summary>A tensor by name in float64: the module's own, or a constant of the graph.</summary>
    /// <param name="name">Name of the tensor.</param>
    private Tensor Double(string name)
    {
        var initializer = unfolded.Initializers[name];
        if (initializer.Source is { } source && module.TryGetValue(source, out var own))
            return own.detach().cpu().to(ScalarType.Float64);
        return tensor(TensorBytes.ToDoubles(initializer)).reshape(initializer.Dims);
    }

    /// <summary>Formats a float32 element, for error messages.</summary>
    /// <param name="bytes">Elements of a float32 tensor.</param>
    /// <param name="at">Index of the element.</param>
    private static string ShortFloat(ReadOnlySpan<byte> bytes, int at) =>
        Numbers.Short(MemoryMarshal.Cast<byte, float>(bytes)[at], 9);
}
