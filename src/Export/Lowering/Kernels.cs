// Which dtypes ONNX Runtime 1.31 has CPU kernels for, by operator; a test asks the runtime itself. If there is no
// kernel:
//   float16, bfloat16  are computed in float32 and rounded once, as TorchSharp does. They are listed only for
//                      operators that move elements. (ONNX Runtime loads float16 nodes without a kernel, but keeps
//                      float32 between two of them: a rounding that TorchSharp makes would be missing.)
//   small integers     are computed in int32 or int64; converting back keeps the low bits, so overflow wraps the same.
//   booleans           are computed as 0 and 1.
//   float64, int64     have no wider type: refused, unless the lowering writes the formula with operators that have
//                      kernels.
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering;

/// <summary>The dtypes that ONNX Runtime's CPU provider has kernels for.</summary>
internal static class Kernels
{
    // f float32, d float64, h float16, g bfloat16, l int64, i int32, s int16, b int8, u uint8, o bool
    /// <summary>All dtypes: for operators that only move elements.</summary>
    private const string All = "fdhglisbuo";

    /// <summary>float32 and float64.</summary>
    private const string Floats = "fd";

    /// <summary>The dtypes that arithmetic has kernels for: without float16, bfloat16 and booleans.</summary>
    private const string Numbers = "fdlisbu";

    /// <summary>
    /// Letters of the supported dtypes of the first data operand, by operator; operators that are not listed are not
    /// checked.
    /// </summary>
    private static readonly Dictionary<string, string> Types = Table(
        (
            All,
            "Concat Flatten Gather GatherElements GatherND Identity Reshape ScatterElements ScatterND "
                + "Shape Slice Split Squeeze Transpose Unsqueeze"
        ),
        ("fdhlisbuo", "Expand"),
        ("fdlisbuo", "Equal Tile"),
        (Numbers, "Add Sub Mul Div Mod Abs Sign Shrink Greater GreaterOrEqual Less LessOrEqual TopK"),
        ("fdlisb", "Neg"),
        ("fdlibu", "ArgMax ArgMin Clip Max Min ReduceMax ReduceMin Where"),
        ("fdlibuo", "Pad"),
        ("fdlio", "Trilu"),
        (
            "fdli",
            "CumSum Einsum EyeLike MatMul Pow ReduceL1 ReduceL2 ReduceLogSumExp ReduceMean ReduceProd ReduceSum ReduceSumSquare"
        ),
        ("fdlis", "Range"),
        ("lisbu", "BitwiseAnd BitwiseNot BitwiseOr BitwiseXor"),
        ("o", "And Not Or Xor"),
        (
            Floats,
            "BatchNormalization Ceil Cos Exp Floor Gemm IsInf IsNaN LayerNormalization Log LogSoftmax "
                + "Reciprocal Relu Round Sigmoid Sin Softmax Sqrt Tanh"
        ),
        (
            "f",
            "Acos Acosh Asin Asinh Atan Atanh AveragePool Celu Conv ConvTranspose Cosh Elu Erf "
                + "GlobalAveragePool GlobalMaxPool GridSample GRU HardSigmoid HardSwish InstanceNormalization "
                + "LeakyRelu LRN LSTM PRelu RNN Selu Sinh Softplus Softsign Tan"
        ),
        ("fl", "OneHot"),
        ("fdbu", "DepthToSpace MaxPool"),
        ("fibu", "Resize")
    );

    /// <summary>The letter of each dtype in <see cref="Types"/>.</summary>
    private static readonly Dictionary<ScalarType, char> Letters = new()
    {
        [ScalarType.Float32] = 'f',
        [ScalarType.Float64] = 'd',
        [ScalarType.Float16] = 'h',
        [ScalarType.BFloat16] = 'g',
        [ScalarType.Int64] = 'l',
        [ScalarType.Int32] = 'i',
        [ScalarType.Int16] = 's',
        [ScalarType.Int8] = 'b',
        [ScalarType.Byte] = 'u',
        [ScalarType.Bool] = 'o',
    };

    /// <summary>Operators whose result is always bool.</summary>
    private static readonly HashSet<string> GiveBooleans =
    [
        "Equal",
        "Greater",
        "GreaterOrEqual",
        "IsInf",
        "IsNaN",
        "Less",
        "LessOrEqual",
    ];

