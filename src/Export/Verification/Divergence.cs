using System.Globalization;
using TorchBridge.Export.Capture;
using TorchBridge.Export.Onnx;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>Compares a graph with the module operation by operation, and finds the first that differs.</summary>
internal static class Divergence
{
    /// <summary>Compares every value that the graph and forward have in common, in forward's order.</summary>
    /// <param name="model">The module, in eval mode.</param>
    /// <param name="traced">Its trace.</param>
    /// <param name="graph">The graph that is looked at.</param>
    /// <param name="file">The file that it was written to.</param>
    /// <param name="inputs">Inputs with their names.</param>
    /// <param name="isLeaf">Whether a module has a lowering of its own.</param>
    public static IReadOnlyList<ValueParity> Compare(nn.Module model, TracedGraph traced, OnnxGraph graph, string file, (string Name, Tensor Tensor)[] inputs, Func<nn.Module, bool> isLeaf)
    {
        using var scope = NewDisposeScope();
        var ours = graph.Nodes.SelectMany(node => node.Outputs).Where(graph.Origins.ContainsKey).GroupBy(name => graph.Origins[name]).ToDictionary(group => group.Key, group => group.First());
        var theirs = new Dictionary<int, Tensor>();
        ForwardTracer.Run(model, [.. inputs.Select(input => (input.Name, input.Tensor.clone()))], isLeaf, (id, tensor) =>
        {
            if (ours.ContainsKey(id)) theirs[id] = tensor.detach().cpu().clone().DetachFromDisposeScope();
        });
        try
        {
            var names = theirs.Keys.Select(id => ours[id]).ToArray();
            using var ort = new ProbedModel(file, names);
            var values = names.Zip(ort.Run([.. inputs.Take(ort.InputNames.Count).Select(input => input.Tensor)], names)).ToDictionary(pair => pair.First, pair => pair.Second, StringComparer.Ordinal);
            var statistics = theirs.ToDictionary(pair => pair.Key, pair => Statistics(pair.Value));
            var found = new List<ValueParity>();
            foreach (var op in traced.Ops)
            {
                foreach (var id in op.Results.Where(theirs.ContainsKey))
                {
                    var (actual, expected) = (values[ours[id]], theirs[id]);
                    var comparison = TensorComparer.Compare(actual, expected, ModelVerifier.Tolerance(expected, ModelVerifier.RelativeTolerance));
                    var arguments = op.Arguments.OfType<ValueRef>().Select(reference => $"{(traced.Values[reference.Id].Name is { Length: > 0 } name ? name : $"value {reference.Id}")} [{string.Join(", ", traced.Values[reference.Id].Shape)}]{(statistics.TryGetValue(reference.Id, out var known) ? $" ({known})" : "")}");
                    found.Add(new ValueParity(op.ModulePath, op.Site.CalleeName, op.Site.Place, ours[id], [.. arguments], statistics[id], Statistics(actual), comparison.LargestAbsolute, comparison.LargestValue, comparison.Difference));
                }
            }

            return found;
        }
        finally
        {
            foreach (var tensor in theirs.Values) tensor.Dispose();
        }
    }

    private static string Statistics(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        if (tensor.numel() == 0) return "empty";
        var values = tensor.to(ScalarType.Float64);
        return string.Create(CultureInfo.InvariantCulture, $"min {Numbers.Short(values.min().ToDouble(), 4)}, mean {Numbers.Short(values.mean().ToDouble(), 4)}, max {Numbers.Short(values.max().ToDouble(), 4)}");
    }
}
