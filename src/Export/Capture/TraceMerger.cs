using TorchBridge.Export.Sizes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Merges traces at different sizes into one graph, or refuses and names the first difference.</summary>
/// <param name="symbols">The free axes.</param>
/// <param name="all">The traces with their sizes; the tensors of the first become those of the graph.</param>
internal sealed class TraceMerger(SizeSymbols symbols, IReadOnlyList<(SizePoint Point, Trace Trace)> all)
{
    /// <summary>
    /// The traces to merge: all except the shortcuts, once <see cref="LeaveShortcutsOut"/> has run.
    /// </summary>
    private IReadOnlyList<(SizePoint Point, Trace Trace)> traces = [.. all];

    /// <summary>The trace of the example: the others are compared with it.</summary>
    private Trace First => traces[0].Trace;

    /// <summary>Merges the traces.</summary>
    /// <param name="codeConstants">Integers in the model's code.</param>
    /// <param name="mayBeTried">Whether forward might still be traced at a point.</param>
    /// <param name="isVerified">Whether the file will be compared with the model.</param>
    /// <returns>One graph; numbers that differ between the traces are a <see cref="VaryingInteger"/> or <see
    /// cref="VaryingNumber"/>.</returns>
    /// <exception cref="ExportException">The traces differ in operations, dtypes, ranks, or tensors from outside
    /// forward.</exception>
    public TracedGraph Merge(IReadOnlyList<long> codeConstants, Func<SizePoint, bool> mayBeTried, bool isVerified)
    {
        IReadOnlyList<(SizePoint, ExportException)> shortcuts = isVerified ? LeaveShortcutsOut() : [];
        var ops = new List<TracedOp>();
        for (var index = 0; index < traces.Max(one => one.Trace.Ops.Count); index++)
            ops.Add(MergeOp(index));
        CheckConstants();
        CheckRanks();
        CheckMadeModules();
        foreach (var (point, trace) in traces)
        {
            if (!trace.Outputs.SequenceEqual(First.Outputs))
            {
                throw new ExportException(
                    "",
                    null,
                    $"forward returns a different set of tensors at another size ({Compared(point)}): its "
                        + "outputs depend on the input's size. An ONNX graph always has the same outputs."
                );
            }
        }

        return new TracedGraph
        {
            Values = First.Values,
            Shapes = [.. First.Values.Select((_, id) => traces.Select(one => one.Trace.Values[id].Shape).ToArray())],
            Ops = ops,
            Symbols = symbols,
            Points = [.. traces.Select(one => one.Point)],
            CodeConstants = codeConstants,
            MayBeTried = mayBeTried,
            Outputs = First.Outputs,
            Shortcuts = shortcuts,
        };
    }

    /// <summary>
    /// At an axis of size 1, forward may skip something that has no effect there, such as a causal mask. The graph is
    /// then built from the other sizes, and the verification shows whether it is right at this one too.
    /// </summary>
    private List<(SizePoint Point, ExportException Refusal)> LeaveShortcutsOut()
    {
        var shortcuts = new List<(SizePoint, ExportException)>();
        var all = traces;
        foreach (var one in all.Skip(1))
        {
            if (!one.Point.Sizes.Contains(1) || IsSamePath(one.Trace))
                continue;
            traces = [all[0], one];
            try
            {
                for (var index = 0; index < Math.Max(First.Ops.Count, one.Trace.Ops.Count); index++)
                    MergeOp(index);
            }
            catch (ExportException refusal)
            {
                shortcuts.Add((one.Point, refusal));
            }
        }

        traces = [.. all.Where(one => !shortcuts.Any(left => left.Item1.Equals(one.Point)))];
        return shortcuts;
    }

    /// <summary>Whether a trace has the same operations as the first.</summary>
    /// <param name="trace">At another point.</param>
    private bool IsSamePath(Trace trace) =>
        trace.Ops.Count == First.Ops.Count && trace.Ops.Zip(First.Ops).All(pair => IsSame(pair.Second, pair.First));

    /// <summary>The two points that differ, for error messages.</summary>
    /// <param name="point">Sizes of a trace.</param>
    private string Compared(SizePoint point) =>
        symbols.Names.Count == 0
            ? "with other data"
            : $"at {symbols.Describe(traces[0].Point)} and at {symbols.Describe(point)}";

