using System.Reflection;
using TorchBridge.Export.Sizes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Origin of a value in a trace.</summary>
internal enum ValueKind
{
    /// <summary>An argument of the model.</summary>
    Input,

    /// <summary>A parameter or buffer of the model.</summary>
    Parameter,

    /// <summary>A tensor that is not a parameter and is equal in all traces.</summary>
    Constant,

    /// <summary>The result of an operation.</summary>
    Result,
}

/// <summary>A tensor value of a trace. In-place operations create new values, so each value is assigned
/// once.</summary>
internal sealed record TracedValue
{
    /// <summary>Its number: the index among the trace's values.</summary>
    public required int Id { get; init; }

    /// <summary>Origin of the value.</summary>
    public required ValueKind Kind { get; init; }

    /// <summary>Name of an input, state-dict key of a parameter; empty for others.</summary>
    public required string Name { get; init; }

    /// <summary>Element type.</summary>
    public required ScalarType Type { get; init; }

    /// <summary>Sizes in this trace.</summary>
    public required long[] Shape { get; init; }

    /// <summary>The tensor itself, for parameters and constants.</summary>
    public Tensor? Tensor { get; init; }
}

/// <summary>A tensor among the arguments of a traced operation.</summary>
/// <param name="Id">The value's number.</param>
internal sealed record ValueRef(int Id)
{
    /// <summary>All tensors in an argument.</summary>
    /// <param name="argument">An argument as converted by <see cref="ArgumentConverter"/>.</param>
    public static IEnumerable<ValueRef> In(object? argument) =>
        argument switch
        {
            ValueRef reference => [reference],
            object?[] list => list.SelectMany(In),
            IndexArgument index => In(index.Tensor),
            _ => [],
        };
}

/// <summary>An integer that depends on the free axes, with its value in each trace.</summary>
/// <param name="Values">One per trace.</param>
internal sealed record VaryingInteger(long[] Values);

/// <summary>A non-integer number that differs between the traces.</summary>
/// <param name="Values">One per trace.</param>
internal sealed record VaryingNumber(double[] Values);

/// <summary>One index of <c>x[...]</c>. <paramref name="Start"/>, <paramref name="Stop"/> and <paramref name="Step"/>
/// are long, <see cref="VaryingInteger"/> or null.</summary>
/// <param name="Kind">None (new axis), Single, Null, Ellipsis, Bool, Tensor or Slice.</param>
/// <param name="Start">First index, or the single index.</param>
/// <param name="Stop">One past the last index.</param>
/// <param name="Step">Step of a slice.</param>
/// <param name="Tensor">Index tensor (<see cref="ValueRef"/>).</param>
internal sealed record IndexArgument(string Kind, object? Start, object? Stop, object? Step, object? Tensor);

/// <summary>An operation of one trace, or of the merged traces.</summary>
internal sealed class TracedOp
{
    /// <summary>The call site: caller, callee and source location.</summary>
    public required CallSite Site { get; init; }

    /// <summary>The called method; for a module its <c>forward</c>.</summary>
    public required MethodBase Method { get; init; }

    /// <summary>The called module, if there is one.</summary>
    public required nn.Module? Module { get; init; }

    /// <summary>Path of the module whose forward makes the call; of the module itself where one is called.</summary>
    public required string ModulePath { get; init; }

    /// <summary>Receiver first, then the arguments: ValueRef, numbers, strings, enums, arrays of these.</summary>
    public required object?[] Arguments { get; init; }

    /// <summary>Marks a part of chunk or split in <see cref="Results"/> that nothing reads.</summary>
    public const int Unused = -1;

    /// <summary>Numbers of the resulting values, in the order of the result.</summary>
    public required int[] Results { get; init; }

    /// <summary>For chunk, split and unbind: the shape of every part in each trace, including parts that nothing
    /// reads.</summary>
    public long[][][]? Parts { get; init; }

    /// <summary>Tensors of a module that forward computed and assigned, by name (<c>weight</c>).</summary>
    public IReadOnlyDictionary<string, ValueRef> ModuleTensors { get; init; } = NoTensors;

    /// <summary>No computed tensors.</summary>
    public static IReadOnlyDictionary<string, ValueRef> NoTensors { get; } = new Dictionary<string, ValueRef>();

    /// <summary>Whether the number of an operation's results may depend on a size.</summary>
    /// <param name="method">A method of TorchSharp.</param>
    public static bool HasParts(MethodBase method) =>
        method.Name
            is "chunk"
                or "split"
                or "split_with_sizes"
                or "tensor_split"
                or "unbind"
                or "hsplit"
                or "vsplit"
                or "dsplit";

