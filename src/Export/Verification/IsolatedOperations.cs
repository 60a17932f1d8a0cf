// What it does: compares a file with the module operation by operation, each in isolation. Every operation in the
// file reads the values that the module's operation read: intermediate values become inputs of the graph, so that a
// difference does not propagate. A value that differs then differs because of its own operation; if none does, a
// difference of the outputs is accumulated rounding.
using System.Globalization;
using Google.Protobuf;
using TorchBridge.Export.Capture;
using TorchBridge.Export.Lowering;
using TorchBridge.Export.Onnx;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>Compares every operation of a file on the module's own intermediate values.</summary>
/// <param name="tracer">Runs the module.</param>
/// <param name="traced">Its trace.</param>
internal sealed class IsolatedOperations(ModelTracer tracer, TracedGraph traced)
{
    /// <summary>
    /// Suffix of an operation's output in the probe graph, because its original name is used by the input that
    /// replaces it.
    /// </summary>
    private const string Suffix = ":alone";

    /// <summary>Compares the operations on the given inputs, in the order of forward.</summary>
    /// <param name="graph">The graph that was written.</param>
    /// <param name="file">The file.</param>
    /// <param name="inputs">The model's inputs.</param>
    /// <returns>One entry per value that exists on both sides.</returns>
    public IReadOnlyList<ValueParity> Compare(OnnxGraph graph, string file, IReadOnlyList<Tensor> inputs)
    {
        using var scope = NewDisposeScope();
        var ours = graph
            .Nodes.SelectMany(node => node.Outputs)
            .Where(name =>
                graph.Origins.TryGetValue(name, out var id) && !ComplexPairs.IsComplex(traced.Values[id].Type)
            )
            .GroupBy(name => graph.Origins[name])
            .ToDictionary(group => group.Key, group => group.First());
        var theirs = new Dictionary<int, Tensor>();
        foreach (
            var output in tracer.Run(
                [.. traced.Inputs.Zip(inputs, (input, tensor) => (input.Name, tensor.detach().clone()))],
                (id, tensor) =>
                {
                    if (ours.ContainsKey(id))
                        theirs[id] = tensor.detach().cpu().clone().DetachFromDisposeScope();
                }
            )
        )
        {
            output.Dispose();
        }

        try
        {
            return Compare(graph, file, inputs, ours, theirs);
        }
        finally
        {
            foreach (var tensor in theirs.Values)
                tensor.Dispose();
        }
    }

    /// <summary>The ONNX operators that compute a value of the model.</summary>
    /// <param name="graph">The graph that was written.</param>
    /// <param name="value">Name of the value.</param>
    public static IReadOnlySet<string> OperatorsOf(OnnxGraph graph, string value)
    {
        var makers = graph
            .Nodes.SelectMany(node => node.Outputs.Select(output => (output, node)))
            .ToDictionary(pair => pair.output, pair => pair.node, StringComparer.Ordinal);
        var operators = new HashSet<string>(StringComparer.Ordinal);
        var open = new Stack<string>([value]);
        while (open.TryPop(out var name))
        {
            if (!makers.TryGetValue(name, out var node))
                continue;
            operators.Add(node.OpType);
            foreach (var input in node.Inputs.Where(input => !graph.Origins.ContainsKey(input)))
                open.Push(input);
        }

        return operators;
    }

