// Arithmetic with broadcasting and scalars. The result's dtype is TorchSharp's; operands are cast to it before the
// node, as type promotion does, float16 and bfloat16 to float32. A scalar becomes a rank-0 initializer of that dtype.
//   fmod          x - trunc(x / y) y, with the sign of x
//   remainder     r = fmod(x, y), and r + y if the signs of r and y differ
//   floor_divide  (x - r) / y with that r, rounded to the nearest integer; floor(x / y) would be another number:
//                 1 // 0.1 is 9
//   lerp          from the nearer end, so that an infinite end is preserved
using TorchBridge.Export.Capture;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>
/// Lowers binary arithmetic with broadcasting and type promotion, and operations composed of it.
/// </summary>
internal static class Arithmetic
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        table.Operation("add", "Add (Mul); Or", c => WithAlpha(c, "Add"), "alpha");
        table.Operation("sub", "Sub (Mul)", c => WithAlpha(c, "Sub"), "alpha");
        table.Operation("mul", "Mul; And", c =>
            c.Result(Apply(c, (a, b) => a.Type == ScalarType.Bool ? a & b : a * b, exactNumbers: true))
        );
        table.Operation("div", "Div; Div, Floor, Mod, Where", Divide, "rounding_mode");
        table.Operation("floor_divide", "Div, Mod, Floor, Where", c =>
            c.Result(Apply(c, FloorDivide, exactNumbers: true))
        );
        table.Operation("remainder", "Mod, Add, Where", c => c.Result(Apply(c, Remainder)));
        table.Operation("fmod", "Mod; Div, Mul, Sub", c => c.Result(Apply(c, FMod)));
        table.Operation("pow", "Pow; Mul; Sqrt", c => c.Result(Power(c)));
        table.Operation("float_power", "Pow (in float64)", c => c.Result(Apply(c, (a, b) => a.Binary("Pow", b))));
        table.Operation("maximum", "Max; Greater, Where; Or", c => c.Result(Apply(c, (a, b) => a.Max(b))));
        table.Operation("minimum", "Min; Less, Where; And", c => c.Result(Apply(c, (a, b) => a.Min(b))));
        table.Operation("fmax", "Max, IsNaN, Where", c => c.Result(Apply(c, (a, b) => Present(a, b, a.Max(b)))));
        table.Operation("fmin", "Min, IsNaN, Where", c => c.Result(Apply(c, (a, b) => Present(a, b, a.Min(b)))));
        table.Operation("atan2", "Atan, Div, Where", c => c.Result(Apply(c, Atan2)));
        table.Operation("hypot", "Max, Min, Div, Mul, Sqrt, Where", c => c.Result(Apply(c, Hypot)));
        table.Operation("copysign", "Abs, Neg, Where", c => c.Result(Apply(c, SpecialFunctions.CopySign)));
        table.Operation("heaviside", "Greater, Equal, Where", c =>
            c.Result(Apply(c, (a, b) => Formula.Where(a.EqualTo(0), b, (a > 0).To(a.Type))))
        );
        table.Operation("logaddexp", "Max, Exp, Log, Where", c =>
            c.Result(Apply(c, (a, b) => LogAddExp(a, b, d => d.Apply("Exp"), 1)))
        );
        table.Operation("logaddexp2", "Max, Pow, Log, Where", c =>
            c.Result(Apply(c, (a, b) => LogAddExp(a, b, d => d.Number(2).Binary("Pow", d), Math.Log(2))))
        );
        table.Operation("xlogy", "Log, Mul, Where", c =>
            c.Result(Apply(c, (a, b) => TimesLogarithm(a, b, b.Apply("Log"))))
        );
        table.Operation("special.xlog1py", "Log, Add, Div, Mul, Where", c =>
            c.Result(Apply(c, (a, b) => TimesLogarithm(a, b, SpecialFunctions.Log1p(b))))
        );
        table.Operation("lerp", "Sub, Mul, Add, Where", Lerp, "weight: number or tensor");
        table.Operation("addcmul", "Mul, Add", c => AddC(c, (a, b) => a * b), "value");
        table.Operation("addcdiv", "Div, Add", c => AddC(c, (a, b) => a / b), "value");
        table.Operation("as_tensor", "(constant)", AsTensor);
    }

    /// <summary>The two operands of a binary operation, cast to a dtype.</summary>
    /// <param name="c">The operation.</param>
    /// <param name="type">The dtype that both are cast to.</param>
    public static (GraphValue Left, GraphValue Right) Operands(LoweringContext c, ScalarType type)
    {
        var operands = Two(c);
        return (c.Operand(operands[0], type), c.Operand(operands[1], type));
    }

    /// <summary>The two operands, tensors or numbers, in order.</summary>
    private static object?[] Two(LoweringContext c)
    {
        object?[] operands =
        [
            .. c
                .Positional.Where(argument =>
                    argument is ValueRef or long or double or VaryingInteger or VaryingNumber or bool
                )
                .Take(2),
        ];
        return operands.Length == 2 ? operands : throw c.Refuse("it needs two operands, tensors or numbers");
    }

    /// <summary>The remainder with the sign of the dividend.</summary>
    /// <param name="x">The dividend.</param>
    /// <param name="y">The divisor.</param>
    public static Formula FMod(Formula x, Formula y) => x.IsFloat ? x.Binary("Mod", y, ("fmod", 1L)) : x - x / y * y;

    /// <summary>Applies a binary function. Operands are rounded to the result's dtype first, except numbers in
    /// products and quotients of float16 and bfloat16, as in TorchSharp.</summary>
    /// <param name="c">The operation.</param>
    /// <param name="function">Combines the operands, which have the dtype of the computation.</param>
    /// <param name="exactNumbers">Whether numbers, and tensors without axes, are not rounded to the result's
    /// dtype.</param>
    private static GraphValue Apply(
        LoweringContext c,
        Func<Formula, Formula, Formula> function,
        bool exactNumbers = false
    )
    {
        var wide = Kernels.Wide(c.ResultType());
        Formula Wide(object? argument)
        {
            var isNumber = argument is not ValueRef || c.Operand(argument).Rank == 0;
            return new Formula(c, c.Operand(argument, exactNumbers && isNumber ? wide : c.ResultType())).To(wide);
        }

        var operands = Two(c);
        return function(Wide(operands[0]), Wide(operands[1])).Value;
    }

    /// <summary>a + alpha b, or a - alpha b; for booleans the logical OR.</summary>
    private static void WithAlpha(LoweringContext c, string onnx)
    {
        var alpha = c.Number(1, "alpha");
        if (c.ResultType() == ScalarType.Bool && (onnx == "Sub" || alpha != 1))
            throw c.Refuse(
                "torch.sub and alpha are not defined for booleans; cast to an integer first, or use logical_xor"
            );
        if (onnx == "Sub" && Two(c)[0] is not ValueRef && !is_floating_point(c.Tensor().Type))
        {
            // TorchSharp negates the tensor in its own dtype and then adds the number, so integers wrap.
            var negated = -new Formula(c, c.Tensor());
            var type = Kernels.Wide(c.ResultType());
            c.Result((negated.To(type) + new Formula(c, c.Operand(Two(c)[0], c.ResultType())).To(type)).Value);
            return;
        }

        c.Result(Apply(c, (a, b) => a.Type == ScalarType.Bool ? a | b : a.Binary(onnx, alpha == 1 ? b : b * alpha)));
    }

    /// <summary>
    /// a / b, rounded towards minus infinity or zero if rounding_mode says so.
    /// </summary>
    private static void Divide(LoweringContext c)
    {
        // TorchSharp's default is a member of the enum: RoundingMode.None.
        c.Result(
            c.Text("rounding_mode") switch
            {
                null or "None" => Apply(c, (a, b) => a / b, exactNumbers: true),
                "floor" => Apply(c, FloorDivide, exactNumbers: true),
                "trunc" => Apply(
                    c,
                    (a, b) => a.IsFloat ? SpecialFunctions.Truncate(Rounded(c, a / b)) : a / b,
                    exactNumbers: true
                ),
                var other => throw c.Refuse(
                    $"rounding_mode '{other}' is not supported; supported are None, floor and trunc"
                ),
            }
        );
    }

    /// <summary>Rounds the quotient of two tensors to float16 or bfloat16 before it is truncated; a quotient by a
    /// number is not rounded.</summary>
    private static Formula Rounded(LoweringContext c, Formula quotient) =>
        c.Tensors() is [_, { Rank: > 0 }] ? quotient.To(c.ResultType()).To(quotient.Type) : quotient;

    /// <summary>
    /// The quotient rounded down, as PyTorch computes it from the remainder: 1 // 0.1 is 9.
    /// </summary>
    private static Formula FloorDivide(Formula x, Formula y)
    {
        var rest = FMod(x, y);
        var other = !rest.EqualTo(0) & ((y < 0) ^ (rest < 0));
        if (!x.IsFloat)
            return x / y - other.To(x.Type);
        var quotient = (x - rest) / y;
        var exact = Formula.Where(other, quotient - 1, quotient);
        var floor = exact.Apply("Floor");
        var whole = Formula.Where(exact - floor > 0.5, floor + 1, floor);
        // A zero has the sign of the quotient; a division by zero follows IEEE 754.
        return Formula.Where(y.EqualTo(0), x / y, Formula.Where(exact.EqualTo(0), x / y * 0, whole));
    }

    /// <summary>The remainder with the sign of the divisor.</summary>
    private static Formula Remainder(Formula x, Formula y)
    {
        if (!x.IsFloat)
            return x.Binary("Mod", y);
        var rest = FMod(x, y);
        return Formula.Where(!rest.EqualTo(0) & ((y < 0) ^ (rest < 0)), rest + y, rest);
    }

    /// <summary>fmax and fmin: if one operand is NaN, the other one.</summary>
    /// <param name="a">The first operand.</param>
    /// <param name="b">The second operand.</param>
    /// <param name="result">The maximum or minimum of the two, valid if neither is NaN.</param>
    private static Formula Present(Formula a, Formula b, Formula result) =>
        a.IsFloat ? Formula.Where(a.IsNan(), b, Formula.Where(b.IsNan(), a, result)) : result;

    /// <summary>The angle of (x, y) in all four quadrants, with the signs of zeros.</summary>
    private static Formula Atan2(Formula y, Formula x)
    {
        // The angle of (|x|, |y|), at most a quarter turn, mirrored according to the signs of x and y, including
        // signed zeros.
        var (up, right) = (y.Abs(), x.Abs());
        var ratio = Formula.Where(up.EqualTo(right), Formula.Where(up.EqualTo(0), up, up.Number(1)), up / right);
        var angle = SpecialFunctions.Atan(ratio);
        return SpecialFunctions.CopySign(Formula.Where(SpecialFunctions.IsNegative(x), Math.PI - angle, angle), y);
    }

    /// <summary>sqrt(a^2 + b^2), scaled by the larger so that nothing overflows.</summary>
    private static Formula Hypot(Formula a, Formula b)
    {
        var (x, y) = (a.Abs(), b.Abs());
        var (larger, smaller) = (x.Max(y), x.Min(y));
        var ratio = smaller / larger;
        var length = Formula.Where(larger.EqualTo(0), larger, larger * (ratio * ratio + 1).Apply("Sqrt"));
        return a.IsFloat
            ? Formula.Where(
                x.EqualTo(double.PositiveInfinity) | y.EqualTo(double.PositiveInfinity),
                double.PositiveInfinity,
                length
            )
            : length;
    }

    /// <summary>
    /// log(exp(a) + exp(b)) to a base: the larger operand, plus log1p of the base to the power of the difference.
    /// </summary>
    /// <param name="a">The first logarithm to the base.</param>
    /// <param name="b">The second logarithm to the base.</param>
    /// <param name="power">Raises the base to a power.</param>
    /// <param name="unit">Natural logarithm of the base.</param>
    private static Formula LogAddExp(Formula a, Formula b, Func<Formula, Formula> power, double unit)
    {
        var larger = a.Max(b);
        var sum = larger + SpecialFunctions.Log1p(power(-(a - b).Abs())) / unit;
        return Formula.Where(a.EqualTo(b) & a.IsInfinite(), a, sum);
    }

    /// <summary>x log(y), which is 0 if x is 0, and NaN if y is NaN.</summary>
    private static Formula TimesLogarithm(Formula x, Formula y, Formula logarithm) =>
        Formula.Where(y.IsNan(), double.NaN, Formula.Where(x.EqualTo(0), 0, x * logarithm));

    /// <summary>
    /// x^y: squares and roots with dedicated operators, integers by repeated squaring.
    /// </summary>
    private static GraphValue Power(LoweringContext c)
    {
        var type = Kernels.Wide(c.ResultType());
        var x = new Formula(c, c.Operand(c.Positional[0], type));
        if (!x.IsFloat && c.Positional[1] is long whole)
            return Repeated(x, whole).Value;
        var exponent = new Formula(c, c.Operand(c.Positional[1], c.ResultType())).To(type);
        if (!x.IsFloat)
            return Power(x, exponent).Value;
        return c.Positional[1] switch
        {
            0L or 0.0 => Ones(x).Value,
            1L or 1.0 => x.Value,
            2L or 2.0 or 3L or 3.0 => x.Binary("Pow", exponent).Value,
            // libtorch uses roots and reciprocals for these exponents, except in float16; the sign for minus zero and
            // minus infinity differs.
            0.5 or -0.5 when c.ResultType() == ScalarType.Float16 => x.Binary("Pow", exponent).Value,
            0.5 => x.Apply("Sqrt").Value,
            -0.5 => x.Apply("Sqrt").Apply("Reciprocal").Value,
            -1L or -1.0 => x.Apply("Reciprocal").Value,
            -2L or -2.0 => (x * x).Apply("Reciprocal").Value,
            _ => x.Binary("Pow", exponent).Value,
        };
    }

    /// <summary>An integer power that wraps around; ONNX Runtime's Pow goes through float64.</summary>
    private static Formula Repeated(Formula x, long exponent)
    {
        Formula? result = null;
        for (var square = x; exponent > 0; exponent >>= 1)
        {
            if ((exponent & 1) == 1)
                result = result is { } known ? known * square : square;
            if (exponent > 1)
                square *= square;
        }

        return result ?? Ones(x);
    }

    private static Formula Power(Formula x, Formula exponent)
    {
        // Bit by bit: multiplies the powers x^1, x^2, x^4 … whose bits are set in the exponent.
        var bits = x.Type switch
        {
            ScalarType.Int64 => 63,
            ScalarType.Int32 => 31,
            ScalarType.Int16 => 15,
            ScalarType.Int8 => 7,
            _ => 8,
        };
        var result = Ones(x);
        var (square, rest) = (x, exponent);
        for (var bit = 0; bit < bits; bit++)
        {
            var half = rest / 2;
            result = Formula.Where((rest - half * 2).EqualTo(0), result, result * square);
            (square, rest) = (square * square, half);
        }

        if (x.Type == ScalarType.Byte)
            return result;
        // Only 1 and -1 have integer values for negative powers.
        var odd = !(exponent - exponent / 2 * 2).EqualTo(0);
        var ofOne = Formula.Where(x.EqualTo(1) | (x.EqualTo(-1) & !odd), 1, Formula.Where(x.EqualTo(-1), x, 0));
        return Formula.Where(exponent < 0, ofOne, result);
    }

    /// <summary>Ones in the shape of a value.</summary>
    private static Formula Ones(Formula x) => Formula.Where(x.EqualTo(x), x.Number(1), x.Number(1));

    /// <summary>start + weight (end - start), from the nearer end.</summary>
    private static void Lerp(LoweringContext c)
    {
        var type = Kernels.Wide(c.ResultType());
        Formula Argument(int position) => new(c, c.Operand(c.Positional[position], type));
        var (start, end, weight) = (Argument(0), Argument(1), Argument(2));
        var way = end - start;
        c.Result(Formula.Where(weight.Abs() < 0.5, start + weight * way, end - way * (1 - weight)).Value);
    }

    /// <summary>addcmul and addcdiv: input + value * f(tensor1, tensor2).</summary>
    private static void AddC(LoweringContext c, Func<Formula, Formula, Formula> function)
    {
        var tensors = c.Tensors().Select(tensor => new Formula(c, Kernels.Widen(c, tensor))).ToArray();
        var value = c.Number(1, "value");
        c.Result((tensors[0] + function(value == 1 ? tensors[1] : tensors[1] * value, tensors[2])).Value);
    }

    /// <summary>A tensor of literal numbers in forward: a constant.</summary>
    private static void AsTensor(LoweringContext c)
    {
        var type = c.ResultType();
        if (c.Positional[0] is not object?[] list)
        {
            c.Result(c.Operand(c.Positional[0], type));
            return;
        }

        if (list.Any(item => item is not (long or double or bool)))
            throw c.Refuse("its numbers depend on a free axis; use torch.arange, or stack tensors");
        using var scope = NewDisposeScope();
        using var numbers =
            is_floating_point(type) || list.Any(item => item is double)
                ? tensor(
                    list.Select(item => Convert.ToDouble(item, System.Globalization.CultureInfo.InvariantCulture))
                        .ToArray()
                )
                : tensor(
                    list.Select(item => Convert.ToInt64(item, System.Globalization.CultureInfo.InvariantCulture))
                        .ToArray()
                );
        c.Result(c.Computed(numbers.reshape(c.ResultSizes()[0]).to(type), "as_tensor"));
    }
}