    /// <summary>Merges one operation of all traces, or refuses and names the two operations that differ.</summary>
    /// <param name="index">Index of the call in every trace.</param>
    private TracedOp MergeOp(int index)
    {
        var same = traces.Select(one => index < one.Trace.Ops.Count ? one.Trace.Ops[index] : null).ToArray();
        var one = same.First(op => op is not null)!;
        if (Array.FindIndex(same, op => !IsSame(same[0], op)) is >= 0 and var at)
        {
            if (same[0] is null)
                at = Array.FindIndex(same, op => op is not null);
            throw one.Refuse(
                "forward executes different operations at another size or with other data "
                    + $"({Compared(traces[at].Point)}): operation {index + 1} was {Named(same[0])} and "
                    + $"{Named(same[at])}. "
                    + "Branch and loop only over sizes that are fixed, or write the choice with "
                    + "torch.where; to fix a size, leave its axis out of ExportOptions.FreeAxes."
            );
        }

        var merged = new object?[one.Arguments.Length];
        for (var position = 0; position < merged.Length; position++)
            merged[position] = MergeArgument([.. same.Select(op => op!.Arguments[position])], one);
        return new TracedOp
        {
            Site = one.Site,
            Method = one.Method,
            Module = one.Module,
            ModulePath = one.ModulePath,
            Arguments = merged,
            // As many as exist at every size: the parts that are used.
            Results = [.. one.Results.Take(same.Min(op => op!.Results.Length))],
            Parts = one.Parts is null ? null : [.. same.Select(op => op!.Parts![0])],
            ModuleTensors = one.ModuleTensors,
        };
    }

    /// <summary>Whether two operations are the same except for the numbers in their arguments.</summary>
    /// <param name="a">An operation, or null.</param>
    /// <param name="b">An operation of another trace, or null.</param>
    private static bool IsSame(TracedOp? a, TracedOp? b) =>
        a is not null
        && b is not null
        && a.Method == b.Method
        && a.ModulePath == b.ModulePath
        && Used(a).SequenceEqual(Used(b))
        && (a.Parts is not null || a.Results.Length == b.Results.Length)
        && a.ModuleTensors.OrderBy(pair => pair.Key).SequenceEqual(b.ModuleTensors.OrderBy(pair => pair.Key));

    /// <summary>The results that are read, with their positions.</summary>
    /// <param name="op">A recorded call.</param>
    private static IEnumerable<(int Result, int At)> Used(TracedOp op) =>
        op.Results.Select((result, at) => (result, at)).Where(pair => pair.result != TracedOp.Unused);

    /// <summary>An operation with its source location, for error messages.</summary>
    /// <param name="op">An operation, or null.</param>
    private static string Named(TracedOp? op) =>
        op is null
            ? "nothing more"
            : $"{op.Site.CalleeName} at {op.Site.Place}{(op.Results.Length == 1 ? "" : $" with {op.Results.Length} results")}";

    /// <summary>Merges one argument of all traces: equal values stay, numbers that differ become varying.</summary>
    /// <param name="values">The argument in each trace.</param>
    /// <param name="op">The operation.</param>
    private object? MergeArgument(object?[] values, TracedOp op)
    {
        var one = values[0];
        if (one is object?[] list && values.All(value => value is object?[] other && other.Length == list.Length))
            return Enumerable
                .Range(0, list.Length)
                .Select(i => MergeArgument([.. values.Select(value => ((object?[])value!)[i])], op))
                .ToArray();
        if (one is IndexArgument index && values.All(value => value is IndexArgument other && other.Kind == index.Kind))
        {
            object? Part(Func<IndexArgument, object?> part) =>
                MergeArgument([.. values.Select(value => part((IndexArgument)value!))], op);
            return new IndexArgument(
                index.Kind,
                Part(x => x.Start),
                Part(x => x.Stop),
                Part(x => x.Step),
                Part(x => x.Tensor)
            );
        }

        if (values.All(value => Equals(value, one)))
            return one;
        if (values.All(value => value is long))
            return new VaryingInteger([.. values.Cast<long>()]);
        if (values.All(value => value is long or double))
            return new VaryingNumber([
                .. values.Select(value => Convert.ToDouble(value, System.Globalization.CultureInfo.InvariantCulture)),
            ]);
        var at = Array.FindIndex(values, value => !Equals(value, one));
        throw op.Refuse(
            $"an argument of {op.Site.CalleeName} differs between runs ({Compared(traces[at].Point)}): "
                + $"{Shown(one)} and {Shown(values[at])}. "
                + "Only sizes, and numbers computed from sizes, may depend on a free axis."
        );
    }

    /// <summary>An argument as text, for error messages.</summary>
    /// <param name="value">An argument.</param>
    private static string Shown(object? value) =>
        value switch
        {
            null => "null",
            ValueRef => "another tensor",
            object?[] list => $"{list.Length} values",
            _ => value.ToString()!,
        };

