// What it does: folds everything that scales and shifts channels (see AffineNode) into the adjacent layers (see
// LinearLayer), so that an eval-mode BatchNorm costs nothing:
//   1. after a Conv, ConvTranspose or Gemm, chains included: BatchNorm after BatchNorm, constant Mul and Add
//   2. after a BatchNorm that is kept: into its weight and bias
//   3. before a Gemm or an unpadded Conv; a scale without a shift before any of them
//   4. what is left of a chain of constant Mul, Add, Sub, Div becomes one Mul and one Add
// A fold is either exact or refused with a reason: the value between the two nodes must have a single reader and must
// not be an output of the model, and the layer's weights must be constant and not shared.
using TorchBridge.Export.Onnx;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Export.Folding;

/// <summary>What folding did.</summary>
/// <param name="Folded">Module paths of the BatchNorms that were folded away.</param>
/// <param name="Refused">BatchNorms that were kept, with the reason.</param>
/// <param name="Layers">Layers whose weights changed.</param>
internal sealed record FoldResult(
    IReadOnlyList<string> Folded,
    IReadOnlyList<FoldRefusal> Refused,
    IReadOnlyList<LinearLayer> Layers
)
{
    /// <summary>The result if folding was not requested.</summary>
    public static FoldResult None { get; } = new([], [], []);
}

/// <summary>
/// Folds everything that scales and shifts channels into the adjacent layers, in place. What cannot be folded exactly
/// is kept, with the reason.
/// </summary>
internal sealed class BatchNormFolding
{
    /// <summary>The usual reason why a norm is kept; it is omitted if there is another reason.</summary>
    private const string NoLayerAfter = "its output is not read by exactly one following layer";

    /// <summary>The graph, changed in place.</summary>
    private readonly OnnxGraph graph;

    /// <summary>Names of norms that must be kept, with the reason.</summary>
    private readonly IReadOnlyDictionary<string, string> keep;

    /// <summary>
    /// Layers that have been read so far; their weights are written at the end, so that each is rounded only once.
    /// </summary>
    private readonly Dictionary<OnnxNode, LinearLayer> layers = [];

    /// <summary>Norms that are kept and absorb what follows them.</summary>
    private readonly Dictionary<OnnxNode, ChannelAffine> norms = [];

    /// <summary>Module paths of the norms that were folded away.</summary>
    private readonly List<string> folded = [];

    /// <summary>The reason for each norm that is kept.</summary>
    private readonly Dictionary<OnnxNode, string> reasons = [];

    /// <summary>Prepares the folding of one graph.</summary>
    private BatchNormFolding(OnnxGraph graph, IReadOnlyDictionary<string, string> keep) =>
        (this.graph, this.keep) = (graph, keep);

    /// <summary>Folds a graph in topological order.</summary>
    /// <param name="graph">The graph, changed in place.</param>
    /// <param name="keep">Names of BatchNormalization nodes that must be kept, with the reason.</param>
    /// <returns>What was folded, what was not and why, and the layers whose weights changed.</returns>
    public static FoldResult Fold(OnnxGraph graph, IReadOnlyDictionary<string, string>? keep = null) =>
        new BatchNormFolding(graph, keep ?? new Dictionary<string, string>()).Run();

    /// <summary>
    /// Traverses the graph forwards, then backwards, and writes the weights once at the end.
    /// </summary>
    private FoldResult Run()
    {
        foreach (var node in graph.Nodes.ToArray())
            Try(node, FoldBackward);
        foreach (var node in graph.Nodes.Reverse<OnnxNode>().ToArray())
            Try(node, FoldForward);
        foreach (var layer in layers.Values.Where(layer => layer.Steps.Count > 0))
            layer.Write(graph);
        foreach (var (norm, after) in norms)
            WriteNorm(norm, after);
        MergeArithmetic();
        var refused = graph
            .Nodes.Where(node => node.OpType == "BatchNormalization")
            .Select(node => new FoldRefusal(node.ModulePath, reasons[node]))
            .ToArray();
        return new FoldResult(folded, refused, [.. layers.Values.Where(layer => layer.Steps.Count > 0)]);
    }

