// Concatenating and splitting along an axis.
using TorchBridge.Export.Capture;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Lowers concatenating and splitting tensors along an axis.</summary>
internal static class Joining
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        table.Operation("cat", "Concat", Cat, "dim");
        table.Operation("stack", "Unsqueeze, Concat", Stack, "dim");
        table.Operation("hstack", "Concat", c =>
            c.Result(
                Concat(
                    c,
                    c.ResultRank() == 1 ? 0 : 1,
                    [.. c.Tensors().Select(part => Ranks.Vector(c, part, onlyScalar: true))]
                )
            )
        );
        table.Operation("vstack", "Unsqueeze, Concat", c =>
            c.Result(Concat(c, 0, [.. c.Tensors().Select(part => Layout.InFront(c, part, 2))]))
        );
        table.Operation("dstack", "Unsqueeze, Concat", c =>
            c.Result(Concat(c, 2, [.. c.Tensors().Select(part => AtLeastThree(c, part))]))
        );
        table.Operation("column_stack", "Unsqueeze, Concat", c =>
            c.Result(
                Concat(
                    c,
                    1,
                    [.. c.Tensors().Select(part => part.Rank < 2 ? Layout.Behind(c, part, 2 - part.Rank) : part)]
                )
            )
        );
        table.Operation("block_diag", "Pad, Concat", BlockDiagonal);
        foreach (var name in (string[])["chunk", "split", "tensor_split"])
            table.Operation(name, "Split", c => Split(c, c.Integer(0, "dim", "dimension")), "sizes or count, dim");
        table.Operation("hsplit", "Split", c => Split(c, c.Tensor().Rank == 1 ? 0 : 1), "sizes or count");
        table.Operation("vsplit", "Split", c => Split(c, 0), "sizes or count");
        table.Operation("dsplit", "Split", c => Split(c, 2), "sizes or count");
        table.Operation("meshgrid", "Unsqueeze, Expand", MeshGrid, "indexing: ij, xy");
        table.Operation("broadcast_tensors", "Expand", BroadcastTensors);
        table.Operation("unbind", "Gather", Unbind, "dim");
        table.Operation(
            "narrow",
            "Slice",
            c => Slice(c, c.Raw("start"), Sum(c, c.Raw("start"), c.Raw("length")), 1L),
            "dim, start, length"
        );
        table.Operation(
            "slice",
            "Slice",
            c => Slice(c, c.Raw("start"), c.Raw("finish", "end"), c.Raw("step") ?? 1L),
            "dim, start, finish, step"
        );
        table.Operation(
            "select",
            "Gather",
            c =>
                c.Result(
                    c.Node(
                        "Gather",
                        c.ResultType(),
                        c.ResultRank(),
                        [c.Tensor(), c.Operand(c.Raw("index"), ScalarType.Int64)],
                        ("axis", c.Axis(c.Integer(0, "dim"), c.Tensor().Rank))
                    )
                ),
            "dim, index"
        );
    }

    /// <summary>Concatenates values of any dtype in the result's dtype.</summary>
    private static GraphValue Concat(LoweringContext c, long axis, GraphValue[] parts) =>
        c.Node(
            "Concat",
            c.ResultType(),
            c.ResultRank(),
            [.. parts.Select(part => c.Cast(part, c.ResultType()))],
            ("axis", c.Axis(axis, c.ResultRank()))
        );

    /// <summary>Stacks along a new axis.</summary>
    private static void Stack(LoweringContext c)
    {
        var axis = c.Axis(c.Integer(0, "dim"), c.ResultRank());
        c.Result(
            Concat(
                c,
                axis,
                [.. c.Tensors().Select(part => c.Node("Unsqueeze", part.Type, part.Rank + 1, [part, c.Constant(axis)]))]
            )
        );
    }

    /// <summary>
    /// Concatenates along an axis; an empty vector among tensors with more axes is skipped, as in TorchSharp.
    /// </summary>
    private static void Cat(LoweringContext c)
    {
        // TorchSharp skips an empty vector among tensors with more axes.
        var parts = c.Tensors()
            .Where(part => part.Rank > 1 || c.ResultRank() == 1 || c.FixedSize(part, 0) != 0)
            .ToArray();
        c.Result(Concat(c, c.Integer(0, "dim", "dimension", "axis"), parts));
    }

    /// <summary>A value with three axes or more, as dstack stacks them.</summary>
    private static GraphValue AtLeastThree(LoweringContext c, GraphValue part) =>
        part.Rank switch
        {
            0 => Layout.Unsqueeze(c, part, 0, 1, 2),
            1 => Layout.Unsqueeze(c, part, 0, 2),
            2 => Layout.Unsqueeze(c, part, 2),
            _ => part,
        };

    /// <summary>Places matrices along the diagonal of a larger one.</summary>
    private static void BlockDiagonal(LoweringContext c)
    {
        var parts = c.Tensors().Select(part => Layout.InFront(c, c.Cast(part, c.ResultType()), 2)).ToArray();
        GraphValue Zeros(GraphValue height, GraphValue width) =>
            c.Node("Expand", c.ResultType(), 2, [c.Scalar(0, c.ResultType()), Layout.Concat(c, 0, height, width)]);
        var rows = new List<GraphValue>();
        for (var index = 0; index < parts.Length; index++)
        {
            var height = Layout.Size(c, parts[index], 0);
            rows.Add(
                Layout.Concat(
                    c,
                    1,
                    [.. parts.Select((other, j) => index == j ? other : Zeros(height, Layout.Size(c, other, 1)))]
                )
            );
        }

        c.Result(Layout.Concat(c, 0, [.. rows]));
    }

    /// <summary>Coordinates of a grid, one result per vector.</summary>
    private static void MeshGrid(LoweringContext c)
    {
        // Axis i belongs to tensor i; with "xy" the first two axes are swapped.
        var tensors = c.Tensors();
        var swapped = c.Text("indexing") == "xy" && tensors.Length > 1;
        var sizes = Layout.Concat(
            c,
            0,
            [
                .. Enumerable
                    .Range(0, tensors.Length)
                    .Select(axis => Layout.Size(c, Ranks.Vector(c, tensors[AxisOf(axis, swapped)]), 0)),
            ]
        );
        for (var index = 0; index < tensors.Length; index++)
        {
            var axis = AxisOf(index, swapped);
            var line = Layout.Behind(c, Ranks.Vector(c, tensors[index]), tensors.Length - 1 - axis);
            c.Result(Layout.Expand(c, line, sizes, tensors.Length), index);
        }
    }

    /// <summary>The axis of the grid along which a vector varies.</summary>
    private static int AxisOf(int tensor, bool swapped) => swapped && tensor < 2 ? 1 - tensor : tensor;

    /// <summary>Every tensor in the shape that they broadcast to.</summary>
    private static void BroadcastTensors(LoweringContext c)
    {
        var tensors = c.Tensors();
        for (var index = 0; index < tensors.Length; index++)
            c.Result(
                Layout.Expand(
                    c,
                    tensors[index],
                    c.SizeVector(LoweringContext.ToSizes(c.ResultSizes(index))),
                    c.ResultRank(index)
                ),
                index
            );
    }

    /// <summary>
    /// chunk, split and similar operations: parts of an axis, of fixed or varying sizes.
    /// </summary>
    private static void Split(LoweringContext c, long dim)
    {
        var input = c.Tensor();
        var axis = c.Axis(dim, input.Rank);
        if (c.HasVaryingResults)
        {
            SplitVarying(c, input, axis);
            return;
        }

        var sizes = Enumerable
            .Range(0, c.ResultCount)
            .Select(i =>
                c.FixedResultSize(i, (int)axis) is { } size
                    ? (object)size
                    : new VaryingInteger([.. c.ResultSizes(i).Select(shape => shape[axis])])
            )
            .ToArray();
        var parts = c.Nodes(
            "Split",
            [.. sizes.Select(_ => (input.Type, input.Rank))],
            [input, c.SizeVector(sizes)],
            ("axis", axis)
        );
        for (var index = 0; index < parts.Length; index++)
            c.Result(parts[index], index);
    }

    /// <summary>For a number of parts that depends on a size: each used part is a slice that starts at the sum of the
    /// sizes before it.</summary>
    private static void SplitVarying(LoweringContext c, GraphValue input, long axis)
    {
        for (var position = 0; position < c.ResultCount; position++)
        {
            var first = Together(Sums(c, position, axis));
            var end = Together(Sums(c, position + 1, axis));
            c.Result(
                c.IsUsed(position)
                    ? c.Like("Slice", [input, c.SizeValue(first), c.SizeValue(end), c.Constant(axis), c.Constant(1)])
                    : input,
                position
            );
        }
    }

    /// <summary>The start of a part in each trace: the sum of the sizes before it.</summary>
    /// <param name="c">The operation.</param>
    /// <param name="parts">Number of parts before it.</param>
    /// <param name="axis">The axis that is split, from 0.</param>
    /// <returns>One value per trace.</returns>
    private static long[] Sums(LoweringContext c, int parts, long axis) =>
        Enumerable
            .Range(0, parts)
            .Aggregate(new long[c.ResultSizes().Length], (sums, part) =>
                [.. sums.Zip(c.ResultSizes(part), (sum, shape) => sum + shape[axis])]
            );

    /// <summary>The slices of an axis, without that axis.</summary>
    private static void Unbind(LoweringContext c)
    {
        var input = c.Tensor();
        var axis = c.Axis(c.Integer(0, "dim", "dimension"), input.Rank);
        for (var position = 0; position < c.ResultCount; position++)
            c.Result(
                c.IsUsed(position)
                    ? c.Node("Gather", input.Type, input.Rank - 1, [input, c.IntegerScalar(position)], ("axis", axis))
                    : input,
                position
            );
    }

    /// <summary>The sum of two sizes, each fixed or varying.</summary>
    /// <param name="c">The operation, for error messages.</param>
    /// <param name="start">A long or a <see cref="VaryingInteger"/>; negative values count from the end.</param>
    /// <param name="length">A long or a <see cref="VaryingInteger"/>.</param>
    /// <returns>The end of a slice: <see cref="long.MaxValue"/> for the end of the axis.</returns>
    private static object? Sum(LoweringContext c, object? start, object? length) =>
        (start, length) switch
        {
            (long a, long b) => a < 0 && a + b == 0 ? long.MaxValue : a + b,
            (VaryingInteger a, long b) => new VaryingInteger([.. a.Values.Select(value => value + b)]),
            (long a, VaryingInteger b) => new VaryingInteger([.. b.Values.Select(value => a + value)]),
            (VaryingInteger a, VaryingInteger b) => Together([.. a.Values.Zip(b.Values, (x, y) => x + y)]),
            _ => throw c.Refuse("start or length is missing"),
        };

    /// <summary>A fixed number if a size is the same in all traces, otherwise a varying one.</summary>
    private static object Together(long[] values) =>
        values.All(value => value == values[0]) ? values[0] : new VaryingInteger(values);

    /// <summary>A slice of an axis.</summary>
    /// <param name="c">The operation.</param>
    /// <param name="start">First position; null for the beginning.</param>
    /// <param name="end">Position after the last; null for the end.</param>
    /// <param name="step">Step; null for 1.</param>
    private static void Slice(LoweringContext c, object? start, object? end, object? step) =>
        c.Result(
            c.Like(
                "Slice",
                [
                    c.Tensor(),
                    c.SizeValue(start ?? 0L),
                    c.SizeValue(end ?? long.MaxValue),
                    c.Constant(c.Axis(c.Integer(0, "dim"), c.Tensor().Rank)),
                    c.SizeValue(step ?? 1L),
                ]
            )
        );
}
