// Order and running sums.
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Ordering
{
    public static void Register(OperatorTable table)
    {
        table.Operation("topk", "TopK", c => TopK(c, c.Constant(c.Integer(1, "k")), c.Flag(true, "largest"), c.Flag(true, "sorted")), "k, dim, largest, sorted");
        table.Operation("sort", "Shape, Gather, TopK", c => Sort(c), "dim, descending");
        table.Operation("argsort", "Shape, Gather, TopK", c => Sort(c), "dim, descending");
        table.Operation("cumsum", "CumSum", c => c.Result(c.Like("CumSum", [c.Cast(c.Tensor(), c.ResultType()), c.IntegerScalar(c.Axis(c.Integer(0, "dim"), c.Tensor().Rank))])), "dim");
        table.Operation("triu", "Trilu", c => c.Result(c.Like("Trilu", [c.Tensor(), c.IntegerScalar(c.Integer(0, "diagonal"))], ("upper", 1L))), "diagonal");
        table.Operation("tril", "Trilu", c => c.Result(c.Like("Trilu", [c.Tensor(), c.IntegerScalar(c.Integer(0, "diagonal"))], ("upper", 0L))), "diagonal");
    }

    private static void TopK(LoweringContext c, GraphValue k, bool largest, bool sorted, bool onlyIndices = false)
    {
        var x = c.Tensor();
        var axis = c.Axis(c.Integer(-1, "dim"), x.Rank);
        var (values, indices) = c.Nodes("TopK", [(x.Type, x.Rank), (ScalarType.Int64, x.Rank)], [x, k], ("axis", axis), ("largest", largest ? 1L : 0L), ("sorted", sorted ? 1L : 0L)) is [var v, var i] ? (v, i) : throw new InvalidOperationException();
        if (onlyIndices)
        {
            c.Result(indices);
            return;
        }

        c.Result(values);
        c.Result(indices, 1);
    }

    private static void Sort(LoweringContext c)
    {
        var x = c.Tensor();
        var axis = c.Axis(c.Integer(-1, "dim"), x.Rank);
        var size = c.Node("Gather", ScalarType.Int64, 1, [c.Node("Shape", ScalarType.Int64, 1, [x]), c.Constant(axis)]);
        TopK(c, size, c.Flag(false, "descending"), sorted: true, onlyIndices: c.ResultCount == 1);
    }
}
