// Reductions over axes. var is sum((x - mean)^2) / (n - correction); norm is (sum |x|^p)^(1/p).
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Reductions
{
    private static readonly string[] Dims = ["dim", "dims", "dimensions", "dimension", "axis"];

    public static void Register(OperatorTable table)
    {
        const string options = "dim, keepdim, dtype";
        table.Operation("sum", "ReduceSum", c => Simple(c, "ReduceSum"), options);
        table.Operation("mean", "ReduceMean", c => Simple(c, "ReduceMean"), options);
        table.Operation("prod", "ReduceProd", c => Simple(c, "ReduceProd"), options);
        table.Operation("amax", "ReduceMax", c => Simple(c, "ReduceMax"), options);
        table.Operation("amin", "ReduceMin", c => Simple(c, "ReduceMin"), options);
        table.Operation("logsumexp", "ReduceLogSumExp", c => Simple(c, "ReduceLogSumExp"), options);
        table.Operation("max", "ReduceMax; Max; ReduceMax, ArgMax", c => Extreme(c, "Max"), "over all, over dim with indices, of two tensors");
        table.Operation("min", "ReduceMin; Min; ReduceMin, ArgMin", c => Extreme(c, "Min"), "over all, over dim with indices, of two tensors");
        table.Operation("argmax", "ArgMax", c => Arg(c, "ArgMax"), "dim, keepdim");
        table.Operation("argmin", "ArgMin", c => Arg(c, "ArgMin"), "dim, keepdim");
        table.Operation("all", "Cast, ReduceMin", c => Logic(c, "ReduceMin"), "dim, keepdim");
        table.Operation("any", "Cast, ReduceMax", c => Logic(c, "ReduceMax"), "dim, keepdim");
        table.Operation("count_nonzero", "Cast, ReduceSum", c => c.Result(Reduce(c, "ReduceSum", c.Cast(c.Cast(c.Tensor(), ScalarType.Bool), ScalarType.Int64), Axes(c), keep: false)), "dim");
        table.Operation("var", "ReduceMean, Sub, Mul, ReduceSum, Div", c => c.Result(Variance(c)), "dim, unbiased, keepdim");
        table.Operation("std", "ReduceMean, Sub, Mul, ReduceSum, Div, Sqrt", c => c.Result(c.Like("Sqrt", [Variance(c)])), "dim, unbiased, keepdim");
        table.Operation("norm", "ReduceL1; ReduceL2; Abs, Pow, ReduceSum", NormRule, "p, dim, keepdim");
        table.Operation("linalg.norm", "ReduceL2", NormRule, "ord 2, dim, keepdim");
        table.Operation("linalg.vector_norm", "ReduceL1; ReduceL2; Abs, Pow, ReduceSum", NormRule, "ord, dim, keepdim");
    }

    /// <summary>Reduces over axes (all where null). The axes are an attribute before opset 18, an input from then on; ReduceSum has taken an input since 13.</summary>
    public static GraphValue Reduce(LoweringContext c, string onnx, GraphValue x, long[]? axes, bool keep)
    {
        var rank = keep ? x.Rank : axes is null ? 0 : x.Rank - axes.Length;
        var attributes = new List<(string, object)> { ("keepdims", keep ? 1L : 0L) };
        var inputs = new List<GraphValue> { x };
        if (axes is not null && (onnx == "ReduceSum" || c.Opset >= 18)) inputs.Add(c.Constants(axes));
        else if (axes is not null) attributes.Add(("axes", axes));
        return c.Node(onnx, x.Type, rank, [.. inputs], [.. attributes]);
    }

    /// <summary>(sum |x|^p)^(1/p)</summary>
    public static GraphValue Norm(LoweringContext c, GraphValue x, double p, long[]? axes, bool keep)
    {
        if (p == 2) return Reduce(c, "ReduceL2", x, axes, keep);
        if (p == 1) return Reduce(c, "ReduceL1", x, axes, keep);
        var absolute = c.Like("Abs", [x]);
        if (double.IsPositiveInfinity(p)) return Reduce(c, "ReduceMax", absolute, axes, keep);
        if (double.IsNegativeInfinity(p)) return Reduce(c, "ReduceMin", absolute, axes, keep);
        if (p == 0) return c.Cast(Reduce(c, "ReduceSum", c.Cast(c.Cast(x, ScalarType.Bool), ScalarType.Int64), axes, keep), x.Type);
        return c.Like("Pow", [Reduce(c, "ReduceSum", c.Like("Pow", [absolute, c.Scalar(p, x.Type)]), axes, keep), c.Scalar(1 / p, x.Type)]);
    }

    private static long[]? Axes(LoweringContext c)
    {
        var axes = c.Integers(Dims);
        return axes is null or [] ? null : [.. axes.Select(axis => c.Axis(axis, c.Tensor().Rank))];
    }

    private static bool Keep(LoweringContext c) => c.Flag(false, "keepdim", "keepDimension", "keep_dim");

    private static void Simple(LoweringContext c, string onnx)
    {
        var x = c.Cast(c.Tensor(), c.ResultType());
        c.Result(x.Rank == 0 ? x : Reduce(c, onnx, x, Axes(c), Keep(c)));
    }

    private static void Extreme(LoweringContext c, string what)
    {
        var x = c.Tensor();
        if (c.Tensors().Length == 2)
        {
            c.Result(c.Node(what, c.ResultType(), c.ResultRank(), [c.Cast(x, c.ResultType()), c.Cast(c.Tensor(1), c.ResultType())]));
            return;
        }

        c.Result(Reduce(c, $"Reduce{what}", x, Axes(c), Keep(c)));
        if (c.ResultCount == 2) c.Result(ArgOf(c, $"Arg{what}", x, Axes(c)![0], Keep(c)), 1);
    }

    private static GraphValue ArgOf(LoweringContext c, string onnx, GraphValue x, long axis, bool keep) =>
        c.Node(onnx, ScalarType.Int64, keep ? x.Rank : x.Rank - 1, [x], ("axis", axis), ("keepdims", keep ? 1L : 0L));

    private static void Arg(LoweringContext c, string onnx)
    {
        var x = c.Tensor();
        if (Axes(c) is [var axis])
        {
            c.Result(ArgOf(c, onnx, x, axis, Keep(c)));
            return;
        }

        var flat = c.Node("Reshape", x.Type, 1, [x, c.Constant(-1)]);
        c.Result(ArgOf(c, onnx, flat, 0, keep: false));
    }

    private static void Logic(LoweringContext c, string onnx)
    {
        var x = c.Cast(c.Cast(c.Tensor(), ScalarType.Bool), ScalarType.Int32);
        c.Result(c.Cast(Reduce(c, onnx, x, Axes(c), Keep(c)), ScalarType.Bool));
    }

    private static GraphValue Variance(LoweringContext c)
    {
        var x = c.Tensor();
        var axes = Axes(c);
        var correction = c.Has("correction") ? c.Number(1, "correction") : c.Flag(true, "unbiased") ? 1 : 0;
        var deviation = c.Like("Sub", [x, Reduce(c, "ReduceMean", x, axes, keep: true)]);
        var squares = c.Like("Mul", [deviation, deviation]);
        if (correction == 0) return Reduce(c, "ReduceMean", squares, axes, Keep(c));
        // n is a size of the input: computed in the graph, because an axis may be free.
        var count = axes is null
            ? c.Node("Size", ScalarType.Int64, 0, [x])
            : Reduce(c, "ReduceProd", c.Node("Gather", ScalarType.Int64, 1, [c.Node("Shape", ScalarType.Int64, 1, [x]), c.Constants(axes)]), null, keep: false);
        var divisor = c.Like("Sub", [c.Cast(count, x.Type), c.Scalar(correction, x.Type)]);
        return c.Like("Div", [Reduce(c, "ReduceSum", squares, axes, Keep(c)), divisor]);
    }

    private static void NormRule(LoweringContext c)
    {
        var x = c.Cast(c.Tensor(), c.ResultType());
        var order = c.Raw("p", "ord") switch
        {
            null => 2,
            "fro" => 2,
            long or double => c.Number(2, "p", "ord"),
            var other => throw c.Refuse($"the norm '{other}'"),
        };
        c.Result(Norm(c, x, order, Axes(c), Keep(c)));
    }
}