    /// <summary>Creates an exception that names this operation's source location.</summary>
    /// <param name="reason">What was refused, why, and what to do instead.</param>
    public ExportException Refuse(string reason) => new(ModulePath, Site.Place, reason);
}

/// <summary>The record of one run of the instrumented forward.</summary>
internal sealed class Trace
{
    /// <summary>Values by their number.</summary>
    public List<TracedValue> Values { get; } = [];

    /// <summary>Operations in the order in which they ran.</summary>
    public List<TracedOp> Ops { get; } = [];

    /// <summary>Approximate multiply-adds of this run, for deciding how many more runs are affordable.</summary>
    public double Work { get; set; }

    /// <summary>Number of elements in the largest result of an operation.</summary>
    public double LargestResult { get; set; }

    /// <summary>Modules that forward itself created: path, content (type, options and weights), and where they are
    /// called.</summary>
    public List<(string Path, string Content, string? Place)> MadeModules { get; } = [];

    /// <summary>State that forward changed and its next call reads, for messages.</summary>
    public List<string> ChangedState { get; } = [];

    /// <summary>Values of the outputs, each with its name in the result's structure (<c>output</c>,
    /// <c>Item1</c>, <c>0</c>).</summary>
    public List<(string Name, int Value)> Outputs { get; } = [];
}

/// <summary>All traces, merged: what <c>forward</c> does at any size of the free axes.</summary>
internal sealed class TracedGraph
{
    /// <summary>Values by their number, with the tensors and sizes of the example's run.</summary>
    public required IReadOnlyList<TracedValue> Values { get; init; }

    /// <summary>By value number: the sizes in each trace.</summary>
    public required IReadOnlyList<long[][]> Shapes { get; init; }

    /// <summary>Operations in the order in which they ran.</summary>
    public required IReadOnlyList<TracedOp> Ops { get; init; }

    /// <summary>The free axes.</summary>
    public required SizeSymbols Symbols { get; init; }

    /// <summary>Where the traces ran, the example first.</summary>
    public required IReadOnlyList<SizePoint> Points { get; init; }

    /// <summary>Integers in the model's code and fields, for the formulas of sizes.</summary>
    public required IReadOnlyList<long> CodeConstants { get; init; }

    /// <summary>The inputs with their free axes.</summary>
    public IReadOnlyList<FreeInput> Inputs => Symbols.Inputs;

    public required IReadOnlyList<(string Name, int Value)> Outputs { get; init; }

    /// <summary>Points with an axis of size 1 at which forward executes different operations, each with the refusal
    /// to throw if the graph is not right there.</summary>
    public IReadOnlyList<(SizePoint Point, ExportException Refusal)> Shortcuts { get; init; } = [];

    /// <summary>
    /// Looks for a point at which one of several size formulas differs from the first; false if none differs at any
    /// size that forward may accept.
    /// </summary>
    /// <param name="rivals">The candidate formulas.</param>
    /// <param name="symbolOf">The symbol of an axis.</param>
    /// <param name="point">The point at which they differ.</param>
    public bool TellsApart(
        IReadOnlyList<SizeExpression> rivals,
        Func<SizeExpression.Axis, int> symbolOf,
        out SizePoint point
    )
    {
        foreach (var candidate in CandidatePoints())
        {
            if (!MayBeTried(candidate))
                continue;
            var values = rivals.Select(rival => rival.Evaluate(axis => candidate[symbolOf(axis)])).ToArray();
            if (values.All(value => value == values[0]))
                continue;
            point = candidate;
            return true;
        }

        point = Points[0];
        return false;
    }

    /// <summary>Whether forward might still be traced at a point, to decide between formulas.</summary>
    public required Func<SizePoint, bool> MayBeTried { get; init; }

    /// <summary>A point that was not traced.</summary>
    public SizePoint AnotherPoint() => CandidatePoints().FirstOrDefault(MayBeTried, Points[0]);

    private IEnumerable<SizePoint> CandidatePoints()
    {
        var random = new Random(7);
        var largest = Points.SelectMany(point => point.Sizes).Max();
        for (var symbol = 0; symbol < Symbols.Names.Count; symbol++)
        {
            for (var size = 1; size <= 64; size++)
                yield return Points[0].With(symbol, size);
        }

        for (var index = 0; index < 2000; index++)
            yield return new SizePoint([.. Symbols.Names.Select(_ => random.NextInt64(1, (2 * largest) + 16))]);
    }
}
