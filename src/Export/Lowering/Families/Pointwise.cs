// Elementwise functions of one tensor. An integer argument of a function that returns floats is cast first, as
// TorchSharp does; float16 and bfloat16 are computed in float32 and rounded once.
using TorchBridge.Export.Capture;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Lowers elementwise functions of one tensor.</summary>
internal static class Pointwise
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        foreach (
            var (name, onnx) in ((string, string)[])
                [
                    ("abs", "Abs"),
                    ("cos", "Cos"),
                    ("exp", "Exp"),
                    ("log", "Log"),
                    ("neg", "Neg"),
                    ("reciprocal", "Reciprocal"),
                    ("sin", "Sin"),
                    ("sqrt", "Sqrt"),
                ]
        )
            table.Operation(name, onnx, c => c.Result(X(c).Apply(onnx).Value));
        foreach (
            var (name, onnx, function) in ((string, string, Func<Formula, Formula>)[])
                [
                    ("acos", "Acos", SpecialFunctions.Acos),
                    ("acosh", "Acosh", SpecialFunctions.Acosh),
                    ("asin", "Asin", SpecialFunctions.Asin),
                    ("asinh", "Asinh", SpecialFunctions.Asinh),
                    ("atan", "Atan", SpecialFunctions.Atan),
                    ("atanh", "Atanh", SpecialFunctions.Atanh),
                    ("cosh", "Cosh", SpecialFunctions.Cosh),
                    ("sinh", "Sinh", SpecialFunctions.Sinh),
                    ("tan", "Tan", SpecialFunctions.Tan),
                    ("erf", "Erf", SpecialFunctions.Erf),
                    ("erfc", "Exp, Mul, Add, Div, Where (in float64)", SpecialFunctions.Erfc),
                    ("log1p", "Log, Add, Div, Where", SpecialFunctions.Log1p),
                    ("expm1", "Exp, Log, Sub, Div, Where", SpecialFunctions.Expm1),
                    ("frac", "Floor, Ceil, Where, Sub", x => x - SpecialFunctions.Truncate(x)),
                    ("rsqrt", "Sqrt, Reciprocal", x => x.Apply("Sqrt").Apply("Reciprocal")),
                    ("square", "Mul", x => x * x),
                    ("exp2", "Pow", x => x.Number(2).Binary("Pow", x)),
                    ("log2", "Log, Div (in float64)", x => Logarithm(x, 2)),
                    ("log10", "Log, Div (in float64)", x => Logarithm(x, 10)),
                    ("deg2rad", "Mul", x => x * (Math.PI / 180)),
                    ("rad2deg", "Mul", x => x * (180 / Math.PI)),
                    ("sinc", "Sin, Div, Where", Sinc),
                    ("special.entr", "Log, Mul, Where", Entropy),
                    ("angle", "Less, Where", x =>
                        Formula.Where(x.IsNan(), x, Formula.Where(x < 0, x.Number(Math.PI), 0))
                    ),
                ]
        )
            table.Operation(name, onnx, c => c.Result(function(X(c)).Value));
        table.Operation("special.ndtr", "Erf, Add, Mul", Normal);
        foreach (var name in (string[])["sign", "sgn"])
            table.Operation(name, "Sign; Greater, Less, Sub; IsNaN, Where", c => c.Result(Sign(X(c)).Value));
        foreach (var (name, onnx) in ((string, string)[])[("ceil", "Ceil"), ("floor", "Floor")])
            table.Operation(name, onnx, c => c.Result(IsFloat(c) ? X(c).Apply(onnx).Value : c.Tensor()));
        table.Operation("round", "Round", Round, "decimals");
        table.Operation("trunc", "Floor, Ceil, Where", c =>
            c.Result(IsFloat(c) ? SpecialFunctions.Truncate(X(c)).Value : c.Tensor())
        );
        table.Operation("logit", "Sub, Div, Log", Logit, "eps");
        table.Operation("isnan", "IsNaN", c => c.Result(Input(c).IsNan().Value));
        table.Operation("isinf", "IsInf", c => c.Result(Input(c).IsInfinite().Value));
        table.Operation("isfinite", "IsNaN, IsInf, Or, Not", c =>
            c.Result((!(Input(c).IsNan() | Input(c).IsInfinite())).Value)
        );
        table.Operation("isposinf", "Equal", c => c.Result(IsInfinity(c, double.PositiveInfinity)));
        table.Operation("isneginf", "Equal", c => c.Result(IsInfinity(c, double.NegativeInfinity)));
        table.Operation("isreal", "Equal, Or", c => c.Result((Input(c).IsNan() | !Input(c).IsNan()).Value));
        table.Operation("signbit", "Reciprocal, Where, Less", c =>
            c.Result(SpecialFunctions.IsNegative(Input(c)).Value)
        );
        table.Operation("clamp", "Max, Min", Clamp, "min, max; numbers or tensors");
        table.Operation("clamp_min", "Max", Clamp, "min");
        table.Operation("clamp_max", "Min", Clamp, "max");
        table.Operation("nan_to_num", "IsNaN, Equal, Where", NanToNum, "nan, posinf, neginf");
        foreach (var name in (string[])["to", "to_type", "type", "type_as"])
            table.Operation(name, "Cast", c => c.Result(c.Tensor()), "dtype");
        foreach (
            var name in (string[])
                ["float", "half", "bfloat16", "double", "int", "long", "short", "char", "bool", "byte"]
        )
            table.Operation(name, "Cast", c => c.Result(c.Tensor()));
    }

    /// <summary>-1, 0 or 1; 0 for NaN.</summary>
    /// <param name="x">Any number.</param>
    public static Formula Sign(Formula x)
    {
        if (x.IsFloat)
            return Formula.Where(x.IsNan(), 0, x.Apply("Sign"));
        if (x.Type == ScalarType.Bool)
            return x;
        // ONNX Runtime 1.31's Sign reads only the low 32 bits of a 64-bit integer.
        return x.Type == ScalarType.Int64 ? (x > 0).To(x.Type) - (x < 0).To(x.Type) : x.Apply("Sign");
    }

    /// <summary>The first tensor in the dtype in which TorchSharp computes the result.</summary>
    /// <param name="c">The operation.</param>
    public static Formula X(LoweringContext c) => new(c, Kernels.Widen(c, c.Tensor()));

    /// <summary>The argument in its own dtype.</summary>
    private static Formula Input(LoweringContext c) => new(c, c.Tensor());

    /// <summary>Whether the result is floating-point.</summary>
    private static bool IsFloat(LoweringContext c) => is_floating_point(c.ResultType());

    /// <summary>Rounds to the nearest integer, ties to even; or to a number of decimals.</summary>
    private static void Round(LoweringContext c)
    {
        var decimals = c.Integer(0, "decimals");
        if (!IsFloat(c))
        {
            c.Result(c.Tensor());
            return;
        }

        var factor = Math.Pow(10, Math.Abs(decimals));
        c.Result(
            decimals switch
            {
                0 => X(c).Apply("Round").Value,
                > 0 => ((X(c) * factor).Apply("Round") / factor).Value,
                _ => ((X(c) / factor).Apply("Round") * factor).Value,
            }
        );
    }

    // In float64, so that log2(8) is 3.
    /// <summary>
    /// The logarithm to a base, computed in float64, which rounds like TorchSharp's own.
    /// </summary>
    private static Formula Logarithm(Formula x, double of) =>
        (x.To(ScalarType.Float64).Apply("Log") / Math.Log(of)).To(x.Type);

    /// <summary>sin(pi x) / (pi x), and 1 at 0.</summary>
    private static Formula Sinc(Formula x)
    {
        var turned = x * Math.PI;
        return Formula.Where(x.EqualTo(0), 1, turned.Apply("Sin") / turned);
    }

    /// <summary>-x log x, 0 at 0, minus infinity below.</summary>
    private static Formula Entropy(Formula x) =>
        Formula.Where(x.EqualTo(0), 0, Formula.Where(x < 0, double.NegativeInfinity, -(x * x.Apply("Log"))));

    // TorchSharp composes this function and logit from operations that each round to float16 or bfloat16.
    /// <summary>The standard normal distribution: (1 + erf(x / sqrt 2)) / 2.</summary>
    private static void Normal(LoweringContext c)
    {
        var (x, type) = (X(c), c.ResultType());
        var error = SpecialFunctions.Erf((x * Math.Sqrt(0.5)).To(type).To(x.Type)).To(type).To(x.Type);
        c.Result(((error + 1).To(type).To(x.Type) * 0.5).Value);
    }

    /// <summary>log(x / (1 - x)), with x clamped to [eps, 1 - eps].</summary>
    private static void Logit(LoweringContext c)
    {
        var (x, type) = (X(c), c.ResultType());
        if (c.Has("eps"))
        {
            var eps = Kernels.Round(c.Number(0, "eps"), type);
            x = x.Max(x.Number(eps)).Min(x.Number(Kernels.Round(1 - eps, type)));
        }

        c.Result((x / (1 - x).To(type).To(x.Type)).To(type).To(x.Type).Apply("Log").Value);
    }

    /// <summary>Whether an element is the infinity with a given sign.</summary>
    private static GraphValue IsInfinity(LoweringContext c, double infinity) =>
        Input(c) is { IsFloat: true } x ? x.EqualTo(infinity).Value : Input(c).IsInfinite().Value;

    /// <summary>min(max(x, low), high) with numbers or tensors.</summary>
    private static void Clamp(LoweringContext c)
    {
        var type = Kernels.Wide(c.ResultType());
        var bounded = X(c);
        if (c.Raw("min") is { } low)
            bounded = bounded.Max(new Formula(c, c.Operand(low, type)));
        if (c.Raw("max") is { } high)
            bounded = bounded.Min(new Formula(c, c.Operand(high, type)));
        c.Result(bounded.Value);
    }

    /// <summary>Replaces NaN and infinities by numbers.</summary>
    private static void NanToNum(LoweringContext c)
    {
        double nan = c.Number(0, "nan"),
            largest = Largest(c.ResultType());
        double high = c.Number(largest, "posinf"),
            low = c.Number(-largest, "neginf");
        if (!IsFloat(c))
        {
            c.Result(c.Tensor());
            return;
        }

        var input = X(c);
        var finite = Formula.Where(
            input.EqualTo(double.PositiveInfinity),
            high,
            Formula.Where(input.EqualTo(double.NegativeInfinity), low, input)
        );
        c.Result(Formula.Where(input.IsNan(), nan, finite).Value);
    }

    /// <summary>The largest finite number of a floating-point dtype.</summary>
    private static double Largest(ScalarType type) =>
        type switch
        {
            ScalarType.Float64 => double.MaxValue,
            ScalarType.Float16 => 65504,
            ScalarType.BFloat16 => BitConverter.Int32BitsToSingle(0x7F7F0000),
            _ => float.MaxValue,
        };
}