    /// <summary>Tries to fold one node, and notes the reason if it is kept.</summary>
    /// <param name="node">Any node; only those that scale and shift channels are folded.</param>
    /// <param name="fold">Folds the node and returns null, or returns the reason why not.</param>
    private void Try(OnnxNode node, Func<AffineNode, string?> fold)
    {
        var isNorm = node.OpType == "BatchNormalization";
        if (AffineNode.Read(graph, node) is not { } affine)
        {
            if (isNorm)
                reasons[node] = "its statistics are computed in forward";
            return;
        }

        var reason = keep.GetValueOrDefault(node.Name) ?? fold(affine);
        if (reason is not null)
        {
            if (!reasons.TryGetValue(node, out var earlier))
                reasons[node] = reason;
            else if (reason != earlier && reason != NoLayerAfter)
                reasons[node] = $"{earlier}; {reason}";
            return;
        }

        graph.Nodes.Remove(node);
        if (isNorm)
            folded.Add(node.ModulePath);
    }

    /// <summary>Folds a node into the node before it, or returns the reason if that is not exact.</summary>
    /// <param name="affine">The node to fold.</param>
    /// <returns>Null if it was folded; otherwise the reason.</returns>
    private string? FoldBackward(AffineNode affine)
    {
        var producer = graph.Producer(affine.Input);
        if (producer is null)
            return "it normalizes an input of the model";
        var isNorm = producer.OpType == "BatchNormalization" && AffineNode.Read(graph, producer) is not null;
        if (!isNorm && !LinearLayer.Is(producer))
            return $"the layer before it is {producer.OpType} ({producer.Name})";
        if (graph.IsOutput(affine.Input))
            return $"the output of {producer.Name} is an output of the model";
        if (graph.Uses()[affine.Input] != 1)
            return $"the output of {producer.Name} is used elsewhere too";
        if (isNorm)
        {
            norms[producer] = norms.GetValueOrDefault(producer, ChannelAffine.Identity).Then(affine.Affine);
        }
        else
        {
            var (layer, reason) = LayerOf(producer);
            if (layer is null)
                return reason;
            if (layer.FoldAfter(affine) is { } misfit)
                return misfit;
        }

        // The producer comes before all readers of the affine node, so it can take over its output.
        producer.Outputs[0] = affine.Output;
        return null;
    }

    /// <summary>Folds a node into the layer after it, or returns the reason if that is not exact.</summary>
    /// <param name="affine">The node to fold.</param>
    /// <returns>Null if it was folded; otherwise the reason.</returns>
    private string? FoldForward(AffineNode affine)
    {
        if (graph.IsOutput(affine.Output))
            return "its output is an output of the model";
        var readers = graph.Readers(affine.Output).ToArray();
        if (
            readers.Length != 1
            || !LinearLayer.Is(readers[0])
            || readers[0].Inputs[0] != affine.Output
            || graph.Uses()[affine.Output] != 1
        )
            return NoLayerAfter;
        // A norm that absorbed other nodes represents all of them together.
        if (norms.ContainsKey(affine.Node))
            return $"it already absorbed a chain, so it cannot be folded into {readers[0].Name}";
        var (layer, reason) = LayerOf(readers[0]);
        if (layer is null)
            return reason;
        if (layer.FoldBefore(affine) is { } misfit)
            return misfit;
        readers[0].Inputs[0] = affine.Input;
        return null;
    }

    /// <summary>
    /// The layer of a node, read once, with what has been folded into it so far; or the reason why nothing can be
    /// folded into it.
    /// </summary>
    /// <param name="node">A Conv, ConvTranspose or Gemm.</param>
    /// <returns>Exactly one of the two is null.</returns>
    private (LinearLayer? Layer, string? Reason) LayerOf(OnnxNode node)
    {
        if (layers.TryGetValue(node, out var known))
            return (known, null);
        var (layer, reason) = LinearLayer.Read(graph, node);
        if (layer is not null)
            layers.Add(node, layer);
        return (layer, reason);
    }

