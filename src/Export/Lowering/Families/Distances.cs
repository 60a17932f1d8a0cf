// Distances.
//   cosine      sum(a b) / (max(|a|, eps) max(|b|, eps)) along dim
//   pairwise    |a - b + eps|_p along the last axis
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Distances
{
    public static void Register(OperatorTable table)
    {
        table.Module<CosineSimilarity>("Mul, ReduceSum, ReduceL2, Max, Div", c => Cosine(c, ((CosineSimilarity)c.Module!).dim, ((CosineSimilarity)c.Module!).eps), "dim, eps");
        table.Operation("cosine_similarity", "Mul, ReduceSum, ReduceL2, Max, Div", c => Cosine(c, c.Integer(1, "dim"), c.Number(1e-8, "eps")), "dim, eps");
        table.Module<PairwiseDistance>("Sub, Add, ReduceL2", c => Pairwise(c, ((PairwiseDistance)c.Module!).norm, ((PairwiseDistance)c.Module!).eps, ((PairwiseDistance)c.Module!).keepdim), "p, eps, keepdim");
        table.Operation("pairwise_distance", "Sub, Add, ReduceL2", c => Pairwise(c, c.Number(2, "p"), c.Number(1e-6, "eps"), c.Flag(false, "keepdim", "keep_dim")), "p, eps, keepdim");
        table.Operation("normalize", "ReduceL2, Max, Div", Normalize, "p, dim, eps");
    }

    private static void Cosine(LoweringContext c, long dim, double eps)
    {
        var (a, b) = (c.Tensor(), c.Tensor(1));
        var rank = Math.Max(a.Rank, b.Rank);
        var axis = c.Axis(dim, rank);
        GraphValue Length(GraphValue value) => c.Node("Max", value.Type, value.Rank - 1, [Reductions.Norm(c, value, 2, [axis - rank + value.Rank], keep: false), c.Scalar(eps, value.Type)]);
        var product = Reductions.Reduce(c, "ReduceSum", c.Node("Mul", a.Type, rank, [a, b]), [axis], keep: false);
        c.Result(c.Node("Div", a.Type, rank - 1, [product, c.Node("Mul", a.Type, rank - 1, [Length(a), Length(b)])]));
    }

    private static void Pairwise(LoweringContext c, double p, double eps, bool keep)
    {
        var (a, b) = (c.Tensor(), c.Tensor(1));
        var rank = Math.Max(a.Rank, b.Rank);
        var difference = c.Node("Add", a.Type, rank, [c.Node("Sub", a.Type, rank, [a, b]), c.Scalar(eps, a.Type)]);
        c.Result(Reductions.Norm(c, difference, p, [rank - 1], keep));
    }

    private static void Normalize(LoweringContext c)
    {
        var x = c.Tensor();
        var length = Reductions.Norm(c, x, c.Number(2, "p"), [c.Axis(c.Integer(1, "dim"), x.Rank)], keep: true);
        c.Result(c.Like("Div", [x, c.Like("Max", [length, c.Scalar(c.Number(1e-12, "eps"), x.Type)])]));
    }
}
