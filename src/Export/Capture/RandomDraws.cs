using System.Reflection;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Export.Capture;

/// <summary>The operations that draw random numbers and that <see cref="RandomNumbers"/> controls.</summary>
internal static class RandomDraws
{
    /// <summary>Their names.</summary>
    public static IReadOnlyList<string> Names { get; } =
    ["rand", "rand_like", "randn", "randn_like", "randint", "randint_like"];

    /// <summary>Whether a TorchSharp method draws random numbers.</summary>
    /// <param name="method">The method.</param>
    public static bool IsDraw(MethodBase method) =>
        TorchTypes.IsTorch(method.DeclaringType) && Names.Contains(method.Name, StringComparer.Ordinal);

    /// <summary>The random draws in a graph, in the order of forward: the number of each value in the trace, and its
    /// name in the graph.</summary>
    /// <param name="traced">The trace.</param>
    /// <param name="graph">The graph.</param>
    public static IReadOnlyList<(int Id, string Name)> In(TracedGraph traced, OnnxGraph graph)
    {
        var made = graph.Nodes.SelectMany(node => node.Outputs).ToHashSet(StringComparer.Ordinal);
        var draws = traced
            .Ops.Where(op => op.Module is null && IsDraw(op.Method))
            .SelectMany(op => op.Results)
            .ToHashSet();
        return
        [
            .. graph
                .Origins.Where(origin => draws.Contains(origin.Value) && made.Contains(origin.Key))
                .OrderBy(origin => origin.Value)
                .DistinctBy(origin => origin.Value)
                .Select(origin => (origin.Value, origin.Key)),
        ];
    }

    /// <summary>A copy of a graph in which the random draws are replaced by additional inputs, after the graph's own
    /// inputs.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="traced">Its trace.</param>
    /// <param name="draws">The values to replace.</param>
    public static OnnxGraph AsInputs(OnnxGraph graph, TracedGraph traced, IReadOnlyList<(int Id, string Name)> draws)
    {
        var copy = graph.Copy();
        foreach (var (id, name) in draws)
        {
            var maker = copy.Nodes.First(node => node.Outputs.Contains(name));
            copy.Nodes.Remove(maker);
            var value = traced.Values[id];
            object[] sizes = [.. value.Shape.Select((_, axis) => $"{name}_{axis}")];
            copy.Inputs.Add(new ValueInfo(name, Onnx.ScalarTypes.ToOnnx(value.Type), sizes));
        }

        return copy;
    }
}
