// Reductions over axes.
//   var   sum((x - mean)^2) / max(n - correction, 0), in float64, in which TorchSharp accumulates it: no overflow and
//         no cancellation
//   mean  sum / n if an axis may be empty: 0 / 0 is then NaN, as in TorchSharp
//   norm  (sum |x|^p)^(1/p); of matrices the largest or smallest sum of a row or column
// NaN: ONNX Runtime's ReduceMax, ReduceMin, ArgMax and ArgMin skip it, so it is checked separately. Integers: its sums
// and products go through float64, and its ReduceMax and ReduceMin read only the low 32 bits of 64.
using TorchBridge.Export.Onnx;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Lowers sums, means, products, extremes, norms, variances and standard deviations over axes.</summary>
internal static class Reductions
{
    /// <summary>Parameter names of the axes to reduce in TorchSharp's methods.</summary>
    private static readonly string[] Dims = ["dim", "dims", "dimensions", "dimension", "axis"];

    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        const string options = "dim, keepdim, dtype";
        table.Operation("sum", "ReduceSum", c => c.Result(Sum(c, X(c), Axes(c), Keep(c))), options);
        table.Operation(
            "nansum",
            "IsNaN, Where, ReduceSum",
            c => c.Result(Sum(c, WithoutNan(c), Axes(c), Keep(c))),
            options
        );
        table.Operation("mean", "ReduceMean; ReduceSum, Div", c => c.Result(Mean(c)), options);
        table.Operation("prod", "ReduceProd; Slice, Mul", c => c.Result(Product(c)), options);
        table.Operation(
            "amax",
            "ReduceMax, IsNaN, Where",
            c => c.Result(Extreme(c, "Max", X(c), Axes(c), Keep(c))),
            options
        );
        table.Operation(
            "amin",
            "ReduceMin, IsNaN, Where",
            c => c.Result(Extreme(c, "Min", X(c), Axes(c), Keep(c))),
            options
        );
        table.Operation("aminmax", "ReduceMin, ReduceMax, IsNaN, Where", BothExtremes, "dim, keepdim");
        table.Operation("logsumexp", "ReduceLogSumExp", c => c.Result(LogSumExp(c)), options);
        table.Operation(
            "max",
            "ReduceMax, IsNaN, Where; Max; ArgMax",
            c => ExtremeRule(c, "Max"),
            "over all, over dim with indices, of two tensors"
        );
        table.Operation(
            "min",
            "ReduceMin, IsNaN, Where; Min; ArgMin",
            c => ExtremeRule(c, "Min"),
            "over all, over dim with indices, of two tensors"
        );
        table.Operation("argmax", "ArgMax, IsNaN, Where", c => c.Result(Arg(c, "ArgMax")), "dim, keepdim");
        table.Operation("argmin", "ArgMin, IsNaN, Where", c => c.Result(Arg(c, "ArgMin")), "dim, keepdim");
        table.Operation("all", "Cast, Not, ReduceSum, Equal", c => c.Result(Logic(c, all: true)), "dim, keepdim");
        table.Operation("any", "Cast, ReduceSum, Greater", c => c.Result(Logic(c, all: false)), "dim, keepdim");
        table.Operation(
            "count_nonzero",
            "Cast, ReduceSum",
            c =>
                c.Result(
                    Reduce(
                        c,
                        "ReduceSum",
                        c.Cast(c.Cast(c.Tensor(), ScalarType.Bool), ScalarType.Int64),
                        Axes(c),
                        keep: false
                    )
                ),
            "dim"
        );
        const string spread = "dim, unbiased, keepdim";
        table.Operation(
            "var",
            "ReduceMean, Sub, Mul, ReduceSum, Div (in float64)",
            c => c.Result(Variance(c).Value),
            spread
        );
        table.Operation(
            "std",
            "ReduceMean, Sub, Mul, ReduceSum, Div, Sqrt (in float64)",
            c => c.Result(Variance(c).Apply("Sqrt").Value),
            spread
        );
        table.Operation(
            "var_mean",
            "ReduceMean, Sub, Mul, ReduceSum, Div (in float64)",
            c => WithMean(c, Variance(c)),
            spread
        );
        table.Operation(
            "std_mean",
            "ReduceMean, Sub, Mul, ReduceSum, Div, Sqrt (in float64)",
            c => WithMean(c, Variance(c).Apply("Sqrt")),
            spread
        );
        table.Operation("median", "TopK, Gather", Median);
        table.Operation("trace", "EyeLike, Mul, ReduceSum", c => c.Result(Trace(c)));
        const string norms = "ReduceL1; ReduceL2; Abs, Pow, ReduceSum; ReduceMax";
        table.Operation(
            "norm",
            norms,
            c => c.Result(Norm(c, X(c), c.Number(2, "p"), Axes(c), Keep(c))),
            "p, dim, keepdim"
        );
        table.Operation(
            "linalg.vector_norm",
            norms,
            c => c.Result(Norm(c, X(c), c.Number(2, "ord"), Axes(c), Keep(c))),
            "ord, dim, keepdim"
        );
        table.Operation("linalg.norm", norms, LinalgNorm, "ord (of matrices 1, -1, inf, -inf, fro), dim, keepdim");
        table.Operation(
            "linalg.matrix_norm",
            norms,
            c => c.Result(MatrixNorm(c, Axes(c) ?? [c.Tensor().Rank - 2, c.Tensor().Rank - 1])),
            "ord 1, -1, inf, -inf, fro, dim, keepdim"
        );
        table.Operation("dist", norms, Distance, "p");
    }

    /// <summary>
    /// Reduces over axes (over all if null). The axes are an attribute before opset 18, an input from then on;
    /// ReduceSum has taken an input since 13.
    /// </summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="onnx">The operator: ReduceSum, ReduceMax and so on.</param>
    /// <param name="x">The elements.</param>
    /// <param name="axes">Axes, from 0; null for all.</param>
    /// <param name="keep">Whether the axes are kept with size 1.</param>
    public static GraphValue Reduce(LoweringContext c, string onnx, GraphValue x, long[]? axes, bool keep)
    {
        if (x.Rank == 0)
            axes = null;
        var rank =
            keep ? x.Rank
            : axes is null ? 0
            : x.Rank - axes.Length;
        var attributes = new List<(string, object)> { ("keepdims", keep ? 1L : 0L) };
        var inputs = new List<GraphValue> { x };
        if (axes is not null && (onnx == "ReduceSum" || c.Opset >= 18))
            inputs.Add(c.Constants(axes));
        else if (axes is not null)
            attributes.Add(("axes", axes));
        return c.Node(onnx, x.Type, rank, [.. inputs], [.. attributes]);
    }

    /// <summary>The sum, also of 64-bit integers, where a sum beyond 2^53 wraps as in TorchSharp.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">The elements.</param>
    /// <param name="axes">Axes, from 0; null for all.</param>
    /// <param name="keep">Whether the axes are kept with size 1.</param>
    public static GraphValue Sum(LoweringContext c, GraphValue x, long[]? axes, bool keep)
    {
        if (x.Type is ScalarType.Int32 or ScalarType.Int16 or ScalarType.Int8 or ScalarType.Byte)
            return c.Cast(Reduce(c, "ReduceSum", c.Cast(x, ScalarType.Int64), axes, keep), x.Type);
        if (x.Type != ScalarType.Int64 || c.Tensor().Type != ScalarType.Int64)
            return Reduce(c, "ReduceSum", x, axes, keep);
        // ONNX Runtime sums in float64: summing the low and the high 32 bits separately is exact for up to 2^21
        // elements.
        const double half = 4294967296;
        var whole = new Formula(c, x);
        var low = whole.Binary("Mod", whole.Number(half));
        var high = (whole - low) / half;
        return (
            new Formula(c, Reduce(c, "ReduceSum", high.Value, axes, keep)) * half
            + new Formula(c, Reduce(c, "ReduceSum", low.Value, axes, keep))
        ).Value;
    }

    /// <summary>The largest or smallest element; NaN if there is one.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="what"><c>Max</c> or <c>Min</c>.</param>
    /// <param name="x">The elements.</param>
    /// <param name="axes">Axes, from 0; null for all.</param>
    /// <param name="keep">Whether the axes are kept with size 1.</param>
    public static GraphValue Extreme(LoweringContext c, string what, GraphValue x, long[]? axes, bool keep)
    {
        if (x.Rank == 0)
            return x;
        if (x.Type == ScalarType.Int64)
            return ExtremeOfLongs(c, what, x, axes, keep);
        var extreme = Reduce(c, $"Reduce{what}", x, axes, keep);
        return is_floating_point(x.Type)
            ? Formula.Where(AnyNan(c, x, axes, keep), double.NaN, new Formula(c, extreme)).Value
            : extreme;
    }

    /// <summary>(sum |x|^p)^(1/p)</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">The elements.</param>
    /// <param name="p">Order of the norm; 0 counts non-zero elements, infinities give extremes.</param>
    /// <param name="axes">Axes, from 0; null for all.</param>
    /// <param name="keep">Whether the axes are kept with size 1.</param>
    public static GraphValue Norm(LoweringContext c, GraphValue x, double p, long[]? axes, bool keep)
    {
        if (x.Rank == 0 && p != 0)
            return new Formula(c, x).Abs().Value;
        if (p == 2)
            return Reduce(c, "ReduceL2", x, axes, keep);
        if (p == 1)
            return Reduce(c, "ReduceL1", x, axes, keep);
        var absolute = new Formula(c, x).Abs();
        if (double.IsInfinity(p))
            return Extreme(c, p > 0 ? "Max" : "Min", absolute.Value, axes, keep);
        if (p == 0)
            return c.Cast(
                Reduce(c, "ReduceSum", c.Cast(c.Cast(x, ScalarType.Bool), ScalarType.Int64), axes, keep),
                x.Type
            );
        var sum = new Formula(c, Reduce(c, "ReduceSum", absolute.Binary("Pow", absolute.Number(p)).Value, axes, keep));
        return sum.Binary("Pow", sum.Number(1 / p)).Value;
    }

    /// <summary>
    /// The number of elements along axes (along all if null), as an int64 scalar that the graph computes, because an
    /// axis may be free.
    /// </summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">The value.</param>
    /// <param name="axes">Axes, from 0; null for all.</param>
    public static GraphValue Count(LoweringContext c, GraphValue x, long[]? axes)
    {
        var all = Layout.Sizes(c, x);
        var sizes = axes is null || x.Rank == 0 ? all : c.Node("Gather", ScalarType.Int64, 1, [all, c.Constants(axes)]);
        return Reduce(c, "ReduceProd", sizes, null, keep: false);
    }

    /// <summary>The argument in the dtype in which it is reduced.</summary>
    private static GraphValue X(LoweringContext c) => Pointwise.X(c).Value;

    /// <summary>The axes to reduce, from 0; null for all.</summary>
    private static long[]? Axes(LoweringContext c)
    {
        long[] axes =
        [
            .. (string[])["dim0", "dim1", "dim2"] is var names && c.Has("dim0")
                ? names.Where(name => c.Has(name)).Select(name => c.Integer(0, name))
                : c.Integers(Dims) ?? [],
        ];
        return axes is [] ? null : [.. axes.Select(axis => c.Axis(axis, c.Tensor().Rank))];
    }

    /// <summary>Whether the axes are kept with size 1.</summary>
    private static bool Keep(LoweringContext c) => c.Flag(false, "keepdim", "keepDimension", "keep_dim");

    /// <summary>Whether there may be no elements to reduce, because an axis is free or empty.</summary>
    private static bool MayBeEmpty(LoweringContext c, long[]? axes) =>
        (axes?.Select(axis => (int)axis) ?? Enumerable.Range(0, c.Tensor().Rank)).Any(axis =>
            axis < c.Tensor().Rank && c.FixedSize(c.Tensor(), axis) is null or 0
        );

    /// <summary>Whether there is a NaN among the elements.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">The elements, of a floating-point dtype.</param>
    /// <param name="axes">Axes, from 0; null for all.</param>
    /// <param name="keep">Whether the axes are kept with size 1.</param>
    public static Formula AnyNan(LoweringContext c, GraphValue x, long[]? axes, bool keep)
    {
        var mask = c.Cast(new Formula(c, x).IsNan().Value, ScalarType.Byte);
        return new Formula(c, c.Cast(Reduce(c, "ReduceMax", mask, axes, keep), ScalarType.Bool));
    }

    /// <summary>The elements, with NaN replaced by 0.</summary>
    private static GraphValue WithoutNan(LoweringContext c)
    {
        var input = Pointwise.X(c);
        return input.IsFloat ? Formula.Where(input.IsNan(), 0, input).Value : input.Value;
    }

    /// <summary>sum / n; NaN if there are no elements.</summary>
    private static GraphValue Mean(LoweringContext c)
    {
        var (x, axes, keep) = (X(c), Axes(c), Keep(c));
        if (!MayBeEmpty(c, axes))
            return Reduce(c, "ReduceMean", x, axes, keep);
        return (
            new Formula(c, Reduce(c, "ReduceSum", x, axes, keep)) / new Formula(c, c.Cast(Count(c, x, axes), x.Type))
        ).Value;
    }

    /// <summary>The logarithm of the sum of exp(x); NaN if there is one.</summary>
    private static GraphValue LogSumExp(LoweringContext c)
    {
        var (x, axes, keep) = (X(c), Axes(c), Keep(c));
        return x.Rank == 0
            ? x
            : Formula
                .Where(
                    AnyNan(c, x, axes, keep),
                    double.NaN,
                    new Formula(c, Reduce(c, "ReduceLogSumExp", x, axes, keep))
                )
                .Value;
    }

    // ---- products of integers ------------------------------------------------------------------------------------------------

    /// <summary>The product; integers wrap.</summary>
    private static GraphValue Product(LoweringContext c)
    {
        var (x, axes, keep) = (X(c), Axes(c), Keep(c));
        if (x.Rank == 0)
            return x;
        if (is_floating_point(x.Type))
            return Reduce(c, "ReduceProd", x, axes, keep);
        return axes is [var axis]
            ? ProductOfIntegers(c, x, axis, keep)
            : ProductOfIntegers(c, Ranks.Vector(c, x), 0, keep: false);
    }

    /// <summary>Multiplies the even by the odd elements until one is left, so that integers wrap; ONNX Runtime's
    /// ReduceProd goes through float64.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Integers.</param>
    /// <param name="axis">Axis, from 0.</param>
    /// <param name="keep">Whether the axis is kept with size 1.</param>
    /// <returns>The product; 1 if the axis is empty.</returns>
    private static GraphValue ProductOfIntegers(LoweringContext c, GraphValue x, long axis, bool keep)
    {
        // An additional factor of 1, so that there is an element if the axis is empty.
        var shape = c.Node("Shape", ScalarType.Int64, 1, [x]);
        GraphValue One() =>
            c.Node(
                "Expand",
                x.Type,
                x.Rank,
                [
                    c.Operand(1L, x.Type),
                    c.Node(
                        "ScatterElements",
                        ScalarType.Int64,
                        1,
                        [shape, c.Constant(axis), c.Constant(1)],
                        ("axis", 0L)
                    ),
                ]
            );
        var one = One();
        var value = c.Like("Concat", [x, one], ("axis", axis));
        var isWhole = c.Tensor().Rank == x.Rank;
        var size = isWhole
            ? c.FixedSize(c.Tensor(), (int)axis)
            : Enumerable
                .Range(0, c.Tensor().Rank)
                .Aggregate((long?)1, (product, i) => product * c.FixedSize(c.Tensor(), i));
        // A free axis may have up to 2^20 elements.
        var steps = size is { } known ? (int)Math.Ceiling(Math.Log2(known + 1)) : 20;
        for (var step = 0; step < steps; step++)
        {
            GraphValue Every(long first) =>
                c.Like("Slice", [value, c.Constant(first), c.Constant(long.MaxValue), c.Constant(axis), c.Constant(2)]);
            var even = Every(0);
            var odd = c.Like("Concat", [Every(1), one], ("axis", axis));
            var length = c.Node(
                "Gather",
                ScalarType.Int64,
                1,
                [c.Node("Shape", ScalarType.Int64, 1, [even]), c.Constant(axis)]
            );
            value = c.Like("Mul", [even, c.Like("Slice", [odd, c.Constant(0), length, c.Constant(axis)])]);
        }

        return keep ? value : c.Node("Squeeze", x.Type, x.Rank - 1, [value, c.Constant(axis)]);
    }

    // ---- extremes ------------------------------------------------------------------------------------------------------------

    /// <summary>
    /// The largest or smallest of 64-bit integers, found by its position, because the runtime's own reduction reads
    /// only 32 bits.
    /// </summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="what">Max or Min.</param>
    /// <param name="x">int64.</param>
    /// <param name="axes">Axes, from 0; null for all.</param>
    /// <param name="keep">Whether reduced axes are kept with size 1.</param>
    private static GraphValue ExtremeOfLongs(LoweringContext c, string what, GraphValue x, long[]? axes, bool keep)
    {
        if (axes is null)
        {
            var all = ExtremeOfLongs(c, what, Ranks.Vector(c, x), [0], keep: true);
            return c.Node(
                "Reshape",
                x.Type,
                keep ? x.Rank : 0,
                [all, c.Constants(keep ? [.. Enumerable.Repeat(1L, x.Rank)] : [])]
            );
        }

        foreach (var axis in axes)
            x = c.Like("GatherElements", [x, ArgOf(c, $"Arg{what}", x, axis, keep: true)], ("axis", axis));
        return keep ? x : c.Node("Squeeze", x.Type, x.Rank - axes.Length, [x, c.Constants(axes)]);
    }

    /// <summary>
    /// max and min: over all elements, along an axis with indices, or of two tensors.
    /// </summary>
    private static void ExtremeRule(LoweringContext c, string what)
    {
        if (c.Tensors().Length == 2)
        {
            var (left, right) = Arithmetic.Operands(c, c.ResultType());
            Formula a = new(c, left),
                b = new(c, right);
            c.Result((what == "Max" ? a.Max(b) : a.Min(b)).Value);
            return;
        }

        var (x, axes, keep) = (c.Tensor(), Axes(c), Keep(c));
        c.Result(Extreme(c, what, x, axes, keep));
        if (c.ResultCount == 2)
            c.Result(
                Ranks.AtLeastOne(c, x, value => ArgWithNan(c, $"Arg{what}", value, axes![0], keep || x.Rank == 0)),
                1
            );
    }

    /// <summary>The smallest and the largest element.</summary>
    private static void BothExtremes(LoweringContext c)
    {
        // TorchSharp passes -1 for "no axis", so that its last axis is all of them.
        var (x, axes, keep) = (c.Tensor(), c.Integers(Dims) is [-1] ? null : Axes(c), Keep(c));
        c.Result(Extreme(c, "Min", x, axes, keep));
        c.Result(Extreme(c, "Max", x, axes, keep), 1);
    }

    /// <summary>The position of the first extreme element along an axis.</summary>
    private static GraphValue ArgOf(LoweringContext c, string onnx, GraphValue x, long axis, bool keep) =>
        c.Node(onnx, ScalarType.Int64, keep ? x.Rank : x.Rank - 1, [x], ("axis", axis), ("keepdims", keep ? 1L : 0L));

    /// <summary>The position of the first extreme element, or of the first NaN.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="onnx">ArgMax or ArgMin.</param>
    /// <param name="x">The elements.</param>
    /// <param name="axis">Axis, from 0.</param>
    /// <param name="keep">Whether the axis is kept with size 1.</param>
    public static GraphValue ArgWithNan(LoweringContext c, string onnx, GraphValue x, long axis, bool keep)
    {
        var extreme = ArgOf(c, onnx, x, axis, keep);
        if (!is_floating_point(x.Type))
            return extreme;
        var mask = c.Cast(new Formula(c, x).IsNan().Value, ScalarType.Byte);
        var first = ArgOf(c, "ArgMax", mask, axis, keep);
        return Formula.Where(AnyNan(c, x, [axis], keep), new Formula(c, first), new Formula(c, extreme)).Value;
    }

    /// <summary>argmax and argmin, along an axis or over all elements.</summary>
    private static GraphValue Arg(LoweringContext c, string onnx)
    {
        var input = c.Tensor();
        if (Axes(c) is [var axis])
            return Ranks.AtLeastOne(c, input, value => ArgWithNan(c, onnx, value, axis, Keep(c) || input.Rank == 0));
        return ArgWithNan(c, onnx, Ranks.Vector(c, input), 0, keep: false);
    }

    /// <summary>Whether all, or any, elements are non-zero; for no elements, all is true and any is false.</summary>
    private static GraphValue Logic(LoweringContext c, bool all)
    {
        // Counted in float32, where the count is zero exactly if there are none.
        var input = new Formula(c, c.Cast(c.Tensor(), ScalarType.Bool));
        var count = new Formula(
            c,
            Reduce(c, "ReduceSum", (all ? !input : input).To(ScalarType.Float32).Value, Axes(c), Keep(c))
        );
        return (all ? count.EqualTo(0) : count > 0).Value;
    }

    // ---- spread --------------------------------------------------------------------------------------------------------------

    /// <summary>sum((x - mean)^2) / max(n - correction, 0), in float64.</summary>
    private static Formula Variance(LoweringContext c)
    {
        var input = c.Cast(c.Tensor(), ScalarType.Float64);
        var axes = Axes(c);
        // TorchSharp 0.107 ignores `unbiased` if var has no axes: it always divides by n - 1.
        var isPlainVar =
            c.Method.Name.StartsWith("var", StringComparison.Ordinal) && c.Method.Name != "var_mean" && !c.Has(Dims);
        double correction = c.Flag(true, "unbiased") || isPlainVar ? 1 : 0;
        var deviation = new Formula(c, input) - new Formula(c, Reduce(c, "ReduceMean", input, axes, keep: true));
        var squares = new Formula(c, Reduce(c, "ReduceSum", (deviation * deviation).Value, axes, Keep(c)));
        var count = new Formula(c, c.Cast(Count(c, input, axes), input.Type));
        return squares / (correction == 0 ? count : (count - correction).Max(count.Number(0)));
    }

    /// <summary>A variance or standard deviation and the mean, as two results.</summary>
    private static void WithMean(LoweringContext c, Formula spread)
    {
        c.Result(spread.Value);
        var (x, axes, keep) = (c.Cast(c.Tensor(), ScalarType.Float64), Axes(c), Keep(c));
        var sum = new Formula(c, Reduce(c, "ReduceSum", x, axes, keep));
        c.Result((sum / new Formula(c, c.Cast(Count(c, x, axes), x.Type))).Value, 1);
    }

    /// <summary>The median of all elements; of two middle elements the lower one.</summary>
    private static void Median(LoweringContext c)
    {
        if (c.Has(Dims))
            throw c.Refuse(
                "median over an axis returns indices that TorchSharp does not define for ties. Use sort and an index"
            );
        var input = Ranks.Vector(c, c.Tensor());
        // The lower of the two middle elements: element (n - 1) / 2 in sorted order, the last of the first (n + 1) /
        // 2. For no elements it is NaN, which is appended after the others.
        var count = new Formula(c, c.Node("Reshape", ScalarType.Int64, 1, [Count(c, input, null), c.Constant(1)]));
        var half = ((count + 1) / 2).Max(count.Number(1)).Value;
        var filled =
            is_floating_point(input.Type) && MayBeEmpty(c, null)
                ? c.Like(
                    "Concat",
                    [input, c.Node("Expand", input.Type, 1, [c.Scalar(double.NaN, input.Type), c.Constant(1)])],
                    ("axis", 0L)
                )
                : input;
        var (sorted, _) = Ordering.Sorted(c, filled, half, 0, largest: false);
        var middle = new Formula(c, c.Node("Gather", input.Type, 0, [sorted, c.IntegerScalar(-1)], ("axis", 0L)));
        c.Result(
            middle.IsFloat ? Formula.Where(AnyNan(c, input, null, keep: false), double.NaN, middle).Value : middle.Value
        );
    }

    /// <summary>The sum of the diagonal.</summary>
    private static GraphValue Trace(LoweringContext c)
    {
        var input = X(c);
        var kind = is_floating_point(input.Type) ? ScalarType.Float32 : ScalarType.Int32;
        var diagonal = c.Node("EyeLike", kind, 2, [c.Cast(input, kind)], ("dtype", (long)kind.ToOnnx()));
        var chosen = Formula.Where(new Formula(c, c.Cast(diagonal, ScalarType.Bool)), new Formula(c, input), 0);
        return Sum(c, chosen.Value, null, keep: false);
    }

    // ---- norms ---------------------------------------------------------------------------------------------------------------

    /// <summary>
    /// The order of a norm; null if not given. Nuclear and spectral norms are refused.
    /// </summary>
    private static double? Order(LoweringContext c) =>
        c.Raw("ord") switch
        {
            null => null,
            "fro" => 2,
            long or double => c.Number(2, "ord"),
            var other => throw c.Refuse(
                $"the norm '{other}' needs singular values, for which ONNX has no operator. 'fro' and the "
                    + "orders 1, -1, infinity and -infinity are supported"
            ),
        };

    /// <summary>The norm of a vector, or of a matrix if two axes are given.</summary>
    private static void LinalgNorm(LoweringContext c)
    {
        var axes = Axes(c);
        var isMatrix = axes is { Length: 2 } || (axes is null && c.Tensor().Rank == 2);
        var order = Order(c);
        c.Result(
            order is not null && isMatrix && c.Raw("ord") is not "fro"
                ? MatrixNorm(c, axes ?? [0, 1])
                : Norm(c, X(c), order ?? 2, axes, Keep(c))
        );
    }

    /// <summary>The Frobenius norm, or the largest or smallest sum of a row or column.</summary>
    private static GraphValue MatrixNorm(LoweringContext c, long[] axes)
    {
        if (c.Raw("ord") is null or "fro")
            return Norm(c, X(c), 2, axes, Keep(c));
        var order = Order(c)!.Value;
        if (Math.Abs(order) != 1 && !double.IsInfinity(order))
            throw c.Refuse(
                $"the matrix norm of order {order} needs singular values, for which ONNX has no operator. "
                    + "'fro' and the orders 1, -1, infinity and -infinity are supported; for vectors use "
                    + "vector_norm"
            );
        // Order 1 is the largest sum of a column, infinity the largest sum of a row.
        var (summed, compared) = Math.Abs(order) == 1 ? (axes[0], axes[1]) : (axes[1], axes[0]);
        var sums = Reduce(c, "ReduceL1", X(c), [summed], keep: true);
        var extreme = Extreme(c, order > 0 ? "Max" : "Min", sums, [compared], keep: true);
        // For a matrix with no rows to compare, TorchSharp's norm is 0, but ReduceMax returns the lowest number.
        if (order > 0 && MayBeEmpty(c, [compared]))
        {
            var largest = new Formula(c, extreme);
            extreme = largest.Max(largest.Number(0)).Value;
        }

        return Keep(c) ? extreme : c.Node("Squeeze", extreme.Type, extreme.Rank - 2, [extreme, c.Constants(axes)]);
    }

    /// <summary>The norm of a difference.</summary>
    private static void Distance(LoweringContext c)
    {
        var type = Kernels.Wide(c.ResultType());
        var difference = new Formula(c, c.Cast(c.Tensor(), type)) - new Formula(c, c.Cast(c.Tensor(1), type));
        c.Result(Norm(c, difference.Value, c.Number(2, "p"), null, keep: false));
    }
}
