// Matrix products. MatMul broadcasts leading axes as torch.matmul does, and takes vectors.
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Matrices
{
    public static void Register(OperatorTable table)
    {
        foreach (var name in (string[])["matmul", "mm", "bmm", "mv", "dot", "inner"]) table.Operation(name, "MatMul", c => c.Result(name == "inner" && c.Tensor(1).Rank > 1 ? Inner(c) : MatMul(c, c.Tensor(), c.Tensor(1), c.ResultRank())));
        table.Operation("outer", "Unsqueeze, Mul", Outer);
        table.Operation("addmm", "Gemm", AddMm, "beta, alpha");
        table.Operation("addmv", "MatMul, Mul, Add", c => c.Result(Scaled(c, MatMul(c, c.Tensor(1), c.Tensor(2), 1))), "beta, alpha");
        table.Operation("einsum", "Einsum", c => c.Result(c.Node("Einsum", c.ResultType(), c.ResultRank(), c.Tensors(), ("equation", c.Text("equation")!.Replace(" ", "", StringComparison.Ordinal)))), "equation");
        table.Module<Bilinear>("Einsum, Add", BilinearModule, "bias");
        table.Operation("bilinear", "Einsum, Add", c => BilinearRule(c, c.Tensor(2), c.OptionalTensor("bias")), "bias");
    }

    /// <summary>A product of the first's type.</summary>
    public static GraphValue MatMul(LoweringContext c, GraphValue a, GraphValue b, int rank) => c.Node("MatMul", a.Type, rank, [a, b]);

    private static GraphValue Inner(LoweringContext c)
    {
        var b = c.Tensor(1);
        var perm = Enumerable.Range(0, b.Rank).Select(axis => (long)axis).ToArray();
        (perm[^1], perm[^2]) = (perm[^2], perm[^1]);
        return b.Rank == 2 ? MatMul(c, c.Tensor(), c.Like("Transpose", [b], ("perm", perm)), c.ResultRank()) : throw c.Refuse("inner of tensors with more than two axes; use einsum");
    }

    private static void Outer(LoweringContext c) =>
        c.Result(c.Node("Mul", c.ResultType(), 2, [c.Node("Unsqueeze", c.ResultType(), 2, [c.Cast(c.Tensor(), c.ResultType()), c.Constant(1)]), c.Node("Unsqueeze", c.ResultType(), 2, [c.Cast(c.Tensor(1), c.ResultType()), c.Constant(0)])]));

    private static void AddMm(LoweringContext c) =>
        c.Result(c.Node("Gemm", c.ResultType(), 2, [c.Tensor(1), c.Tensor(2), c.Tensor()], ("alpha", (float)c.Number(1, "alpha")), ("beta", (float)c.Number(1, "beta"))));

    private static GraphValue Scaled(LoweringContext c, GraphValue product)
    {
        var input = c.Tensor();
        if (c.Number(1, "alpha") is var alpha && alpha != 1) product = c.Like("Mul", [product, c.Scalar(alpha, product.Type)]);
        if (c.Number(1, "beta") is var beta && beta != 1) input = c.Like("Mul", [input, c.Scalar(beta, product.Type)]);
        return c.Node("Add", product.Type, c.ResultRank(), [input, product]);
    }

    private static void BilinearModule(LoweringContext c)
    {
        var module = (Bilinear)c.Module!;
        BilinearRule(c, c.Parameter(module.weight, "weight"), module.bias is { } bias ? c.Parameter(bias, "bias") : null);
    }

    private static void BilinearRule(LoweringContext c, GraphValue weight, GraphValue? bias)
    {
        var product = c.Node("Einsum", c.ResultType(), c.ResultRank(), [c.Tensor(), weight, c.Tensor(1)], ("equation", "...i,oij,...j->...o"));
        c.Result(bias is { } added ? c.Like("Add", [product, added]) : product);
    }
}