    /// <summary>
    /// Feeds each operation of the file with the module's own values and compares its result, so that an error of one
    /// operation does not reach the next.
    /// </summary>
    /// <param name="graph">The graph that was written.</param>
    /// <param name="file">Path of the file.</param>
    /// <param name="inputs">The model's inputs.</param>
    /// <param name="ours">Names in the file by the number of the traced value.</param>
    /// <param name="theirs">The module's values by that number, on the CPU; the caller keeps ownership.</param>
    private List<ValueParity> Compare(
        OnnxGraph graph,
        string file,
        IReadOnlyList<Tensor> inputs,
        Dictionary<int, string> ours,
        Dictionary<int, Tensor> theirs
    )
    {
        var values = Run(
            file,
            inputs,
            theirs.ToDictionary(pair => ours[pair.Key], pair => pair.Value, StringComparer.Ordinal)
        );
        var statistics = theirs.ToDictionary(pair => pair.Key, pair => Statistics(pair.Value));
        var low = LowPrecision.Find(traced);
        var found = new List<ValueParity>();
        foreach (var op in traced.Ops)
        {
            foreach (var id in op.Results.Where(theirs.ContainsKey))
            {
                var (actual, expected) = (values[ours[id]], theirs[id]);
                var comparison = TensorComparer.Compare(actual, expected, low.ToleranceOf(id, Tolerance.Usual));
                found.Add(
                    new ValueParity(
                        op.ModulePath,
                        op.Site.CalleeName,
                        op.Site.Place,
                        ours[id],
                        [.. op.Arguments.OfType<ValueRef>().Select(reference => Describe(reference.Id, statistics))],
                        statistics[id],
                        Statistics(actual),
                        comparison.LargestAbsolute,
                        comparison.LargestValue,
                        comparison.Difference
                    )
                );
            }
        }

        return found;
    }

    /// <summary>Describes a value that an operation reads, with shape and statistics.</summary>
    /// <param name="id">Number of a traced value.</param>
    /// <param name="statistics">Statistics as text, by that number; constants have none.</param>
    private string Describe(int id, Dictionary<int, string> statistics)
    {
        var value = traced.Values[id];
        var known = statistics.TryGetValue(id, out var text) ? $" ({text})" : "";
        return $"{(value.Name.Length > 0 ? value.Name : $"value {id}")} [{string.Join(", ", value.Shape)}]{known}";
    }

    /// <summary>Runs a copy of the file in which the given values are inputs, and returns the results of their
    /// operations.</summary>
    private static Dictionary<string, Tensor> Run(
        string file,
        IReadOnlyList<Tensor> inputs,
        Dictionary<string, Tensor> fed
    )
    {
        ModelProto proto;
        using (var stream = File.OpenRead(file))
            proto = ModelProto.Parser.ParseFrom(stream);
        var made = new List<string>();
        foreach (var node in proto.Graph.Node)
        {
            for (var position = 0; position < node.Output.Count; position++)
            {
                if (!fed.ContainsKey(node.Output[position]))
                    continue;
                made.Add(node.Output[position]);
                node.Output[position] += Suffix;
            }
        }

        proto.Graph.Output.Clear();
        proto.Graph.ValueInfo.Clear();
        var known = proto.Graph.Input.Select(input => input.Name).ToArray();
        foreach (var name in made)
        {
            proto.Graph.Output.Add(new ValueInfoProto { Name = name + Suffix });
            var type = new TypeProto
            {
                TensorType = new TypeProto.Types.Tensor { ElemType = (int)fed[name].dtype.ToOnnx() },
            };
            proto.Graph.Input.Add(new ValueInfoProto { Name = name, Type = type });
        }

        var copy = $"{file}.{Guid.NewGuid():N}.probe.tmp";
        try
        {
            using (var stream = File.Create(copy))
                proto.WriteTo(stream);
            using var model = new OrtModel(copy, optimize: false);
            var given = inputs.Take(known.Length).Concat(made.Select(name => fed[name])).ToArray();
            return made.Zip(model.Run(given, [.. made.Select(name => name + Suffix)]))
                .ToDictionary(pair => pair.First, pair => pair.Second, StringComparer.Ordinal);
        }
        finally
        {
            File.Delete(copy);
        }
    }

    /// <summary>Formats the smallest, mean and largest element.</summary>
    private static string Statistics(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        if (tensor.numel() == 0)
            return "empty";
        var values = tensor.to(ScalarType.Float64);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"min {values.min().ToDouble():G4}, mean {values.mean().ToDouble():G4}, max {values.max().ToDouble():G4}"
        );
    }
}
