using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Execution;

namespace TorchBridge.Quantization.Preparation;

/// <summary>
/// Turns weights and biases that the graph computes from constants only (with Constant, Identity, Cast, Transpose or
/// any other operator) into initializers: ONNX Runtime computes them once.
/// </summary>
internal static class ConstantWeights
{
    /// <summary>Operators with different results in each run.</summary>
    private static readonly HashSet<string> Random =
    [
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Multinomial",
        "Bernoulli",
    ];

    /// <summary>Rewrites a model in place.</summary>
    /// <param name="model">The model; changed in place. Weights whose nodes cannot run separately stay computed, and
    /// the plan reports that as the reason.</param>
    public static void Apply(OnnxGraph model)
    {
        var read = model.Nodes.SelectMany(Weights).Distinct(StringComparer.Ordinal).ToArray();
        var constants = Constants(model);
        var computed = read.Where(name => constants.Contains(name) && model.Tensor(name) is null).ToArray();
        var needed = Needed(model, computed);
        // An initializer that callers may override is still a weight: older exporters listed all of them as inputs.
        var fixedNow = read.Concat(needed.SelectMany(node => node.Inputs))
            .Where(model.Initializers.ContainsKey)
            .ToHashSet(StringComparer.Ordinal);
        model.Inputs.RemoveAll(input => fixedNow.Contains(input.Name));
        if (computed.Length == 0)
            return;
        foreach (var tensor in Compute(model, needed, computed))
            model.Add(tensor);
        RemoveComputed(model, needed);
    }

    /// <summary>The inputs of a node that are weights or biases of a layer.</summary>
    /// <param name="node">Any node.</param>
    private static IEnumerable<string> Weights(OnnxNode node) =>
        node.StandardType switch
        {
            "Conv" or "ConvTranspose" or "Gemm" or "MatMul" => node.Inputs.Skip(1).Take(2),
            "BatchNormalization" => node.Inputs.Skip(1).Take(4),
            "LSTM" or "GRU" or "RNN" => node.Inputs.Skip(1).Take(3),
            _ => [],
        };

    /// <summary>All values that depend neither on an input nor on random numbers.</summary>
    /// <param name="model">The graph, in topological order.</param>
    private static HashSet<string> Constants(OnnxGraph model)
    {
        var constants = model.Initializers.Keys.ToHashSet(StringComparer.Ordinal);
        foreach (var node in model.Nodes)
        {
            if (node.StandardType.Length == 0 || Random.Contains(node.StandardType) || node.SubgraphReads.Any())
                continue;
            if (!node.Inputs.All(input => input.Length == 0 || constants.Contains(input)))
                continue;
            constants.UnionWith(node.Outputs.Where(output => output.Length > 0));
        }

        return constants;
    }

    /// <summary>The nodes that some values depend on, in graph order.</summary>
    /// <param name="model">The graph.</param>
    /// <param name="values">The values to compute.</param>
    /// <returns>In topological order.</returns>
    private static List<OnnxNode> Needed(OnnxGraph model, IEnumerable<string> values)
    {
        var wanted = values.ToHashSet(StringComparer.Ordinal);
        var nodes = new List<OnnxNode>();
        foreach (var node in model.Nodes.AsEnumerable().Reverse().Where(node => node.Outputs.Any(wanted.Contains)))
        {
            nodes.Add(node);
            wanted.UnionWith(node.Inputs);
        }

        nodes.Reverse();
        return nodes;
    }

    /// <summary>
    /// Runs the nodes as a separate graph without inputs.
    /// </summary>
    /// <param name="model">The graph, which is not changed.</param>
    /// <param name="nodes">The nodes that compute the values.</param>
    /// <param name="values">Names of the values.</param>
    /// <returns>The values; empty if ONNX Runtime cannot run the nodes separately.</returns>
    private static Initializer[] Compute(OnnxGraph model, List<OnnxNode> nodes, string[] values)
    {
        var part = model.Copy();
        part.Nodes.Clear();
        part.Nodes.AddRange(nodes);
        part.Inputs.Clear();
        part.Outputs.Clear();
        part.RemoveUnreadInitializers();
        try
        {
            using var runner = new ModelRunner(part, values);
            using var results = runner.Run(new QuantizationBatch([]));
            return
            [
                .. results
                    .Floats()
                    .Select(value =>
                        Initializer.Of(
                            value.Name,
                            value.Tensor.Buffer.ToArray(),
                            [.. value.Tensor.Dimensions.ToArray().Select(size => (long)size)]
                        )
                    ),
            ];
        }
        catch (QuantizationException)
        {
            // Nodes that cannot run separately stay; the plan then reports that the weight is computed.
            return [];
        }
    }

    /// <summary>Removes the nodes whose results are initializers now, and nodes that are no longer needed.</summary>
    /// <param name="model">The graph, which already has the initializers.</param>
    /// <param name="nodes">The nodes that computed them.</param>
    private static void RemoveComputed(OnnxGraph model, List<OnnxNode> nodes)
    {
        var names = new FreshNames(model);
        foreach (var node in nodes)
        {
            for (var position = 0; position < node.Outputs.Count; position++)
            {
                if (model.Initializers.ContainsKey(node.Outputs[position]))
                    node.Outputs[position] = names.Take($"{node.Outputs[position]}:computed");
            }
        }

        foreach (var node in nodes.AsEnumerable().Reverse())
        {
            var read = model
                .Nodes.SelectMany(other => other.Reads)
                .Concat(model.OutputNames)
                .ToHashSet(StringComparer.Ordinal);
            if (!node.Outputs.Any(read.Contains))
                model.Nodes.Remove(node);
        }

        model.RemoveUnreadInitializers();
    }
}
