// Distances.
//   cosine      sum(a / max(|a|, eps) b / max(|b|, eps)) along dim, both broadcast first
//   pairwise    |a - b + eps|_p along the last axis
//   cdist       |a_i - b_j|_p of all pairs of rows; for p = 2 and more than 25 rows sqrt(|a|^2 + |b|^2 - 2 a b), as
// TorchSharp does
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Lowers distances and similarities of vectors along an axis.</summary>
internal static class Distances
{
    /// <summary>Enters the rows of this family.</summary>
    /// <param name="table">Is extended.</param>
    public static void Register(OperatorTable table)
    {
        table.Module<CosineSimilarity>(
            "Mul, ReduceSum, ReduceL2, Max, Div",
            c => c.Result(Cosine(c, ((CosineSimilarity)c.Module!).dim, ((CosineSimilarity)c.Module!).eps)),
            "dim, eps"
        );
        table.Operation(
            "cosine_similarity",
            "Mul, ReduceSum, ReduceL2, Max, Div",
            c => c.Result(Cosine(c, c.Integer(1, "dim"), c.Number(1e-8, "eps"))),
            "dim, eps"
        );
        table.Module<PairwiseDistance>(
            "Sub, Add, ReduceL2",
            c =>
                Pairwise(
                    c,
                    ((PairwiseDistance)c.Module!).norm,
                    ((PairwiseDistance)c.Module!).eps,
                    ((PairwiseDistance)c.Module!).keepdim
                ),
            "p, eps, keepdim"
        );
        table.Operation(
            "pairwise_distance",
            "Sub, Add, ReduceL2",
            c => Pairwise(c, c.Number(2, "p"), c.Number(1e-6, "eps"), c.Flag(false, "keepdim", "keep_dim")),
            "p, eps, keepdim"
        );
        table.Operation("cdist", "Unsqueeze, Sub, ReduceL2; MatMul, Sqrt", AllPairs, "p, compute_mode");
        table.Operation("normalize", "ReduceL2, Max, Div", Normalize, "p, dim, eps");
    }

    /// <summary>A tensor argument in the dtype in which it is computed.</summary>
    private static Formula Argument(LoweringContext c, int position) =>
        new(c, c.Cast(c.Tensor(position), Kernels.Wide(c.ResultType())));

    /// <summary>The least length, as TorchSharp has it: in the tensors' own dtype, where float16 makes 1e-8 zero, and
    /// a vector of zeros has no direction.</summary>
    private static double Least(LoweringContext c, double eps) =>
        c.ResultType() == ScalarType.Float16 ? (double)(Half)eps : eps;

    /// <summary>
    /// The cosine of the angle between vectors along an axis, their lengths at least eps.
    /// </summary>
    private static GraphValue Cosine(LoweringContext c, long dim, double eps)
    {
        var (x, y) = (Argument(c, 0), Argument(c, 1));
        var rank = Math.Max(x.Value.Rank, y.Value.Rank);
        var axis = c.Axis(dim, rank);
        // Expand broadcasts both ways.
        Formula Wide(Formula value, Formula other) =>
            new(c, Layout.Expand(c, value.Value, Layout.Sizes(c, other.Value), rank));
        if (
            c.SizesOf(c.Tensor())
                .Zip(c.SizesOf(c.Tensor(1)))
                .Any(pair => !pair.First.AsSpan().SequenceEqual(pair.Second))
        )
            (x, y) = (Wide(x, y), Wide(y, x));
        Formula Unit(Formula value)
        {
            var length = new Formula(c, Reductions.Norm(c, value.Value, 2, [axis], keep: true));
            return value / length.Max(length.Number(Least(c, eps)));
        }

        return Reductions.Reduce(c, "ReduceSum", (Unit(x) * Unit(y)).Value, [axis], keep: false);
    }

    /// <summary>The distance of vectors along the last axis.</summary>
    private static void Pairwise(LoweringContext c, double p, double eps, bool keep) =>
        c.Result(PairwiseOf(c, c.Tensor(), c.Tensor(1), p, eps, keep));