    /// <summary>Checks that every value has the same rank and dtype in all traces, as ONNX requires.</summary>
    private void CheckRanks()
    {
        foreach (var (point, trace) in traces)
        {
            for (var id = 0; id < First.Values.Count; id++)
            {
                TracedValue value = First.Values[id],
                    other = trace.Values[id];
                if (other.Shape.Length == value.Shape.Length && other.Type == value.Type)
                    continue;
                var shapes = $"[{string.Join(", ", value.Shape)}] and [{string.Join(", ", other.Shape)}]";
                if (First.Ops.FirstOrDefault(op => op.Results.Contains(id)) is not { } maker)
                    throw new ExportException(
                        $"a tensor from outside forward has another rank or dtype in another run: {shapes}"
                    );
                var wayOut = maker.Method.Name.Contains("squeeze", StringComparison.Ordinal)
                    ? "squeeze() without an axis removes every axis of size 1, including the free one: name the "
                        + "axis. If the size is always the example's, fix it"
                    : "An ONNX value has a fixed rank. If the size is always the example's, fix it";
                throw maker.Refuse(
                    $"{maker.Site.CalleeName} returns another rank or dtype at another size "
                        + $"({Compared(point)}): {shapes}. {wayOut}: {FixAxes()}."
                );
            }
        }
    }

    /// <summary>The options that fix all free axes, for error messages.</summary>
    private string FixAxes() =>
        string.Join(
            ", ",
            symbols
                .Inputs.Where(input => input.Symbols.Any(symbol => symbol is not null))
                .Select(input => $"FreeAxes[\"{input.Name}\"] = []")
        );

    /// <summary>Checks that modules which forward creates are the same in all traces.</summary>
    private void CheckMadeModules()
    {
        foreach (var (point, trace) in traces.Skip(1))
        {
            var at = Enumerable
                .Range(0, Math.Max(First.MadeModules.Count, trace.MadeModules.Count))
                .FirstOrDefault(
                    i => First.MadeModules.ElementAtOrDefault(i) != trace.MadeModules.ElementAtOrDefault(i),
                    -1
                );
            if (at < 0)
                continue;
            var (path, _, place) = (First.MadeModules.Count > at ? First : trace).MadeModules[at];
            throw new ExportException(
                path,
                place,
                "this module is created in forward, and its options or weights differ in another run "
                    + $"({Compared(point)}). "
                    + "Create it in the constructor; if an option depends on a size, use the function in "
                    + "torch.nn.functional."
            );
        }
    }

    /// <summary>Checks that tensors from outside forward are the same in all traces, bit for bit.</summary>
    private void CheckConstants()
    {
        var expected = Constants(First);
        foreach (var (point, trace) in traces.Skip(1))
        {
            var constants = Constants(trace);
            if (trace.Values.Count != First.Values.Count || constants.Length != expected.Length)
                throw new ExportException(
                    "",
                    null,
                    $"forward uses different tensors from outside the model in another run ({Compared(point)}). Make "
                        + "them parameters or buffers (register_buffer)."
                );
            for (var index = 0; index < constants.Length; index++)
            {
                if (constants[index].Id == expected[index].Id && AreEqual(constants[index], expected[index]))
                    continue;
                var user = First.Ops.FirstOrDefault(op =>
                    ValueRef.In(op.Arguments).Any(reference => reference.Id == expected[index].Id)
                );
                const string reason =
                    "uses a tensor that no recorded operation created and that differs between "
                    + "runs: it was computed from the input where the exporter cannot follow "
                    + "(another thread, a lambda inside a library), or it is random. Compute it in "
                    + "forward, or make it a parameter or buffer. For random numbers whose shape depends on a "
                    + "free axis, fix "
                    + "the axis (ExportOptions.FreeAxes), or have the file draw them (RandomNumbers.Drawn).";
                throw user is null
                    ? new ExportException("", null, "forward " + reason)
                    : user.Refuse($"{user.Site.CalleeName} {reason}");
            }
        }
    }

    /// <summary>The tensors of a trace that no recorded operation created.</summary>
    /// <param name="trace">Trace of one run.</param>
    private static TracedValue[] Constants(Trace trace) =>
        [.. trace.Values.Where(value => value.Kind == ValueKind.Constant)];

    /// <summary>Whether two tensors have the same dtype, shape and bits.</summary>
    /// <param name="a">A constant.</param>
    /// <param name="b">A constant of another trace.</param>
    private static bool AreEqual(TracedValue a, TracedValue b)
    {
        if (a.Type != b.Type || !a.Shape.AsSpan().SequenceEqual(b.Shape))
            return false;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        // Bit for bit, so that NaN equals NaN.
        return a.Tensor!.cpu().contiguous().bytes.SequenceEqual(b.Tensor!.cpu().contiguous().bytes);
    }
}
