// Why: one changed weight among millions does not show in logits. So the written file is read back, and every tensor
// in it is compared bit for bit: a parameter with the module's own, a folded one with a second computation in float64
// (by TorchSharp's operations, from the module's own tensors), anything else with what the exporter computed.
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
    /// <summary>The module's parameters and buffers by state-dict key; they stay the module's.</summary>
    private readonly IReadOnlyDictionary<string, Tensor> module;

    /// <summary>The graph before folding, for the tensors that folding started from.</summary>
    private readonly OnnxGraph unfolded;

    /// <summary>Folded layers by the name of the weight that folding made.</summary>
    private readonly Dictionary<string, LinearLayer> foldedWeights = new(StringComparer.Ordinal);

    /// <summary>Folded layers by the name of the bias that folding made.</summary>
    private readonly Dictionary<string, LinearLayer> foldedBiases = new(StringComparer.Ordinal);

    /// <summary>SHA-256 of each tensor that no parameter is the source of, as the exporter computed it.</summary>
    private readonly Dictionary<string, byte[]> computed = new(StringComparer.Ordinal);

    /// <summary>State-dict key of each tensor that is a parameter or buffer as it stands.</summary>
    private readonly Dictionary<string, string> sources = new(StringComparer.Ordinal);

    /// <summary>Notes what the file must hold; call before the exporter forgets its tensors.</summary>
    /// <param name="module">The module's parameters and buffers by name.</param>
    /// <param name="unfolded">The graph before folding: its constants are what folding started from.</param>
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
    /// <exception cref="ParityException">A tensor is another one; the message names it.</exception>
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
                    $"the float64 recomputation of {layer.Node.Name} with what was folded into it"
                );
            else if (foldedBiases.TryGetValue(tensor.Name, out layer))
                Compare(
                    tensor,
                    bytes,
                    Bias(layer),
                    $"the float64 recomputation of {layer.Node.Name} with what was folded into it",
                    sumsInAnotherOrder: !layer.Before.ShiftsNothing
                );
            else if (sources.TryGetValue(tensor.Name, out var source))
                Compare(tensor, bytes, module[source], $"the module's {source}");
            else if (
                !computed.TryGetValue(tensor.Name, out var hash) || !SHA256.HashData(bytes).AsSpan().SequenceEqual(hash)
            )
                throw new ParityException($"the tensor '{tensor.Name}' in the file is not the one that was computed");
            seen++;
        }

        if (seen != sources.Count + computed.Count)
            throw new ParityException(
                $"the file holds {seen} tensors, and {sources.Count + computed.Count} were written"
            );
    }

    /// <summary>
    /// Compares bytes with a tensor; the message names the first element that differs.
    /// </summary>
    /// <param name="tensor">The tensor of the file, for the message.</param>
    /// <param name="bytes">Its elements as the file has them.</param>
    /// <param name="expected">What they must be.</param>
    /// <param name="what">What <paramref name="expected"/> is, for the message.</param>
    /// <param name="sumsInAnotherOrder">Whether float32 elements may be one unit in the last place apart.</param>
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
                $"the tensor '{tensor.Name}' has {bytes.Length} bytes in the file, and {what} has {want.Length}"
            );
        var values =
            plain.dtype == ScalarType.Float32 ? $": {ShortFloat(bytes, at)}, expected {ShortFloat(want, at)}" : "";
        throw new ParityException(
            $"the tensor '{tensor.Name}' in the file differs from {what} at element {at}{values}"
        );
    }

    /// <summary>A float64 sum in another order may round to the neighbouring float32.</summary>
    /// <param name="a">Bytes of a tensor.</param>
    /// <param name="b">Bytes of another one.</param>
    /// <param name="type">Of their elements; only float32 may differ.</param>
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

    /// <summary>The folded weight by TorchSharp's own operations, from the module's tensors.</summary>
    /// <param name="layer">A folded layer.</param>
    private Tensor Weight(LinearLayer layer)
    {
        // A copy of its own, changed in place: a large layer's weight stands in memory twice, not four times.
        var weight = Double(layer.WeightName).clone();
        var (before, after) = Affines(layer);
        weight.mul_(Expand(after.Scale, layer, isOutput: true));
        return weight
            .mul_(Expand(before.Scale, layer, isOutput: false))
            .to(module.TryGetValue(layer.WeightName, out var own) ? own.dtype : ScalarType.Float32);
    }

    /// <summary>The folded bias by TorchSharp's own operations, from the module's tensors.</summary>
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

    /// <summary>What was folded in, composed from the tensors by name.</summary>
    /// <param name="layer">A folded layer.</param>
    /// <returns>float64, of one element or one per channel; they belong to the caller's dispose scope.</returns>
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
    /// <param name="affine">A norm or a constant that was folded.</param>
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

    /// <summary>One value a channel, in the shape in which it multiplies the layer's weight.</summary>
    /// <param name="perChannel">A number a channel.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="isOutput">Whether channels are those of the output.</param>
    private Tensor Expand(Tensor perChannel, LinearLayer layer, bool isOutput)
    {
        if (perChannel.numel() == 1)
            return perChannel;
        var shape = unfolded.Initializers[layer.WeightName].Dims;
        var groups = layer.Node.Int("group", 1);
        var tail = Enumerable.Repeat(1L, shape.Length - 2).ToArray();
        // The channels of axis 0 are all of one side; those of axis 1 are the other side's, of the group that axis 0
        // is in.
        if (isOutput != (layer.Node.OpType == "ConvTranspose"))
            return perChannel.reshape([shape[0], 1, .. tail]);
        return perChannel
            .reshape(groups, 1, shape[1])
            .expand(groups, shape[0] / groups, shape[1])
            .reshape([shape[0], shape[1], .. tail]);
    }

    /// <summary>A tensor by name in float64: the module's own, or a constant of the graph.</summary>
    /// <param name="name">A tensor of the module.</param>
    private Tensor Double(string name)
    {
        var initializer = unfolded.Initializers[name];
        if (initializer.Source is { } source && module.TryGetValue(source, out var own))
            return own.detach().cpu().to(ScalarType.Float64);
        return tensor(TensorBytes.ToDoubles(initializer)).reshape(initializer.Dims);
    }

    /// <summary>A float32 of some bytes, for an error.</summary>
    /// <param name="bytes">Elements of a float32 tensor.</param>
    /// <param name="at">Which element.</param>
    private static string ShortFloat(ReadOnlySpan<byte> bytes, int at) =>
        Numbers.Short(MemoryMarshal.Cast<byte, float>(bytes)[at], 9);
}
