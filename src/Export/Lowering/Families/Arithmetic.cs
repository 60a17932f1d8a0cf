// Arithmetic with broadcasting and scalars. The result's dtype is TorchSharp's; operands are cast to it before the node, as
// type promotion does. A scalar becomes a rank-0 initializer of that dtype.
using TorchBridge.Export.Capture;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Arithmetic
{
    public static void Register(OperatorTable table)
    {
        table.Operation("add", "Add (Mul)", c => WithAlpha(c, "Add"), "alpha");
        table.Operation("sub", "Sub (Mul)", c => WithAlpha(c, "Sub"), "alpha");
        table.Operation("mul", "Mul", c => Binary(c, "Mul"));
        table.Operation("div", "Div (Floor)", Divide, "rounding_mode");
    }

    /// <summary>The two operands of a binary operation, of the result's type.</summary>
    public static (GraphValue Left, GraphValue Right) Operands(LoweringContext c, ScalarType type)
    {
        var tensorsAndNumbers = c.Positional.Where(argument => argument is ValueRef or long or double or VaryingInteger or VaryingNumber or bool).Take(2).ToArray();
        if (tensorsAndNumbers.Length < 2) throw c.Refuse("expected two operands");
        return (c.Operand(tensorsAndNumbers[0], type), c.Operand(tensorsAndNumbers[1], type));
    }

    public static void Binary(LoweringContext c, string onnx)
    {
        var type = c.ResultType();
        var (left, right) = Operands(c, type);
        if (type == ScalarType.Bool) throw c.Refuse("arithmetic on booleans; use logical_and, logical_or");
        c.Result(c.Node(onnx, type, c.ResultRank(), [left, right]));
    }

    private static void WithAlpha(LoweringContext c, string onnx)
    {
        var type = c.ResultType();
        var (left, right) = Operands(c, type);
        if (type == ScalarType.Bool) throw c.Refuse("arithmetic on booleans; use logical_and, logical_or");
        if (c.Has("alpha") && c.Number(1, "alpha") is var alpha && alpha != 1) right = c.Like("Mul", [right, c.Scalar(alpha, type)]);
        c.Result(c.Node(onnx, type, c.ResultRank(), [left, right]));
    }

    private static void Divide(LoweringContext c)
    {
        var type = c.ResultType();
        var (left, right) = Operands(c, type);
        var quotient = c.Node("Div", type, c.ResultRank(), [left, right]);
        switch (c.Text("rounding_mode"))
        {
            case null: c.Result(quotient); break;
            case "floor" when is_floating_point(type): c.Result(c.Like("Floor", [quotient])); break;
            case "trunc" when !is_floating_point(type): c.Result(quotient); break;
            case "trunc": c.Result(Pointwise.Truncate(c, quotient)); break;
            case var mode: throw c.Refuse($"rounding_mode '{mode}' of {type}");
        }
    }
}
