using System.Reflection;

namespace TorchBridge.Export.Capture;

/// <summary>
/// Names of TorchSharp's operations: operators, methods with and without a trailing underscore, and functions with
/// the same meaning share one name.
/// </summary>
internal static class OperationName
{
    /// <summary>Functions of torch.special that also exist in torch.</summary>
    private static readonly HashSet<string> SharedWithSpecial = new(StringComparer.Ordinal)
    {
        "erf",
        "erfc",
        "log1p",
        "expm1",
        "exp2",
        "round",
        "sinc",
        "logsumexp",
        "softmax",
        "log_softmax",
        "sigmoid",
        "logit",
    };

    /// <summary>The name of a method's operation.</summary>
    /// <param name="method">Method of TorchSharp.</param>
    public static string Of(MethodBase method)
    {
        var name = method.Name switch
        {
            "op_Addition" => "add",
            "op_Subtraction" => "sub",
            "op_Multiply" => "mul",
            "op_Division" => "div",
            "op_Modulus" => "remainder",
            "op_UnaryNegation" => "neg",
            "op_GreaterThan" => "gt",
            "op_GreaterThanOrEqual" => "ge",
            "op_LessThan" => "lt",
            "op_LessThanOrEqual" => "le",
            "op_Equality" => "eq",
            "op_Inequality" => "ne",
            "op_BitwiseAnd" => "bitwise_and",
            "op_BitwiseOr" => "bitwise_or",
            "op_ExclusiveOr" => "bitwise_xor",
            "op_OnesComplement" => "bitwise_not",
            "op_LogicalNot" => "logical_not",
            "op_LeftShift" => "bitwise_left_shift",
            "op_RightShift" => "bitwise_right_shift",
            "op_Implicit" or "op_Explicit" => "as_tensor",
            "get_Item" or "get_TensorItems" => "index",
            "set_Item" or "set_TensorItems" => "index_put",
            "get_T" or "get_mT" => method.Name[4..],
            var other when other.StartsWith("get_", StringComparison.Ordinal) => other[4..],
            var other => other,
        };
        if (name.Length > 1 && name.EndsWith('_'))
            name = name[..^1];
        name = name switch
        {
            "subtract" => "sub",
            "multiply" => "mul",
            "divide" or "true_divide" => "div",
            "negative" => "neg",
            "greater" => "gt",
            "greater_equal" => "ge",
            "less" => "lt",
            "less_equal" => "le",
            "not_equal" => "ne",
            "absolute" => "abs",
            "concat" or "concatenate" => "cat",
            "swapaxes" or "swapdims" => "transpose",
            "moveaxis" => "movedim",
            "clip" => "clamp",
            "fix" => "trunc",
            "floor_div" => "floor_divide",
            "arccos" => "acos",
            "arcsin" => "asin",
            "arctan" => "atan",
            "arccosh" => "acosh",
            "arcsinh" => "asinh",
            "arctanh" => "atanh",
            "matrix_transpose" => "mT",
            "arctan2" => "atan2",
            "row_stack" => "vstack",
            _ => name,
        };
        return method.DeclaringType?.Name switch
        {
            "special" => name is "expit" ? "sigmoid"
            : SharedWithSpecial.Contains(name) ? name
            : "special." + name,
            "fft" => "fft." + name,
            "linalg" => name is "matmul" ? name : "linalg." + name,
            _ => name,
        };
    }
}
