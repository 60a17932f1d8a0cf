// Functions that ONNX does not have, or that ONNX Runtime supports only for float32, written with operators that it
// supports for float64 too. Each is exact to a few units in the last place of its dtype, even for results near zero,
// and preserves NaN, infinities and the sign of zero.
//   log1p, expm1   Kahan: with u = 1 + x, log(u) x / (u - 1); with u = exp(x), (u - 1) x / log(u)
//   erf, erfc      Cody 1969, rational Chebyshev approximations in three ranges
//   atan           Cephes: reduced to |x| <= 0.66 at tan(pi/8) and tan(3 pi/8), then a rational function
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>
/// Functions that ONNX lacks, or that ONNX Runtime supports only for float32, written out for the other dtypes.
/// </summary>
internal static class SpecialFunctions
{
    /// <summary>log(1 + x)</summary>
    /// <param name="x">Any number; NaN below -1.</param>
    public static Formula Log1p(Formula x)
    {
        var u = x + 1;
        return Formula.Where(u.EqualTo(1) | u.EqualTo(double.PositiveInfinity), x, u.Apply("Log") * (x / (u - 1)));
    }

    /// <summary>exp(x) - 1</summary>
    /// <param name="x">Any number.</param>
    public static Formula Expm1(Formula x)
    {
        var u = x.Apply("Exp");
        var less = u - 1;
        var exact = less * (x / u.Apply("Log"));
        return Formula.Where(
            u.EqualTo(1),
            x,
            Formula.Where(u.EqualTo(double.PositiveInfinity) | less.EqualTo(-1), less, exact)
        );
    }

    /// <summary>2/sqrt(pi) times the integral of exp(-t^2) from 0 to x.</summary>
    /// <param name="x">Any number.</param>
    public static Formula Erf(Formula x)
    {
        if (x.Type == ScalarType.Float32)
            return x.Apply("Erf");
        var (small, tail) = ErrorFunction(x);
        var large = CopySign(1 - tail, x);
        return Formula.Where(x.Abs() <= 0.46875, small, large);
    }

    /// <summary>1 - erf(x), exact even near zero. Computed in float64.</summary>
    /// <param name="x">Any number.</param>
    public static Formula Erfc(Formula x)
    {
        var wide = x.To(ScalarType.Float64);
        var (small, tail) = ErrorFunction(wide);
        var large = Formula.Where(wide < 0, 2 - tail, tail);
        return Formula.Where(wide.Abs() <= 0.46875, 1 - small, large).To(x.Type);
    }

    /// <summary>The arc tangent.</summary>
    /// <param name="x">Any number.</param>
    /// <returns>An angle from -pi/2 to pi/2.</returns>
    public static Formula Atan(Formula x)
    {
        if (x.Type == ScalarType.Float32)
            return x.Apply("Atan");
        var abs = x.Abs();
        var (beyond, middle) = (abs > 2.41421356237309504880, abs > 0.66);
        var reduced = Formula.Where(beyond, -1 / abs, Formula.Where(middle, (abs - 1) / (abs + 1), abs));
        var offset = Formula.Where(beyond, Math.PI / 2, Formula.Where(middle, abs.Number(Math.PI / 4), 0));
        var square = reduced * reduced;
        var rational =
            square
            * square.Polynomial(
                -8.750608600031904122785e-1,
                -1.615753718733365076637e1,
                -7.500855792314704667340e1,
                -1.228866684490136173410e2,
                -6.485021904942025371773e1
            )
            / square.Polynomial(
                1,
                2.485846490142306297962e1,
                1.650270098316988542046e2,
                4.328810604912902668951e2,
                4.853903996359136964868e2,
                1.945506571482613964425e2
            );
        var result = offset + (reduced * rational + reduced);
        return CopySign(result, x);
    }

    /// <summary>The arc sine: atan(x / sqrt((1 - x) (1 + x))); NaN beyond 1.</summary>
    /// <param name="x">-1 to 1.</param>
    public static Formula Asin(Formula x) =>
        x.Type == ScalarType.Float32 ? x.Apply("Asin") : Atan(x / ((1 - x) * (1 + x)).Apply("Sqrt"));

    /// <summary>The arc cosine: 2 atan(sqrt((1 - x) / (1 + x))); NaN beyond 1.</summary>
    /// <param name="x">-1 to 1.</param>
    public static Formula Acos(Formula x) =>
        x.Type == ScalarType.Float32 ? x.Apply("Acos") : 2 * Atan(((1 - x) / (1 + x)).Apply("Sqrt"));

    /// <summary>The tangent.</summary>
    /// <param name="x">An angle in radians.</param>
    public static Formula Tan(Formula x) =>
        x.Type == ScalarType.Float32 ? x.Apply("Tan") : x.Apply("Sin") / x.Apply("Cos");

    /// <summary>
    /// The hyperbolic sine: with t = expm1(|x|), (t + t / (t + 1)) / 2, and exp(|x| - log 2) if that overflows.
    /// </summary>
    /// <param name="x">Any number.</param>
    public static Formula Sinh(Formula x)
    {
        if (x.Type == ScalarType.Float32)
            return x.Apply("Sinh");
        var t = Expm1(x.Abs());
        return CopySign(Formula.Where(x.Abs() > 40, (x.Abs() - Math.Log(2)).Apply("Exp"), (t + t / (t + 1)) * 0.5), x);
    }

    /// <summary>The hyperbolic cosine.</summary>
    /// <param name="x">Any number.</param>
    public static Formula Cosh(Formula x)
    {
        if (x.Type == ScalarType.Float32)
            return x.Apply("Cosh");
        var half = (x.Abs() - Math.Log(2)).Apply("Exp");
        return half + (-x.Abs() - Math.Log(2)).Apply("Exp");
    }

