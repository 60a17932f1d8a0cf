// Matrix products. MatMul broadcasts leading axes like torch.matmul, and accepts vectors. float16 and bfloat16 are
// summed in float32, small integers in int32; beta = 0 ignores the addend, even if it is NaN, as TorchSharp does.
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Lowers matrix products, contractions and outer products.</summary>
internal static class Matrices
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        foreach (var name in (string[])["matmul", "mm", "bmm", "mv", "dot", "vdot"])
            table.Operation(name, "MatMul", c => c.Result(MatMul(c, Wide(c, 0), Wide(c, 1))));
        table.Operation("inner", "MatMul, Reshape", Inner);
        table.Operation("linalg.multi_dot", "MatMul", Chain);
        table.Operation("chain_matmul", "MatMul", Chain);
        table.Operation("tensordot", "Transpose, Reshape, MatMul", TensorDot, "dims");
        table.Operation("kron", "Reshape, Mul", Kronecker);
        foreach (var name in (string[])["outer", "ger"])
            table.Operation(name, "Unsqueeze, Mul", c => c.Result(Outer(c, 0)));
        table.Operation(
            "linalg.vecdot",
            "Mul, ReduceSum",
            c =>
                c.Result(
                    Reductions.Reduce(
                        c,
                        "ReduceSum",
                        (new Formula(c, Wide(c, 0)) * new Formula(c, Wide(c, 1))).Value,
                        [c.Axis(c.Integer(-1, "dim"), Math.Max(c.Tensor().Rank, c.Tensor(1).Rank))],
                        keep: false
                    )
                ),
            "dim"
        );
        table.Operation("linalg.cross", "Gather, Mul, Sub", Cross, "dim");
        table.Operation("addmm", "Gemm; MatMul, Mul, Add", AddMm, "beta, alpha");
        table.Operation(
            "addmv",
            "MatMul, Mul, Add",
            c => c.Result(Scaled(c, MatMul(c, Wide(c, 1), Wide(c, 2)))),
            "beta, alpha"
        );
        table.Operation("addr", "Mul, Add", c => c.Result(Scaled(c, Outer(c, 1))), "beta, alpha");
        // TorchSharp multiplies the first two tensors and adds the third, whatever the names of its parameters say.
        table.Operation(
            "baddbmm",
            "MatMul, Mul, Add",
            c => c.Result(Scaled(c, MatMul(c, Wide(c, 0), Wide(c, 1)), addend: 2)),
            "beta, alpha"
        );
        table.Operation(
            "addbmm",
            "MatMul, ReduceSum, Mul, Add",
            c =>
                c.Result(
                    Scaled(c, Reductions.Reduce(c, "ReduceSum", MatMul(c, Wide(c, 1), Wide(c, 2)), [0], keep: false))
                ),
            "beta, alpha"
        );
        table.Operation(
            "einsum",
            "Einsum",
            c =>
                c.Result(
                    c.Node(
                        "Einsum",
                        c.ResultType(),
                        c.ResultRank(),
                        c.Tensors(),
                        ("equation", c.Text("equation")!.Replace(" ", "", StringComparison.Ordinal))
                    )
                ),
            "equation"
        );
        table.Module<Bilinear>("Einsum, Add", BilinearModule, "bias");
        table.Operation("bilinear", "Einsum, Add", c => BilinearRule(c, c.Tensor(2), c.OptionalTensor("bias")), "bias");
    }

    /// <summary>The matrix product of values with the same dtype.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="a">Tensor of rank 1 or more.</param>
    /// <param name="b">Tensor of rank 1 or more.</param>
    public static GraphValue MatMul(LoweringContext c, GraphValue a, GraphValue b)
    {
        // ONNX Runtime rejects an empty batch of vectors, so the vector becomes a matrix with one column.
        if (b.Rank == 1 && a.Rank > 1)
            return Layout.Squeeze(c, MatMul(c, a, Layout.Unsqueeze(c, b, 1)), a.Rank - 1L);
        var rank = (a.Rank, b.Rank) switch
        {
            (1, 1) => 0,
            (1, _) => b.Rank - 1,
            _ => Math.Max(a.Rank, b.Rank),
        };
        return c.Node("MatMul", a.Type, rank, [a, b]);
    }

    /// <summary>A tensor argument in the dtype in which products are summed.</summary>
    private static GraphValue Wide(LoweringContext c, int position) =>
        c.Cast(c.Tensor(position), Kernels.Wide(c.ResultType()));

    /// <summary>A product of several matrices, from left to right.</summary>
    private static void Chain(LoweringContext c)
    {
        var type = Kernels.Wide(c.ResultType());
        c.Result(c.Tensors().Select(tensor => c.Cast(tensor, type)).Aggregate((a, b) => MatMul(c, a, b)));
    }

    /// <summary>Sums of products over the last axis of both.</summary>
    private static void Inner(LoweringContext c)
    {
        var (a, b) = (Wide(c, 0), Wide(c, 1));
        if (a.Rank == 0 || b.Rank == 0)
            c.Result((new Formula(c, a) * new Formula(c, b)).Value);
        else
            c.Result(Contract(c, a, b, [a.Rank - 1L], [b.Rank - 1L]));
    }

    /// <summary>Sums of products over pairs of axes, given by a number or two lists.</summary>
    private static void TensorDot(LoweringContext c)
    {
        var (a, b) = (Wide(c, 0), Wide(c, 1));
        long[] first,
            second;
        if (c.Raw("dims1") is not null)
            (first, second) = (c.Integers("dims1")!, c.Integers("dims2")!);
        else if (c.Raw("dims") is object?[] pairs)
            (first, second) = (
                [.. pairs.Cast<object?[]>().Select(pair => (long)pair[0]!)],
                [.. pairs.Cast<object?[]>().Select(pair => (long)pair[1]!)]
            );
        else
        {
            var count = (int)c.Integer(2, "dims");
            (first, second) = (
                [.. Enumerable.Range(a.Rank - count, count).Select(axis => (long)axis)],
                [.. Enumerable.Range(0, count).Select(axis => (long)axis)]
            );
        }

        c.Result(
            Contract(
                c,
                a,
                b,
                [.. first.Select(axis => c.Axis(axis, a.Rank))],
                [.. second.Select(axis => c.Axis(axis, b.Rank))]
            )
        );
    }

    /// <summary>Sums products over pairs of axes; the result has the remaining axes of the first, then of the second
    /// operand.</summary>
    private static GraphValue Contract(LoweringContext c, GraphValue a, GraphValue b, long[] first, long[] second)
    {
        static long[] Rest(int rank, long[] axes) =>
            [.. Enumerable.Range(0, rank).Select(axis => (long)axis).Except(axes)];
        var (restA, restB) = (Rest(a.Rank, first), Rest(b.Rank, second));
        var left = Layout.Reshape(
            c,
            Layout.Permute(c, a, [.. restA, .. first]),
            Layout.Concat(c, 0, Layout.Product(c, a, restA), Layout.Product(c, a, first)),
            2
        );
        var right = Layout.Reshape(
            c,
            Layout.Permute(c, b, [.. second, .. restB]),
            Layout.Concat(c, 0, Layout.Product(c, b, second), Layout.Product(c, b, restB)),
            2
        );
        return Layout.Reshape(
            c,
            MatMul(c, left, right),
            c.SizeVector(LoweringContext.ToSizes(c.ResultSizes())),
            restA.Length + restB.Length
        );
    }

    /// <summary>Multiplies every element of one tensor by the whole other tensor.</summary>
    private static void Kronecker(LoweringContext c)
    {
        // Axis i of the result combines axis i of the first and of the second tensor.
        var rank = c.ResultRank();
        var (a, b) = (
            Layout.InFront(c, c.Cast(c.Tensor(), c.ResultType()), rank),
            Layout.InFront(c, c.Cast(c.Tensor(1), c.ResultType()), rank)
        );
        var spreadA = Layout.Unsqueeze(c, a, [.. Enumerable.Range(0, rank).Select(axis => (2L * axis) + 1)]);
        var spreadB = Layout.Unsqueeze(c, b, [.. Enumerable.Range(0, rank).Select(axis => 2L * axis)]);
        c.Result(
            Layout.Reshape(
                c,
                (new Formula(c, spreadA) * new Formula(c, spreadB)).Value,
                c.SizeVector(LoweringContext.ToSizes(c.ResultSizes())),
                rank
            )
        );
    }

    /// <summary>The outer product of two vectors, of which the first is the argument at a position.</summary>
    private static GraphValue Outer(LoweringContext c, int position)
    {
        var (column, row) = (
            new Formula(c, Layout.Unsqueeze(c, Wide(c, position), 1)),
            new Formula(c, Layout.Unsqueeze(c, Wide(c, position + 1), 0))
        );
        return (column.Type == ScalarType.Bool ? column & row : column * row).Value;
    }

    /// <summary>The cross product of three-dimensional vectors along an axis.</summary>
    private static void Cross(LoweringContext c)
    {
        var axis = c.Axis(c.Integer(-1, "dim"), c.ResultRank());
        Formula Turned(int position, params long[] order) =>
            new(
                c,
                Layout.Gather(c, Wide(c, position), c.Constants(order), axis - c.ResultRank() + c.Tensor(position).Rank)
            );
        c.Result((Turned(0, 1, 2, 0) * Turned(1, 2, 0, 1) - Turned(0, 2, 0, 1) * Turned(1, 1, 2, 0)).Value);
    }

    /// <summary>beta x + alpha (a b): Gemm for float32.</summary>
    private static void AddMm(LoweringContext c)
    {
        var (alpha, beta) = (c.Number(1, "alpha"), c.Number(1, "beta"));
        if (c.ResultType() == ScalarType.Float32 && beta != 0)
            c.Result(
                c.Node(
                    "Gemm",
                    ScalarType.Float32,
                    2,
                    [c.Tensor(1), c.Tensor(2), c.Tensor()],
                    ("alpha", (float)alpha),
                    ("beta", (float)beta)
                )
            );
        else
            c.Result(Scaled(c, MatMul(c, Wide(c, 1), Wide(c, 2))));
    }

    /// <summary>beta x + alpha p for a product p; beta = 0 ignores x, even if it is NaN.</summary>
    /// <param name="c">The operation.</param>
    /// <param name="product">p.</param>
    /// <param name="addend">Which of the operation's tensors is x.</param>
    private static GraphValue Scaled(LoweringContext c, GraphValue product, int addend = 0)
    {
        var sum = new Formula(c, product);
        if (c.Number(1, "alpha") is var alpha && alpha != 1)
            sum *= alpha;
        if (c.Number(1, "beta") is var beta && beta == 0)
            return sum.Value;
        var input = new Formula(c, Wide(c, addend));
        return (beta == 1 ? input + sum : input * beta + sum).Value;
    }

    /// <summary>Bilinear, with its own weight and bias.</summary>
    private static void BilinearModule(LoweringContext c)
    {
        var module = (Bilinear)c.Module!;
        BilinearRule(
            c,
            c.Parameter(module.weight, "weight"),
            module.bias is { } bias ? c.Parameter(bias, "bias") : null
        );
    }

    /// <summary>x1^T W x2 + b for each output.</summary>
    private static void BilinearRule(LoweringContext c, GraphValue weight, GraphValue? bias)
    {
        var type = Kernels.Wide(c.ResultType());
        var product = new Formula(
            c,
            c.Node(
                "Einsum",
                type,
                c.ResultRank(),
                [Wide(c, 0), c.Cast(weight, type), Wide(c, 1)],
                ("equation", "...i,oij,...j->...o")
            )
        );
        c.Result(bias is { } added ? (product + new Formula(c, added).To(type)).Value : product.Value);
    }
}
