// Linear layers: y = x W^T + b with W [out, in]. A two-dimensional float32 input becomes Gemm (transB), any other
// MatMul and Add.
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Lowers linear layers.</summary>
internal static class Linears
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        table.Module<Linear>("Gemm; MatMul, Add", Module, "bias");
        table.Operation(
            "linear",
            "Gemm; MatMul, Add",
            c => Lower(c, c.Tensor(), c.Tensor(1), c.OptionalTensor("bias")),
            "bias"
        );
    }

    /// <summary>Linear, with its own weight and bias.</summary>
    private static void Module(LoweringContext c)
    {
        var module = (Linear)c.Module!;
        Lower(
            c,
            c.Tensor(),
            c.Parameter(module.weight, "weight"),
            module.bias is { } bias ? c.Parameter(bias, "bias") : null
        );
    }

    /// <summary>x W^T + b: Gemm for float32 matrices, otherwise MatMul and Add.</summary>
    private static void Lower(LoweringContext c, GraphValue input, GraphValue weight, GraphValue? bias)
    {
        if (input.Rank == 2 && weight.Rank == 2 && c.ResultType() == ScalarType.Float32)
        {
            GraphValue[] inputs = bias is { } b ? [input, weight, b] : [input, weight];
            c.Result(c.Like("Gemm", inputs, ("transB", 1L)));
            return;
        }

        // float16 and bfloat16 are summed in float32 and rounded after the bias is added.
        var type = Kernels.Wide(c.ResultType());
        var transposed = weight.Rank == 2 ? c.Like("Transpose", [weight], ("perm", new[] { 1L, 0L })) : weight;
        var product = new Formula(c, Matrices.MatMul(c, c.Cast(input, type), c.Cast(transposed, type)));
        c.Result(bias is { } added ? (product + new Formula(c, added).To(type)).Value : product.Value);
    }
}
