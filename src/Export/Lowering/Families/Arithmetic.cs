// Arithmetic with broadcasting and scalars. The result's dtype is TorchSharp's; operands are cast to it before the node, as
// type promotion does. A scalar becomes a rank-0 initializer of that dtype.
//   remainder  x - floor(x / y) y, the sign of y        fmod  x - trunc(x / y) y, the sign of x
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
        table.Operation("mul", "Mul; And", c => c.Result(c.ResultType() == ScalarType.Bool ? Node(c, "And") : Node(c, "Mul")));
        table.Operation("div", "Div (Floor)", Divide, "rounding_mode");
        table.Operation("floor_divide", "Div, Floor; Mod", c => c.Result(FloorDivide(c)));
        table.Operation("remainder", "Div, Floor, Mul, Sub; Mod", c => c.Result(Remainder(c)));
        table.Operation("fmod", "Mod", c => c.Result(Node(c, "Mod", ("fmod", 1L))));
        table.Operation("pow", "Pow", c => c.Result(Node(c, "Pow")));
        table.Operation("maximum", "Max", c => c.Result(Node(c, "Max")));
        table.Operation("minimum", "Min", c => c.Result(Node(c, "Min")));
        table.Operation("fmax", "Max", c => c.Result(Node(c, "Max")));
        table.Operation("fmin", "Min", c => c.Result(Node(c, "Min")));
        table.Operation("atan2", "Atan, Div, Where", Atan2);
        table.Operation("hypot", "Mul, Add, Sqrt", c => Hypot(c));
        table.Operation("xlogy", "Log, Mul, Where", XLogY);
        table.Operation("lerp", "Sub, Mul, Add", Lerp, "weight: number or tensor");
        table.Operation("addcmul", "Mul, Add", c => AddC(c, "Mul"), "value");
        table.Operation("addcdiv", "Div, Add", c => AddC(c, "Div"), "value");
        table.Operation("as_tensor", "(constant)", c => c.Result(c.Operand(c.Positional[0], c.ResultType())));
    }

    /// <summary>The two operands of a binary operation, of a type.</summary>
    public static (GraphValue Left, GraphValue Right) Operands(LoweringContext c, ScalarType type)
    {
        var operands = c.Positional.Where(argument => argument is ValueRef or long or double or VaryingInteger or VaryingNumber or bool).Take(2).ToArray();
        if (operands.Length < 2) throw c.Refuse("expected two operands");
        return (c.Operand(operands[0], type), c.Operand(operands[1], type));
    }

    private static GraphValue Node(LoweringContext c, string onnx, params (string, object)[] attributes)
    {
        var type = c.ResultType();
        var (left, right) = Operands(c, type);
        return c.Node(onnx, type, c.ResultRank(), [left, right], attributes);
    }

    private static void WithAlpha(LoweringContext c, string onnx)
    {
        var type = c.ResultType();
        if (type == ScalarType.Bool)
        {
            c.Result(onnx == "Add" ? Node(c, "Or") : throw c.Refuse("subtraction of booleans"));
            return;
        }

        var (left, right) = Operands(c, type);
        if (c.Number(1, "alpha") is var alpha && alpha != 1) right = c.Like("Mul", [right, c.Scalar(alpha, type)]);
        c.Result(c.Node(onnx, type, c.ResultRank(), [left, right]));
    }

    private static void Divide(LoweringContext c)
    {
        var type = c.ResultType();
        var mode = c.Text("rounding_mode");
        if (mode is "floor" && !is_floating_point(type))
        {
            c.Result(FloorDivide(c));
            return;
        }

        var quotient = Node(c, "Div");
        c.Result(mode switch
        {
            null => quotient,
            "floor" => c.Like("Floor", [quotient]),
            "trunc" => is_floating_point(type) ? Pointwise.Truncate(c, quotient) : quotient,
            _ => throw c.Refuse($"rounding_mode '{mode}'"),
        });
    }

    private static GraphValue FloorDivide(LoweringContext c)
    {
        var type = c.ResultType();
        if (is_floating_point(type)) return c.Like("Floor", [Node(c, "Div")]);
        // ONNX divides integers towards zero; without the remainder (of the divisor's sign) the division is exact.
        var (left, right) = Operands(c, type);
        var exact = c.Node("Sub", type, c.ResultRank(), [left, c.Node("Mod", type, c.ResultRank(), [left, right])]);
        return c.Node("Div", type, c.ResultRank(), [exact, right]);
    }

    private static GraphValue Remainder(LoweringContext c)
    {
        var type = c.ResultType();
        var (left, right) = Operands(c, type);
        if (!is_floating_point(type)) return c.Node("Mod", type, c.ResultRank(), [left, right]);
        var whole = c.Like("Floor", [c.Node("Div", type, c.ResultRank(), [left, right])]);
        return c.Node("Sub", type, c.ResultRank(), [left, c.Node("Mul", type, c.ResultRank(), [whole, right])]);
    }

    private static void Atan2(LoweringContext c)
    {
        // atan(y / x), half a turn further where x < 0, towards the side of y; a quarter turn where x = 0.
        var type = c.ResultType();
        var rank = c.ResultRank();
        var (y, x) = Operands(c, type);
        GraphValue Compare(string op, GraphValue value) => c.Node(op, ScalarType.Bool, rank, [value, c.Scalar(0, type)]);
        GraphValue Choose(GraphValue mask, GraphValue a, GraphValue b) => c.Node("Where", type, rank, [mask, a, b]);
        var atan = c.Like("Atan", [c.Node("Div", type, rank, [y, x])]);
        var turn = Choose(Compare("Less", y), c.Scalar(-Math.PI, type), c.Scalar(Math.PI, type));
        var left = Choose(Compare("Less", x), c.Node("Add", type, rank, [atan, turn]), atan);
        var sign = c.Like("Sign", [y]);
        c.Result(Choose(Compare("Equal", x), c.Node("Mul", type, rank, [sign, c.Scalar(Math.PI / 2, type)]), left));
    }

    private static void Hypot(LoweringContext c)
    {
        var (a, b) = Operands(c, c.ResultType());
        c.Result(c.Like("Sqrt", [c.Node("Add", c.ResultType(), c.ResultRank(), [c.Like("Mul", [a, a]), c.Like("Mul", [b, b])])]));
    }

    private static void XLogY(LoweringContext c)
    {
        var type = c.ResultType();
        var (x, y) = Operands(c, type);
        var zero = c.Node("Equal", ScalarType.Bool, x.Rank, [x, c.Scalar(0, type)]);
        c.Result(c.Node("Where", type, c.ResultRank(), [zero, c.Scalar(0, type), c.Node("Mul", type, c.ResultRank(), [x, c.Like("Log", [y])])]));
    }

    private static void Lerp(LoweringContext c)
    {
        var type = c.ResultType();
        var rank = c.ResultRank();
        var (start, end) = (c.Operand(c.Positional[0], type), c.Operand(c.Positional[1], type));
        var step = c.Node("Mul", type, rank, [c.Operand(c.Positional[2], type), c.Node("Sub", type, rank, [end, start])]);
        c.Result(c.Node("Add", type, rank, [start, step]));
    }

    private static void AddC(LoweringContext c, string onnx)
    {
        var type = c.ResultType();
        var rank = c.ResultRank();
        var tensors = c.Tensors();
        var product = c.Node(onnx, type, rank, [tensors[1], tensors[2]]);
        if (c.Number(1, "value") is var value && value != 1) product = c.Like("Mul", [product, c.Scalar(value, type)]);
        c.Result(c.Node("Add", type, rank, [tensors[0], product]));
    }
}
