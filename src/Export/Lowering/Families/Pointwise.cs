// Functions of one tensor, element by element. An integer argument of a function that gives floats is cast first, as TorchSharp does.
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Pointwise
{
    private static readonly (string Name, string Onnx)[] Direct =
    [
        ("abs", "Abs"), ("acos", "Acos"), ("acosh", "Acosh"), ("asin", "Asin"), ("asinh", "Asinh"), ("atan", "Atan"), ("atanh", "Atanh"), ("cos", "Cos"), ("cosh", "Cosh"),
        ("erf", "Erf"), ("exp", "Exp"), ("log", "Log"), ("neg", "Neg"), ("reciprocal", "Reciprocal"), ("sign", "Sign"), ("sin", "Sin"), ("sinh", "Sinh"), ("sqrt", "Sqrt"), ("tan", "Tan"),
    ];

    public static void Register(OperatorTable table)
    {
        foreach (var (name, onnx) in Direct) table.Operation(name, onnx, c => c.Result(c.Like(onnx, [X(c)])));
        foreach (var (name, onnx) in ((string, string)[])[("ceil", "Ceil"), ("floor", "Floor"), ("round", "Round")]) table.Operation(name, onnx, c => Rounding(c, onnx), name == "round" ? "decimals" : "");
        table.Operation("trunc", "Sign, Abs, Floor, Mul", c => c.Result(IsFloat(c) ? Truncate(c, X(c)) : X(c)));
        table.Operation("frac", "Sub", c => c.Result(c.Like("Sub", [X(c), Truncate(c, X(c))])));
        table.Operation("rsqrt", "Sqrt, Reciprocal", c => c.Result(c.Like("Reciprocal", [c.Like("Sqrt", [X(c)])])));
        table.Operation("square", "Mul", c => c.Result(c.Like("Mul", [X(c), X(c)])));
        table.Operation("log2", "Log, Div", c => c.Result(c.Like("Div", [c.Like("Log", [X(c)]), Number(c, Math.Log(2))])));
        table.Operation("log10", "Log, Div", c => c.Result(c.Like("Div", [c.Like("Log", [X(c)]), Number(c, Math.Log(10))])));
        table.Operation("log1p", "Add, Log", c => c.Result(c.Like("Log", [c.Like("Add", [X(c), Number(c, 1)])])));
        table.Operation("expm1", "Exp, Sub", c => c.Result(c.Like("Sub", [c.Like("Exp", [X(c)]), Number(c, 1)])));
        table.Operation("exp2", "Pow", c => c.Result(c.Node("Pow", c.ResultType(), X(c).Rank, [Number(c, 2), X(c)])));
        table.Operation("erfc", "Erf, Sub", c => c.Result(c.Node("Sub", c.ResultType(), X(c).Rank, [Number(c, 1), c.Like("Erf", [X(c)])])));
        table.Operation("deg2rad", "Mul", c => c.Result(c.Like("Mul", [X(c), Number(c, Math.PI / 180)])));
        table.Operation("rad2deg", "Mul", c => c.Result(c.Like("Mul", [X(c), Number(c, 180 / Math.PI)])));
        table.Operation("isnan", "IsNaN", c => c.Result(c.Node("IsNaN", ScalarType.Bool, c.Tensor().Rank, [c.Tensor()])));
        table.Operation("isinf", "IsInf", c => c.Result(c.Node("IsInf", ScalarType.Bool, c.Tensor().Rank, [c.Tensor()])));
        table.Operation("isfinite", "IsNaN, IsInf, Or, Not", IsFinite);
        table.Operation("clamp", "Clip; Max, Min", Clamp, "min, max; numbers or tensors");
        table.Operation("clamp_min", "Max", c => c.Result(c.Node("Max", c.ResultType(), c.ResultRank(), [X(c), c.Operand(c.Positional[1], c.ResultType())])));
        table.Operation("clamp_max", "Min", c => c.Result(c.Node("Min", c.ResultType(), c.ResultRank(), [X(c), c.Operand(c.Positional[1], c.ResultType())])));
        table.Operation("nan_to_num", "IsNaN, IsInf, Where", NanToNum, "nan, posinf, neginf");
        foreach (var name in (string[])["to", "to_type", "type", "type_as"]) table.Operation(name, "Cast", c => c.Result(c.Tensor()), "dtype");
        foreach (var name in (string[])["float", "half", "double", "int", "long", "bool", "byte"]) table.Operation(name, "Cast", c => c.Result(c.Tensor()));
    }

    /// <summary>sign(x) floor(|x|)</summary>
    public static GraphValue Truncate(LoweringContext c, GraphValue x) => c.Like("Mul", [c.Like("Sign", [x]), c.Like("Floor", [c.Like("Abs", [x])])]);

    private static GraphValue X(LoweringContext c) => c.Cast(c.Tensor(), c.ResultType());

    private static bool IsFloat(LoweringContext c) => is_floating_point(c.ResultType());

    private static GraphValue Number(LoweringContext c, double value) => c.Scalar(value, c.ResultType());

    private static void Rounding(LoweringContext c, string onnx)
    {
        if (!IsFloat(c))
        {
            c.Result(X(c));
            return;
        }

        var decimals = onnx == "Round" ? c.Integer(0, "decimals") : 0;
        if (decimals == 0)
        {
            c.Result(c.Like(onnx, [X(c)]));
            return;
        }

        var factor = Number(c, Math.Pow(10, decimals));
        c.Result(c.Like("Div", [c.Like("Round", [c.Like("Mul", [X(c), factor])]), factor]));
    }

    private static void IsFinite(LoweringContext c)
    {
        var x = c.Tensor();
        var special = c.Node("Or", ScalarType.Bool, x.Rank, [c.Node("IsNaN", ScalarType.Bool, x.Rank, [x]), c.Node("IsInf", ScalarType.Bool, x.Rank, [x])]);
        c.Result(c.Node("Not", ScalarType.Bool, x.Rank, [special]));
    }

    private static void Clamp(LoweringContext c)
    {
        var type = c.ResultType();
        var x = X(c);
        var (low, high) = (c.Raw("min"), c.Raw("max"));
        if (low is not null) x = c.Node("Max", type, c.ResultRank(), [x, c.Operand(low, type)]);
        if (high is not null) x = c.Node("Min", type, c.ResultRank(), [x, c.Operand(high, type)]);
        c.Result(x);
    }

    private static void NanToNum(LoweringContext c)
    {
        var x = X(c);
        GraphValue Replace(GraphValue value, GraphValue mask, double number) => c.Node("Where", x.Type, x.Rank, [mask, c.Scalar(number, x.Type), value]);
        var largest = x.Type == ScalarType.Float32 ? float.MaxValue : double.MaxValue;
        var result = Replace(x, c.Node("IsNaN", ScalarType.Bool, x.Rank, [x]), c.Number(0, "nan"));
        result = Replace(result, c.Node("IsInf", ScalarType.Bool, x.Rank, [x], ("detect_negative", 0L)), c.Number(largest, "posinf"));
        c.Result(Replace(result, c.Node("IsInf", ScalarType.Bool, x.Rank, [x], ("detect_positive", 0L)), c.Number(-largest, "neginf")));
    }
}
