// Sorting and running sums.
//   NaN is the largest number in TorchSharp, but is not ordered in ONNX Runtime: elements are ordered by a float64 key
//   that is infinite for NaN and 1e300 for an infinity. TopK returns the lower index first for equal elements, like a
//   stable sort.
//   cumprod   on a fixed axis by doubling (n log n); on a free one as the products of the rows of a triangle
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Lowers sorting, top-k selection, and running sums, products and extremes.</summary>
internal static class Ordering
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        const string ties = "; TorchSharp does not define the order of equal elements";
        table.Operation(
            "topk",
            "TopK",
            c => TopK(c, c.Constant(c.Integer(1, "k")), c.Flag(true, "largest")),
            "k, dim, largest, sorted" + ties
        );
        table.Operation("sort", "TopK, GatherElements", Sort, "dim, descending, stable" + ties);
        table.Operation("argsort", "TopK", Sort, "dim, descending" + ties);
        table.Operation("msort", "TopK, GatherElements", c =>
            c.Result(Ranks.AtLeastOne(c, c.Tensor(), x => Sorted(c, x, Size(c, x, 0), 0, largest: false).Values))
        );
        table.Operation("kthvalue", "TopK, Gather", KthValue, "k, dim, keepdim" + ties);
        table.Operation(
            "cumsum",
            "CumSum",
            c => c.Result(Running(c, (x, axis) => c.Like("CumSum", [x, c.IntegerScalar(axis)]))),
            "dim, dtype"
        );
        table.Operation(
            "cumprod",
            "Slice, Concat, Mul; ReduceProd",
            c => c.Result(Running(c, (x, axis) => Cumulated(c, x, axis, 1, (a, b) => a * b, "ReduceProd"))),
            "dim, dtype"
        );
        table.Operation(
            "logcumsumexp",
            "Slice, Concat, Max, Exp, Log; ReduceLogSumExp",
            c =>
                c.Result(
                    Running(c, (x, axis) =>
                        Cumulated(c, x, axis, double.NegativeInfinity, LogAddExp, "ReduceLogSumExp")
                    )
                ),
            "dim"
        );
        table.Operation("cummax", "Where, ReduceMax, ArgMax", c => CumulatedExtreme(c, "Max"), "dim");
        table.Operation("cummin", "Where, ReduceMin, ArgMin", c => CumulatedExtreme(c, "Min"), "dim");
        table.Operation("diff", "Slice, Sub", Difference, "n, dim, prepend, append");
        foreach (var (name, upper) in ((string, long)[])[("triu", 1), ("tril", 0)])
            table.Operation(
                name,
                "Trilu",
                c =>
                    c.Result(
                        c.Like("Trilu", [c.Tensor(), c.IntegerScalar(c.Integer(0, "diagonal"))], ("upper", upper))
                    ),
                "diagonal"
            );
    }

    /// <summary>The first <paramref name="count"/> elements in order along an axis, and their original
    /// positions.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Elements of rank 1 or more.</param>
    /// <param name="count">Number of elements, a vector with one element.</param>
    /// <param name="axis">Axis, from the front.</param>
    /// <param name="largest">Whether the largest come first; otherwise the smallest.</param>
    public static (GraphValue Values, GraphValue Indices) Sorted(
        LoweringContext c,
        GraphValue x,
        GraphValue count,
        long axis,
        bool largest
    )
    {
        var key = x;
        if (is_floating_point(x.Type))
        {
            var wide = new Formula(c, x).To(ScalarType.Float64);
            var largestFinite = x.Type == ScalarType.Float64 ? double.MaxValue : 1e300;
            key = Formula
                .Where(
                    wide.IsNan(),
                    double.PositiveInfinity,
                    Formula.Where(wide.EqualTo(double.PositiveInfinity), largestFinite, wide)
                )
                .Value;
        }

        var both = c.Nodes(
            "TopK",
            [(key.Type, key.Rank), (ScalarType.Int64, key.Rank)],
            [key, count],
            ("axis", axis),
            ("largest", largest ? 1L : 0L),
            ("sorted", 1L)
        );
        return (is_floating_point(x.Type) ? c.Like("GatherElements", [x, both[1]], ("axis", axis)) : both[0], both[1]);
    }

    /// <summary>The size of an axis.</summary>
    private static GraphValue Size(LoweringContext c, GraphValue x, long axis) =>
        c.Node("Gather", ScalarType.Int64, 1, [c.Node("Shape", ScalarType.Int64, 1, [x]), c.Constant(axis)]);

    /// <summary>
    /// The k largest or smallest elements of an axis, in order, and their original positions.
    /// </summary>
    /// <param name="c">The operation.</param>
    /// <param name="count">k, an int64 vector with one element.</param>
    /// <param name="largest">Whether to select the largest; otherwise the smallest.</param>
    private static void TopK(LoweringContext c, GraphValue count, bool largest)
    {
        c.Flag(true, "sorted"); // an unsorted result may have any order, including a sorted one
        var input = c.Tensor();
        var axis = c.Axis(c.Integer(-1, "dim"), input.Rank);
        c.Result(Ranks.AtLeastOne(c, input, value => Sorted(c, value, count, axis, largest).Values));
        c.Result(Ranks.AtLeastOne(c, input, value => Sorted(c, value, count, axis, largest).Indices), 1);
    }

    /// <summary>
    /// All elements of an axis in order, and their original positions; equal elements keep their order.
    /// </summary>
    private static void Sort(LoweringContext c)
    {
        c.Flag(false, "stable"); // it is always stable
        var input = c.Tensor();
        var axis = c.Axis(c.Integer(-1, "dim"), input.Rank);
        var down = c.Flag(false, "descending");
        var vector = input.Rank == 0 ? Ranks.Vector(c, input) : input;
        var (values, indices) = Sorted(c, vector, Size(c, vector, axis), axis, down);
        GraphValue Back(GraphValue value) =>
            input.Rank == 0 ? c.Node("Reshape", value.Type, 0, [value, c.Constants([])]) : value;
        c.Result(Back(c.ResultCount == 1 ? indices : values));
        if (c.ResultCount > 1)
            c.Result(Back(indices), 1);
    }

    /// <summary>The k-th smallest element of an axis, and its original position.</summary>
    private static void KthValue(LoweringContext c)
    {
        var input = c.Tensor();
        if (input.Rank == 0)
            throw c.Refuse("kthvalue of a tensor without axes is not supported; use the tensor itself");
        var axis = c.Axis(c.Integer(-1, "dim"), input.Rank);
        var (values, indices) = Sorted(c, input, c.Constant(c.Integer(1, "k")), axis, largest: false);
        var keep = c.Flag(false, "keepdim");
        GraphValue Last(GraphValue value) =>
            keep
                ? c.Node("Gather", value.Type, value.Rank, [value, c.Constant(-1)], ("axis", axis))
                : c.Node("Gather", value.Type, value.Rank - 1, [value, c.IntegerScalar(-1)], ("axis", axis));
        c.Result(Last(values));
        c.Result(Last(indices), 1);
    }

    // ---- running -------------------------------------------------------------------------------------------------------------

    /// <summary>A running function along an axis; also for a tensor without axes.</summary>
    private static GraphValue Running(LoweringContext c, Func<GraphValue, long, GraphValue> function)
    {
        var input = Pointwise.X(c).Value;
        return Ranks.AtLeastOne(c, input, value => function(value, c.Axis(c.Integer(0, "dim"), value.Rank)));
    }

    /// <summary>
    /// Combines each element with all elements before it, by doubling the distance; on a free axis over the rows of a
    /// triangle.
    /// </summary>
    /// <param name="c">The operation.</param>
    /// <param name="x">The elements.</param>
    /// <param name="axis">Axis, from 0.</param>
    /// <param name="neutral">The neutral element: 0 for sums, 1 for products.</param>
    /// <param name="join">Combines two elements.</param>
    /// <param name="reduction">The ONNX operator that reduces a whole axis.</param>
    private static GraphValue Cumulated(
        LoweringContext c,
        GraphValue x,
        long axis,
        double neutral,
        Func<Formula, Formula, Formula> join,
        string reduction
    )
    {
        var size = c.Tensor().Rank == 0 ? 1 : c.FixedSize(c.Tensor(), (int)axis);
        if (size is null && is_floating_point(x.Type))
            return OfRows(c, x, axis, c.Scalar(neutral, x.Type), (rows, over) =>
                Reductions.Reduce(c, reduction, rows, [over], keep: false)
            );
        // a free axis of integers may have up to 2^20 elements
        var steps = size is { } known ? (int)Math.Ceiling(Math.Log2(Math.Max(1, known))) : 20;
        var value = x;
        for (var step = 0; step < steps; step++)
        {
            // Each element is combined with the one 2^step positions before it.
            var shift = 1L << step;
            var shape = c.Node("Shape", ScalarType.Int64, 1, [value]);
            var front = c.Node(
                "Expand",
                x.Type,
                x.Rank,
                [
                    c.Scalar(neutral, x.Type),
                    c.Node(
                        "ScatterElements",
                        ScalarType.Int64,
                        1,
                        [shape, c.Constant(axis), c.Constant(shift)],
                        ("axis", 0L)
                    ),
                ]
            );
            var shifted = c.Like(
                "Concat",
                [front, c.Like("Slice", [value, c.Constant(0), c.Constant(-shift), c.Constant(axis)])],
                ("axis", axis)
            );
            var fitted = c.Like("Slice", [shifted, c.Constant(0), Size(c, value, axis), c.Constant(axis)]);
            value = join(new Formula(c, fitted), new Formula(c, value)).Value;
        }

        return value;
    }

    /// <summary>log(exp(a) + exp(b)), which does not overflow.</summary>
    private static Formula LogAddExp(Formula a, Formula b)
    {
        var larger = a.Max(b);
        var sum = larger + SpecialFunctions.Log1p((-(a - b).Abs()).Apply("Exp"));
        return Formula.Where(a.EqualTo(b) & a.IsInfinite(), a, sum);
    }

    /// <summary>Reduces, for each position on an axis, the elements up to it: the rows of a triangle, filled up with
    /// the neutral element.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">The elements.</param>
    /// <param name="axis">Axis, from 0.</param>
    /// <param name="neutral">Fills the other half of the triangle; a scalar of the dtype of <paramref
    /// name="x"/>.</param>
    /// <param name="reduce">Reduces one axis of the triangle; called with the triangle and the axis.</param>
    /// <remarks>The memory for the triangle grows with the square of the axis.</remarks>
    private static GraphValue OfRows(
        LoweringContext c,
        GraphValue x,
        long axis,
        GraphValue neutral,
        Func<GraphValue, long, GraphValue> reduce
    )
    {
        // x[..., j, ...] becomes [..., 1, j, ...], combined with a mask [i, j] of j <= i, so that i replaces the
        // axis.
        var wide = c.Node("Unsqueeze", x.Type, x.Rank + 1, [x, c.Constant(axis)]);
        var size = Size(c, x, axis);
        var square = c.Node("Concat", ScalarType.Int64, 1, [size, size], ("axis", 0L));
        var ones = c.Node("Expand", ScalarType.Int32, 2, [c.Operand(1L, ScalarType.Int32), square]);
        var triangle = c.Cast(c.Like("Trilu", [ones], ("upper", 0L)), ScalarType.Bool);
        var mask = Behind(c, triangle, x.Rank - 1 - (int)axis);
        return reduce(
            Formula.Where(new Formula(c, mask), new Formula(c, wide), new Formula(c, neutral)).Value,
            axis + 1
        );
    }

    /// <summary>Adds axes of size 1 at the end.</summary>
    private static GraphValue Behind(LoweringContext c, GraphValue x, int count) =>
        count == 0
            ? x
            : c.Node(
                "Unsqueeze",
                x.Type,
                x.Rank + count,
                [x, c.Constants([.. Enumerable.Range(x.Rank, count).Select(i => (long)i)])]
            );

    /// <summary>
    /// The largest or smallest element so far, and its position; once there is a NaN, the result stays NaN.
    /// </summary>
    private static void CumulatedExtreme(LoweringContext c, string what)
    {
        var input = c.Tensor().Type == ScalarType.Bool ? c.Cast(c.Tensor(), ScalarType.Byte) : c.Tensor();
        var axis = c.Axis(c.Integer(0, "dim"), input.Rank);
        GraphValue Indices(GraphValue value)
        {
            // NaN counts as the most extreme value.
            var key = new Formula(c, value);
            var worst = what == "Max" ? double.NegativeInfinity : double.PositiveInfinity;
            if (key.IsFloat)
            {
                var wide = key.To(ScalarType.Float64);
                key = Formula.Where(
                    wide.IsNan(),
                    -worst,
                    Formula.Where(wide.EqualTo(-worst), what == "Max" ? 1e300 : -1e300, wide)
                );
            }

            var neutral = key.IsFloat ? c.Scalar(worst, key.Type) : c.Operand(Limit(key.Type, what == "Min"), key.Type);
            var last = OfRows(c, key.Value, axis, neutral, (rows, over) =>
                c.Node(
                    $"Arg{what}",
                    ScalarType.Int64,
                    rows.Rank - 1,
                    [rows],
                    ("axis", over),
                    ("keepdims", 0L),
                    ("select_last_index", 1L)
                )
            );
            // If all elements are as extreme as the filled part of the row, the last position is that of the row
            // itself.
            var end = c.Node("Squeeze", ScalarType.Int64, 0, [Size(c, value, axis), c.Constant(0)]);
            var places = Behind(
                c,
                c.Node("Range", ScalarType.Int64, 1, [c.IntegerScalar(0), end, c.IntegerScalar(1)]),
                value.Rank - 1 - (int)axis
            );
            return new Formula(c, last).Min(new Formula(c, places)).Value;
        }

        c.Result(
            Ranks.AtLeastOne(c, input, value => c.Like("GatherElements", [value, Indices(value)], ("axis", axis)))
        );
        c.Result(Ranks.AtLeastOne(c, input, Indices), 1);
    }

    /// <summary>The largest or smallest number of an integer type.</summary>
    private static long Limit(ScalarType type, bool upper) =>
        type switch
        {
            ScalarType.Byte => upper ? byte.MaxValue : byte.MinValue,
            ScalarType.Int8 => upper ? sbyte.MaxValue : sbyte.MinValue,
            ScalarType.Int16 => upper ? short.MaxValue : short.MinValue,
            ScalarType.Int32 => upper ? int.MaxValue : int.MinValue,
            _ => upper ? long.MaxValue : long.MinValue,
        };

    /// <summary>Differences of neighbours along an axis, applied n times.</summary>
    private static void Difference(LoweringContext c)
    {
        var type = c.ResultType();
        var input = c.Cast(c.Tensor(), type);
        var axis = c.Axis(c.Integer(-1, "dim"), input.Rank);
        GraphValue[] parts =
        [
            .. new[] { c.OptionalTensor("prepend"), input, c.OptionalTensor("append") }
                .OfType<GraphValue>()
                .Select(part => c.Cast(part, type)),
        ];
        if (parts.Length > 1)
            input = c.Like("Concat", parts, ("axis", axis));
        for (var turns = c.Integer(1, "n"); turns > 0; turns--)
        {
            Formula after =
                    new(c, c.Like("Slice", [input, c.Constant(1), c.Constant(long.MaxValue), c.Constant(axis)])),
                before = new(c, c.Like("Slice", [input, c.Constant(0), c.Constant(-1), c.Constant(axis)]));
            input = (type == ScalarType.Bool ? after ^ before : after - before).Value;
        }

        c.Result(input);
    }
}
