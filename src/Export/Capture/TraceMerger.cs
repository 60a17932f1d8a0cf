using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Merges three traces with different sizes into one graph, or refuses with the first difference.</summary>
internal static class TraceMerger
{
    /// <summary>Merges traces of the same model.</summary>
    public static TracedGraph Merge(Trace[] traces, IReadOnlyList<FreeInput> inputs)
    {
        var first = traces[0];
        var ops = new List<TracedOp>();
        for (var i = 0; i < traces.Max(trace => trace.Ops.Count); i++)
        {
            var same = traces.Select(trace => i < trace.Ops.Count ? trace.Ops[i] : null).ToArray();
            ops.Add(MergeOp(same, i));
        }

        CheckConstants(traces);
        var shapes = first.Values.Select((value, id) => traces.Select(trace => trace.Values[id].Shape).ToArray()).ToArray();
        foreach (var (value, id) in first.Values.Select((value, id) => (value, id)))
        {
            if (traces.Any(trace => trace.Values[id].Shape.Length != value.Shape.Length || trace.Values[id].Type != value.Type))
            {
                var maker = first.Ops.FirstOrDefault(op => op.Results.Contains(id));
                throw (maker is null ? new ExportException("a tensor from outside has another rank or dtype in another trace") : maker.Refuse($"{maker.Site.CalleeName} gives another rank or dtype at another size"));
            }
        }

        if (traces.Any(trace => !trace.Outputs.SequenceEqual(first.Outputs)))
            throw new ExportException("", null, "forward returns other tensors at another size: its outputs depend on the input's size. An ONNX graph always returns the same ones.");
        return new TracedGraph { Values = first.Values, Shapes = shapes, Ops = ops, Inputs = inputs, Outputs = first.Outputs };
    }

    private static TracedOp MergeOp(TracedOp?[] same, int index)
    {
        var one = same.First(op => op is not null)!;
        foreach (var other in same)
        {
            if (other is null || other.Method != one.Method || other.ModulePath != one.ModulePath || other.Results.Length != one.Results.Length)
            {
                var names = string.Join(" / ", same.Select(op => op is null ? "nothing more" : $"{op.Site.CalleeName} at {op.Site.Place}"));
                throw one.Refuse($"forward takes another path at another size or with other data: operation {index + 1} was {names}. " +
                    "Branch only on sizes that are fixed, or write the choice with torch.where; to fix a size, set ExportOptions.FreeAxes.");
            }
        }

        var merged = new object?[one.Arguments.Length];
        for (var i = 0; i < merged.Length; i++) merged[i] = MergeArgument([.. same.Select(op => op!.Arguments[i])], one);
        return new TracedOp { Site = one.Site, Method = one.Method, Module = one.Module, ModulePath = one.ModulePath, Arguments = merged, Results = one.Results };
    }

    private static object? MergeArgument(object?[] values, TracedOp op)
    {
        var first = values[0];
        if (values.All(value => value is object?[] list && list.Length == ((object?[])first!).Length))
            return Enumerable.Range(0, ((object?[])first!).Length).Select(i => MergeArgument([.. values.Select(value => ((object?[])value!)[i])], op)).ToArray();
        if (values.All(value => value is IndexArgument index && index.Kind == ((IndexArgument)first!).Kind))
        {
            object? Part(Func<IndexArgument, object?> part) => MergeArgument([.. values.Select(value => part((IndexArgument)value!))], op);
            return new IndexArgument(((IndexArgument)first!).Kind, Part(x => x.Start), Part(x => x.Stop), Part(x => x.Step), Part(x => x.Tensor));
        }

        if (values.All(value => Equals(value, first))) return first;
        if (values.All(value => value is long)) return new VaryingInteger([.. values.Cast<long>()]);
        if (values.All(value => value is long or double)) return new VaryingNumber([.. values.Select(value => Convert.ToDouble(value, System.Globalization.CultureInfo.InvariantCulture))]);
        throw op.Refuse($"an argument of {op.Site.CalleeName} differs between sizes: {string.Join(" / ", values.Select(value => value ?? "null"))}");
    }

    private static void CheckConstants(Trace[] traces)
    {
        var constants = traces.Select(trace => trace.Values.Where(value => value.Kind == ValueKind.Constant).ToArray()).ToArray();
        if (traces.Any(trace => trace.Values.Count != traces[0].Values.Count) || constants.Any(list => list.Length != constants[0].Length))
            throw new ExportException("", null, "forward uses other tensors from outside in another run. Make them parameters or buffers (register_buffer).");
        for (var i = 0; i < constants[0].Length; i++)
        {
            var same = constants.Select(list => list[i]).ToArray();
            if (same.Any(value => value.Id != same[0].Id || !Equal(value, same[0])))
            {
                var user = traces[0].Ops.FirstOrDefault(op => Mentions(op.Arguments, same[0].Id));
                const string reason = "uses a tensor from outside that nothing recorded made and that differs between runs: it was computed from the input where the exporter does not see " +
                    "(another thread, a lambda inside a library), or it is random. Compute it in forward, or make it a parameter or buffer.";
                throw user is null ? new ExportException("", null, "forward " + reason) : user.Refuse($"{user.Site.CalleeName} {reason}");
            }
        }
    }

    private static bool Equal(TracedValue a, TracedValue b)
    {
        if (a.Type != b.Type || !a.Shape.AsSpan().SequenceEqual(b.Shape)) return false;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        // Bit for bit, so that NaN equals NaN.
        return a.Tensor!.cpu().contiguous().bytes.SequenceEqual(b.Tensor!.cpu().contiguous().bytes);
    }

    private static bool Mentions(object? argument, int id) => argument switch
    {
        ValueRef reference => reference.Id == id,
        object?[] list => list.Any(item => Mentions(item, id)),
        IndexArgument index => Mentions(index.Tensor, id),
        _ => false,
    };
}
