// Joining and taking apart along an axis.
using TorchBridge.Export.Capture;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Joining
{
    public static void Register(OperatorTable table)
    {
        table.Operation("cat", "Concat", c => c.Result(Concat(c, c.Integer(0, "dim", "dimension", "axis"), [.. c.Tensors().Where(tensor => tensor.Rank > 0)])), "dim");
        table.Operation("stack", "Unsqueeze, Concat", Stack, "dim");
        table.Operation("hstack", "Concat", c => c.Result(Concat(c, c.Tensor().Rank == 1 ? 0 : 1, c.Tensors())));
        table.Operation("vstack", "Unsqueeze, Concat", VStack);
        foreach (var name in (string[])["chunk", "split", "tensor_split"]) table.Operation(name, "Split", c => Split(c, c.Integer(0, "dim", "dimension")), "sizes or count, dim");
        table.Operation("unbind", "Gather", Unbind, "dim");
        table.Operation("narrow", "Slice", c => Slice(c, c.Raw("start"), Sum(c, c.Raw("start"), c.Raw("length")), 1L), "dim, start, length");
        table.Operation("slice", "Slice", c => Slice(c, c.Raw("start"), c.Raw("finish", "end"), c.Raw("step") ?? 1L), "dim, start, finish, step");
        table.Operation("select", "Gather", c => c.Result(c.Node("Gather", c.ResultType(), c.ResultRank(), [c.Tensor(), c.Operand(c.Raw("index"), ScalarType.Int64)], ("axis", c.Axis(c.Integer(0, "dim"), c.Tensor().Rank)))), "dim, index");
    }

    private static GraphValue Concat(LoweringContext c, long axis, GraphValue[] parts) =>
        c.Node("Concat", c.ResultType(), c.ResultRank(), [.. parts.Select(part => c.Cast(part, c.ResultType()))], ("axis", c.Axis(axis, c.ResultRank())));

    private static void Stack(LoweringContext c)
    {
        var axis = c.Axis(c.Integer(0, "dim"), c.ResultRank());
        c.Result(Concat(c, axis, [.. c.Tensors().Select(part => c.Node("Unsqueeze", part.Type, part.Rank + 1, [part, c.Constant(axis)]))]));
    }

    private static void VStack(LoweringContext c) =>
        c.Result(Concat(c, 0, [.. c.Tensors().Select(part => part.Rank == 1 ? c.Node("Unsqueeze", part.Type, 2, [part, c.Constant(0)]) : part)]));

    private static void Split(LoweringContext c, long dim)
    {
        var input = c.Tensor();
        var axis = c.Axis(dim, input.Rank);
        if (c.HasVaryingResults)
        {
            SplitVarying(c, input, axis);
            return;
        }

        var sizes = Enumerable.Range(0, c.ResultCount).Select(i => c.FixedResultSize(i, (int)axis) is { } size ? (object)size : new VaryingInteger([.. c.ResultSizes(i).Select(shape => shape[axis])])).ToArray();
        var parts = c.Nodes("Split", [.. sizes.Select(_ => (input.Type, input.Rank))], [input, c.SizeVector(sizes)], ("axis", axis));
        for (var i = 0; i < parts.Length; i++) c.Result(parts[i], i);
    }

    /// <summary>Where the number of parts follows a size: each that is used is a slice from the sum of the sizes before it.</summary>
    private static void SplitVarying(LoweringContext c, GraphValue input, long axis)
    {
        for (var i = 0; i < c.ResultCount; i++)
        {
            var first = Together(Sums(c, i, axis));
            var end = Together(Sums(c, i + 1, axis));
            c.Result(c.IsUsed(i) ? c.Like("Slice", [input, c.SizeValue(first), c.SizeValue(end), c.Constant(axis), c.Constant(1)]) : input, i);
        }
    }

    private static long[] Sums(LoweringContext c, int parts, long axis) => Enumerable.Range(0, parts)
        .Aggregate(new long[c.ResultSizes().Length], (sums, part) => [.. sums.Zip(c.ResultSizes(part), (sum, shape) => sum + shape[axis])]);

    private static void Unbind(LoweringContext c)
    {
        var input = c.Tensor();
        var axis = c.Axis(c.Integer(0, "dim", "dimension"), input.Rank);
        for (var i = 0; i < c.ResultCount; i++) c.Result(c.IsUsed(i) ? c.Node("Gather", input.Type, input.Rank - 1, [input, c.IntegerScalar(i)], ("axis", axis)) : input, i);
    }

    private static object? Sum(LoweringContext c, object? start, object? length) => (start, length) switch
    {
        (long a, long b) => a < 0 && a + b == 0 ? long.MaxValue : a + b,
        (VaryingInteger a, long b) => new VaryingInteger([.. a.Values.Select(value => value + b)]),
        (long a, VaryingInteger b) => new VaryingInteger([.. b.Values.Select(value => a + value)]),
        (VaryingInteger a, VaryingInteger b) => Together([.. a.Values.Zip(b.Values, (x, y) => x + y)]),
        _ => throw c.Refuse("start or length is missing"),
    };

    private static object Together(long[] values) => values.All(value => value == values[0]) ? values[0] : new VaryingInteger(values);

    private static void Slice(LoweringContext c, object? start, object? end, object? step) =>
        c.Result(c.Like("Slice", [c.Tensor(), c.SizeValue(start ?? 0L), c.SizeValue(end ?? long.MaxValue), c.Constant(c.Axis(c.Integer(0, "dim"), c.Tensor().Rank)), c.SizeValue(step ?? 1L)]));
}