    /// <summary>|a - b + eps|_p along the last axis.</summary>
    /// <param name="c">Where the nodes are written.</param>
    /// <param name="a">Vectors along the last axis.</param>
    /// <param name="b">As many, or one.</param>
    /// <param name="p">Order of the norm.</param>
    /// <param name="eps">Added to every difference.</param>
    /// <param name="keep">Whether the last axis stays, with size 1.</param>
    public static GraphValue PairwiseOf(LoweringContext c, GraphValue a, GraphValue b, double p, double eps, bool keep)
    {
        // The difference is rounded in the dtype of both.
        var common = promote_types(a.Type, b.Type);
        var wide = Kernels.Wide(is_floating_point(common) ? common : ScalarType.Float32);
        var difference = (new Formula(c, c.Cast(a, common)) - new Formula(c, c.Cast(b, common))).To(wide) + eps;
        return Reductions.Norm(c, difference.Value, p, [difference.Value.Rank - 1], keep);
    }

    /// <summary>Distances of every row of one matrix to every row of another.</summary>
    private static void AllPairs(LoweringContext c)
    {
        var order = c.Number(2, "p");
        var (a, b) = (Argument(c, 0), Argument(c, 1));
        var isLarge = new[] { c.Tensor(), c.Tensor(1) }.Any(value => c.SizesOf(value).All(shape => shape[^2] > 25));
        var byProducts = c.Text("compute_mode") switch
        {
            "use_mm_for_euclid_dist" => true,
            "donot_use_mm_for_euclid_dist" => false,
            _ => isLarge,
        };
        if (order == 2 && byProducts)
        {
            Formula Squares(Formula rows) =>
                new(c, Reductions.Reduce(c, "ReduceSum", (rows * rows).Value, [rows.Value.Rank - 1], keep: true));
            var transposed = new Formula(c, Layout.Swap(c, b.Value, b.Value.Rank - 2, b.Value.Rank - 1));
            var squaresOfB = new Formula(c, Layout.Swap(c, Squares(b).Value, b.Value.Rank - 2, b.Value.Rank - 1));
            var squares = Squares(a) + squaresOfB - 2 * new Formula(c, Matrices.MatMul(c, a.Value, transposed.Value));
            c.Result(squares.Max(squares.Number(0)).Apply("Sqrt").Value);
            return;
        }

        var difference =
            new Formula(c, Layout.Unsqueeze(c, a.Value, a.Value.Rank - 1L))
            - new Formula(c, Layout.Unsqueeze(c, b.Value, b.Value.Rank - 2L));
        long[] last = [difference.Value.Rank - 1];
        // Of order infinity, a difference that is NaN is not the largest, whatever the others are.
        if (double.IsPositiveInfinity(order))
            difference = Formula.Where(difference.IsNan(), 0, difference);
        var distance = Reductions.Norm(c, difference.Value, order, last, keep: false);
        // Elsewhere NaN counts as a number that is not 0; here TorchSharp takes the smaller of it and 1, which is NaN.
        c.Result(
            order == 0
                ? Formula
                    .Where(
                        Reductions.AnyNan(c, difference.Value, last, keep: false),
                        double.NaN,
                        new Formula(c, distance)
                    )
                    .Value
                : distance
        );
    }

    /// <summary>Vectors along an axis divided by their length, which is at least eps.</summary>
    private static void Normalize(LoweringContext c)
    {
        var vectors = Argument(c, 0);
        if (vectors.Value.Rank == 0)
            vectors = new Formula(c, Ranks.Vector(c, vectors.Value));
        var length = new Formula(
            c,
            Reductions.Norm(
                c,
                vectors.Value,
                c.Number(2, "p"),
                [c.Axis(c.Integer(1, "dim"), vectors.Value.Rank)],
                keep: true
            )
        );
        var unit = vectors / length.Max(length.Number(Least(c, c.Number(1e-12, "eps"))));
        c.Result(c.ResultRank() == 0 ? Layout.Reshape(c, unit.Value, c.Constants([]), 0) : unit.Value);
    }
}