    /// <summary>The operators with the letters of their dtypes, for the test that asks ONNX Runtime.</summary>
    internal static IReadOnlyDictionary<string, string> Known => Types;

    /// <summary>Whether an operator's results have the dtype of its operands.</summary>
    /// <param name="opType">ONNX operator.</param>
    public static bool KeepsType(string opType) => !GiveBooleans.Contains(opType);

    /// <summary>Position of the first operand whose dtype selects the kernel.</summary>
    /// <param name="opType">ONNX operator.</param>
    public static int FirstOperand(string opType) =>
        opType switch
        {
            "Where" => 1,
            "OneHot" => 2,
            _ => 0,
        };

    /// <summary>
    /// The dtype in which an operator is computed for operands of a dtype: their own if there is a kernel; null if no
    /// dtype with a kernel gives the same results.
    /// </summary>
    /// <param name="opType">ONNX operator.</param>
    /// <param name="type">Dtype of the operands.</param>
    public static ScalarType? TypeFor(string opType, ScalarType type)
    {
        if (
            !Types.TryGetValue(opType, out var known)
            || !Letters.TryGetValue(type, out var own)
            || known.Contains(own, StringComparison.Ordinal)
        )
            return type;
        ScalarType[] wider = type switch
        {
            ScalarType.Float16 or ScalarType.BFloat16 => [ScalarType.Float32],
            ScalarType.Bool => [ScalarType.Byte, ScalarType.Int32, ScalarType.Float32],
            ScalarType.Byte or ScalarType.Int8 or ScalarType.Int16 => [ScalarType.Int32, ScalarType.Int64],
            ScalarType.Int32 => [ScalarType.Int64],
            _ => [],
        };
        foreach (var candidate in wider)
        {
            if (known.Contains(Letters[candidate], StringComparison.Ordinal))
                return candidate;
        }

        return null;
    }

    /// <summary>
    /// The dtype in which TorchSharp computes functions of a dtype: float32 for float16 and bfloat16, rounded once at
    /// the end.
    /// </summary>
    /// <param name="type">Any dtype.</param>
    public static ScalarType Wide(ScalarType type) =>
        type is ScalarType.Float16 or ScalarType.BFloat16 ? ScalarType.Float32 : type;

    /// <summary>
    /// Casts a tensor to the dtype in which a result is computed. Integers are cast to the result's own dtype first:
    /// in float16, those above 65,504 become infinite.
    /// </summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="tensor">An argument of the operation.</param>
    public static GraphValue Widen(LoweringContext c, GraphValue tensor)
    {
        var result = c.ResultType();
        return c.Cast(
            !is_floating_point(tensor.Type) && !is_complex(tensor.Type) ? c.Cast(tensor, result) : tensor,
            Wide(result)
        );
    }

    /// <summary>Rounds a number to a dtype, because TorchSharp rounds some options before it computes.</summary>
    /// <param name="number">Any number.</param>
    /// <param name="type">A floating-point dtype; for other dtypes the number is returned unchanged.</param>
    public static double Round(double number, ScalarType type) =>
        type switch
        {
            ScalarType.Float32 => (float)number,
            ScalarType.Float16 => (double)(Half)number,
            ScalarType.BFloat16 => RoundToBFloat16((float)number),
            _ => number,
        };

    /// <summary>The nearest bfloat16, ties to even.</summary>
    private static double RoundToBFloat16(float number)
    {
        if (!float.IsFinite(number))
            return number;
        // Round the upper 16 bits to nearest, ties to even.
        var bits = BitConverter.SingleToInt32Bits(number);
        return BitConverter.Int32BitsToSingle((bits + 0x7FFF + ((bits >> 16) & 1)) & ~0xFFFF);
    }

    /// <summary>Builds the table from rows of dtypes and the operators that support them.</summary>
    private static Dictionary<string, string> Table(params (string Types, string Operators)[] rows) =>
        rows.SelectMany(row => row.Operators.Split(' ').Select(name => (name, row.Types)))
            .ToDictionary(pair => pair.name, pair => pair.Types, StringComparer.Ordinal);
}