    /// <summary>Writes what followed a norm into its weight and bias: S (g n + b) + T.</summary>
    /// <param name="norm">A BatchNormalization; it gets new tensors, because other nodes may read the old
    /// ones.</param>
    /// <param name="after">S and T, per channel.</param>
    private void WriteNorm(OnnxNode norm, ChannelAffine after)
    {
        Initializer weight = graph.Initializers[norm.Inputs[1]],
            bias = graph.Initializers[norm.Inputs[2]];
        double[] g = TensorBytes.ToDoubles(weight),
            b = TensorBytes.ToDoubles(bias);
        for (var channel = 0; channel < g.Length; channel++)
            (g[channel], b[channel]) = (
                after.ScaleOf(channel) * g[channel],
                (after.ScaleOf(channel) * b[channel]) + after.ShiftOf(channel)
            );
        foreach (
            var (at, name, values) in ((int, string, double[])[])
                [(1, $"{norm.Name}.weight:chain", g), (2, $"{norm.Name}.bias:chain", b)]
        )
        {
            graph.Initializers[name] = TensorBytes.FromDoubles(name, weight.Type, weight.Dims, values);
            norm.Inputs[at] = name;
        }
    }

    /// <summary>Merges chains of arithmetic, such as x / 255, minus a mean, divided by a standard deviation, into one
    /// Mul and one Add.</summary>
    private void MergeArithmetic()
    {
        for (var at = 0; at < graph.Nodes.Count; at++)
        {
            var chain = Chain(at);
            if (chain.Count < 2 || (chain.Count == 2 && chain[0].Node.OpType == "Mul" && chain[1].Node.OpType == "Add"))
                continue;
            var affine = chain.Aggregate(ChannelAffine.Identity, (first, next) => first.Then(next.Affine));
            var (first, last) = (chain[0], chain[^1]);
            // The broadcast shape of the constants, [C, 1, ...], from the one with the most axes.
            var dims = chain
                .Select(link => graph.Initializers[link.Tensors[0]])
                .MaxBy(tensor => (tensor.Count, tensor.Dims.Length))!
                .Dims;
            var type = graph.Initializers[first.Tensors[0]].Type;
            var between = $"{first.Output}:scaled";
            if (graph.Ranks.TryGetValue(first.Output, out var rank))
                graph.Ranks[between] = rank;
            if (graph.Infos.TryGetValue(first.Output, out var info))
                graph.Infos[between] = info with { Name = between };
            graph.Nodes.RemoveAll(node => chain.Any(link => link.Node == node));
            var nodes = new List<OnnxNode>();
            if (!affine.ShiftsNothing)
            {
                nodes.Add(Arithmetic("Mul", first, first.Input, affine.Scale, between));
                nodes.Add(Arithmetic("Add", last, between, affine.Shift, last.Output));
            }
            else
            {
                nodes.Add(Arithmetic("Mul", first, first.Input, affine.Scale, last.Output));
            }

            graph.Nodes.InsertRange(at, nodes);

            OnnxNode Arithmetic(string op, AffineNode from, string input, double[] values, string output)
            {
                var name = $"{from.Node.Name}:{op.ToLowerInvariant()}";
                graph.Initializers[name] = TensorBytes.FromDoubles(name, type, dims, values);
                return new OnnxNode
                {
                    OpType = op,
                    Name = name,
                    ModulePath = from.Node.ModulePath,
                    Inputs = [input, name],
                    Outputs = [output],
                };
            }
        }
    }

    /// <summary>The chain of arithmetic nodes that starts at a position; each node is the only reader of the previous
    /// one.</summary>
    /// <param name="at">Position of the first in the graph.</param>
    /// <returns>Empty if the first node is not arithmetic with a constant.</returns>
    private List<AffineNode> Chain(int at)
    {
        var chain = new List<AffineNode>();
        for (var node = graph.Nodes[at]; node is not null; )
        {
            if (node.OpType == "BatchNormalization" || AffineNode.Read(graph, node) is not { } affine)
                break;
            chain.Add(affine);
            var readers = graph.Readers(affine.Output).ToArray();
            node = readers.Length == 1 && graph.Uses()[affine.Output] == 1 ? readers[0] : null;
        }

        return chain;
    }
}
