using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Execution;

namespace TorchBridge.Quantization.Preparation;

/// <summary>
/// Weights and biases that the graph computes from tensors of the file alone (Constant, Identity, Cast, Transpose,
/// whatever it is) become tensors of the file: ONNX Runtime computes them, once.
/// </summary>
internal static class ConstantWeights
{
    /// <summary>Operators that give other numbers at each run, whatever they read.</summary>
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
    /// <param name="model">Changed in place. What does not run apart stays computed, and the plan gives that as the
    /// reason.</param>
    public static void Apply(OnnxGraph model)
    {
        var read = model.Nodes.SelectMany(Weights).Distinct(StringComparer.Ordinal).ToArray();
        var constants = Constants(model);
        var computed = read.Where(name => constants.Contains(name) && model.Tensor(name) is null).ToArray();
        var needed = Needed(model, computed);
        // A weight that callers may replace is still a weight: older exporters listed them all among the inputs.
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

    /// <summary>Every value that depends on no input and on no chance.</summary>
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

    /// <summary>The nodes that some values depend on, in the graph's order.</summary>
    /// <param name="model">The graph.</param>
    /// <param name="values">Values that are to be computed.</param>
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
    /// Runs the nodes alone, without inputs; none where ONNX Runtime does not take them apart from their graph.
    /// </summary>
    /// <param name="model">The graph; it is not changed.</param>
    /// <param name="nodes">What computes the values.</param>
    /// <param name="values">Their names.</param>
    /// <returns>Empty where ONNX Runtime does not run the part by itself.</returns>
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
            // What does not run apart stays where it is; the plan says that the weight is computed.
            return [];
        }
    }

    /// <summary>Takes away the nodes that made what is a tensor now, and those that nothing needs any more.</summary>
    /// <param name="model">The graph, which has the tensors already.</param>
    /// <param name="nodes">What computed them.</param>
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