    /// <summary>
    /// The inverse hyperbolic sine: log1p(|x| + x^2 / (1 + sqrt(x^2 + 1))), and log(2 |x|) if the square overflows.
    /// </summary>
    /// <param name="x">Any number.</param>
    public static Formula Asinh(Formula x)
    {
        if (x.Type == ScalarType.Float32)
            return x.Apply("Asinh");
        var abs = x.Abs();
        var large = abs.Apply("Log") + Math.Log(2);
        return CopySign(
            Formula.Where(abs > 1e8, large, Log1p(abs + abs * abs / (1 + (abs * abs + 1).Apply("Sqrt")))),
            x
        );
    }

    /// <summary>
    /// The inverse hyperbolic cosine: with t = x - 1, log1p(t + sqrt(2 t + t^2)), and log(2 x) if the square
    /// overflows; NaN below 1.
    /// </summary>
    /// <param name="x">A number of at least 1.</param>
    public static Formula Acosh(Formula x)
    {
        if (x.Type == ScalarType.Float32)
            return x.Apply("Acosh");
        var t = x - 1;
        var result = Formula.Where(x > 1e8, x.Apply("Log") + Math.Log(2), Log1p(t + (t * (t + 2)).Apply("Sqrt")));
        return Formula.Where(x < 1, double.NaN, result);
    }

    /// <summary>The inverse hyperbolic tangent: log1p(2 x / (1 - x)) / 2; NaN beyond 1.</summary>
    /// <param name="x">-1 to 1.</param>
    public static Formula Atanh(Formula x) =>
        x.Type == ScalarType.Float32 ? x.Apply("Atanh") : CopySign(0.5 * Log1p(2 * x.Abs() / (1 - x.Abs())), x);

    /// <summary>Whether the sign bit is set, also for -0. The sign of NaN is ignored.</summary>
    /// <param name="x">Any number.</param>
    public static Formula IsNegative(Formula x) => x.IsFloat ? Formula.Where(x.EqualTo(0), 1 / x, x) < 0 : x < 0;

    /// <summary>|x| with the sign of another value. Computed as a product, because ONNX Runtime's Where returns 0 for
    /// -0.</summary>
    /// <param name="x">The magnitude.</param>
    /// <param name="sign">The value that provides the sign.</param>
    public static Formula CopySign(Formula x, Formula sign) =>
        x.Abs() * Formula.Where(IsNegative(sign), x.Number(-1), x.Number(1));

    /// <summary>Rounds towards zero; -0.5 gives -0.</summary>
    /// <param name="x">Any floating-point number.</param>
    public static Formula Truncate(Formula x) =>
        x.Abs().Apply("Floor") * Formula.Where(x < 0, x.Number(-1), x.Number(1));

    /// <summary>erf(x) for |x| up to 0.46875, and erfc(|x|) beyond.</summary>
    private static (Formula Small, Formula Tail) ErrorFunction(Formula x)
    {
        var square = x * x;
        var small =
            x
            * square.Polynomial(
                1.85777706184603153e-1,
                3.16112374387056560e0,
                1.13864154151050156e2,
                3.77485237685302021e2,
                3.20937758913846947e3
            )
            / square.Polynomial(
                1,
                2.36012909523441209e1,
                2.44024637934444173e2,
                1.28261652607737228e3,
                2.84423683343917062e3
            );
        // exp(-y^2) as exp(-s^2) exp(-(y - s) (y + s)) with s = y rounded to 16ths: the square of s is exact.
        var y = x.Abs();
        var s = (y * 16).Apply("Floor") / 16;
        var tail = (-(s * s)).Apply("Exp") * (-((y - s) * (y + s))).Apply("Exp") * ScaledTail(y);
        return (small, Formula.Where(y > 27, 0, tail));
    }

    /// <summary>exp(y^2) erfc(y) for y above 0.46875.</summary>
    private static Formula ScaledTail(Formula y)
    {
        // Each range gets a number within its limits, so that an overflow in the other range does not spoil the sum.
        var middle = y.Min(y.Number(4));
        var near =
            middle.Polynomial(
                2.15311535474403846e-8,
                5.64188496988670089e-1,
                8.88314979438837594e0,
                6.61191906371416295e1,
                2.98635138197400131e2,
                8.81952221241769090e2,
                1.71204761263407058e3,
                2.05107837782607147e3,
                1.23033935479799725e3
            )
            / middle.Polynomial(
                1,
                1.57449261107098347e1,
                1.17693950891312499e2,
                5.37181101862009858e2,
                1.62138957456669019e3,
                3.29079923573345963e3,
                4.36261909014324716e3,
                3.43936767414372164e3,
                1.23033935480374942e3
            );
        var inverseSquare = 1 / (y * y);
        var rational =
            inverseSquare
            * inverseSquare.Polynomial(
                1.63153871373020978e-2,
                3.05326634961232344e-1,
                3.60344899949804439e-1,
                1.25781726111229246e-1,
                1.60837851487422766e-2,
                6.58749161529837803e-4
            )
            / inverseSquare.Polynomial(
                1,
                2.56852019228982242e0,
                1.87295284992346725e0,
                5.27905102951428412e-1,
                6.05183413124413191e-2,
                2.33520497626869185e-3
            );
        var far = (1 / Math.Sqrt(Math.PI) - rational) / y;
        return Formula.Where(y <= 4, near, far);
    }
}
