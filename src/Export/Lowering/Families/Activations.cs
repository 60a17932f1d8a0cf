// Elementwise activations. If ONNX has no operator before opset 20, or ONNX Runtime no kernel for float64, the formula
// is written out; ONNX Runtime fuses some of them again. float16 and bfloat16 are computed in float32 and rounded
// once.
//   GELU      x/2 (1 + erf(x / sqrt 2));  tanh form: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
//   SiLU      x sigmoid(x)          Mish      x tanh(softplus(x))        LogSigmoid  min(x, 0) - log1p(exp(-|x|))
//   Softplus  log1p(exp(beta x)) / beta, and x itself where beta x > threshold
//   ELU       x, and alpha expm1(x) below zero; SELU, CELU with other factors
//   RReLU     in eval mode a leaky ReLU with slope (lower + upper) / 2
using TorchBridge.Export.Capture;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>
/// Lowers activations: the ReLU family, the sigmoid family, GELU, softmax, and gating and shrinking functions.
/// </summary>
internal static class Activations
{
    /// <summary>Below zero, SELU is scale alpha expm1(x); both constants are from Klambauer et al. 2017.</summary>
    private const double SeluAlpha = 1.6732632423543772848170429916717;

    /// <summary>See <see cref="SeluAlpha"/>.</summary>
    private const double SeluScale = 1.0507009873554804934193349852946;

    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        Both<ReLU>(table, "relu", "Relu; Max", Relu);
        Both<ReLU6>(table, "relu6", "Clip; Max, Min", c => Clamped(c, 0, 6));
        Both<Sigmoid>(table, "sigmoid", "Sigmoid", c => c.Result(X(c).Apply("Sigmoid").Value));
        table.Operation("log_sigmoid", "Abs, Exp, Log, Min, Sub", LogSigmoidRule);
        Both<Tanh>(table, "tanh", "Tanh", c => c.Result(X(c).Apply("Tanh").Value));
        Both<LeakyReLU>(
            table,
            "leaky_relu",
            "LeakyRelu; Where",
            c => Leaky(c, Option(c, 0.01, "negative_slope")),
            "negative_slope"
        );
        Both<RReLU>(
            table,
            "rrelu",
            "LeakyRelu; Where",
            c => Leaky(c, (Option(c, 1.0 / 8, "lower") + Option(c, 1.0 / 3, "upper")) / 2),
            "lower, upper"
        );
        Both<ELU>(table, "elu", "Elu; Exp, Where", Elu, "alpha");
        Both<CELU>(table, "celu", "Celu; Exp, Where", Celu, "alpha");
        Both<SELU>(table, "selu", "Selu; Exp, Where", c => Exponential(c, "Selu", SeluAlpha, SeluScale, 1));
        Both<GELU>(table, "gelu", "Erf, Mul, Add; Tanh", Gelu, "approximate");
        Both<SiLU>(table, "silu", "Sigmoid, Mul", c => c.Result((X(c) * X(c).Apply("Sigmoid")).Value));
        Both<Mish>(table, "mish", "Softplus, Tanh, Mul", c => c.Result((X(c) * Softplus(X(c)).Apply("Tanh")).Value));
        Both<Hardswish>(table, "hardswish", "HardSwish; Max, Min, Mul", c =>
            HardSigmoid(c, "HardSwish", x => x * SixthOfSix(x))
        );
        Both<Hardsigmoid>(table, "hardsigmoid", "HardSigmoid; Max, Min", c =>
            HardSigmoid(c, "HardSigmoid", SixthOfSix, ("alpha", 1f / 6), ("beta", 0.5f))
        );
        Both<Hardtanh>(table, "hardtanh", "Clip; Max, Min", Hardtanh, "min_val, max_val; inplace: true");
        Both<Hardshrink>(table, "hardshrink", "LessOrEqual, And, Where", Hardshrink, "lambda");
        Both<Softshrink>(table, "softshrink", "Greater, Less, Where", Softshrink, "lambda");
        Both<Softsign>(table, "softsign", "Abs, Add, Div", Softsign);
        Both<Tanhshrink>(table, "tanhshrink", "Tanh, Sub", Tanhshrink);
        Both<LogSigmoid>(table, "logsigmoid", "Abs, Exp, Log, Min, Sub", LogSigmoidRule);
        Both<Softplus>(table, "softplus", "Softplus; Exp, Log, Where", Softplus, "beta, threshold");
        Both<Threshold>(table, "threshold", "LessOrEqual, Where", ThresholdRule, "threshold, value");
        Both<GLU>(table, "glu", "Split, Sigmoid, Mul", Glu, "dim");
        table.Module<PReLU>(
            "PRelu; Where",
            c => PRelu(c, c.Parameter(((PReLU)c.Module!).weight, "weight")),
            "num_parameters"
        );
        table.Operation("prelu", "PRelu; Where", c => PRelu(c, c.Tensor(1)), "num_parameters");
        Both<Softmax>(table, "softmax", "Softmax", c => Softmax(c, "Softmax", Dim(c)), "dim, dtype");
        Both<LogSoftmax>(table, "log_softmax", "LogSoftmax", c => Softmax(c, "LogSoftmax", Dim(c)), "dim, dtype");
        Both<Softmin>(table, "softmin", "Neg, Softmax", c => Softmax(c, "Softmax", Dim(c), negate: true), "dim");
        Both<Softmax2d>(table, "softmax2d", "Softmax", c => Softmax(c, "Softmax", -3));
    }

    /// <summary>x/2 (1 + erf(x / sqrt 2)), also used by the feed-forward layers of transformers.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="value">Any floating-point value.</param>
    public static GraphValue GeluExact(LoweringContext c, GraphValue value)
    {
        var x = new Formula(c, value);
        return (x * (SpecialFunctions.Erf(x / Math.Sqrt(2)) + 1) * 0.5).Value;
    }

    /// <summary>log1p(exp(x))</summary>
    /// <param name="x">Any floating-point value.</param>
    public static Formula Softplus(Formula x) =>
        x.Type == ScalarType.Float32
            ? x.Apply("Softplus")
            : x.Max(x.Number(0)) + SpecialFunctions.Log1p((-x.Abs()).Apply("Exp"));

    /// <summary>Adds one rule for a module and the equivalent function.</summary>
    /// <param name="table">The table to extend.</param>
    /// <param name="operation">The function's name in TorchSharp.</param>
    /// <param name="onnx">Operators that it becomes, for the document.</param>
    /// <param name="rule">Adds the nodes of either.</param>
    /// <param name="options">Options that the rule supports, for the document.</param>
    private static void Both<TModule>(
        OperatorTable table,
        string operation,
        string onnx,
        LoweringRule rule,
        string options = ""
    )
        where TModule : nn.Module
    {
        table.Module<TModule>(onnx, rule, options);
        table.Operation(operation, onnx, rule, options);
    }

    /// <summary>The argument, in the dtype in which it is computed.</summary>
    private static Formula X(LoweringContext c) => Pointwise.X(c);

    /// <summary>A numeric option of the module, or argument of the function.</summary>
    /// <param name="c">The operation.</param>
    /// <param name="fallback">TorchSharp's default.</param>
    /// <param name="name">Name of the module's field; a function's argument may lack <c>_val</c>.</param>
    private static double Option(LoweringContext c, double fallback, string name) =>
        c.Module is not null
            ? ModuleFields.Double(c.Module, fallback, name)
            : c.Number(fallback, name, name.Replace("_val", "", StringComparison.Ordinal));

    /// <summary>The axis of the module or function, possibly negative.</summary>
    private static long Dim(LoweringContext c) =>
        c.Module is not null ? ModuleFields.Long(c.Module, -1, "dim") : c.Integer(-1, "dim", "dimension");

    /// <summary>max(x, 0), also for integers.</summary>
    private static void Relu(LoweringContext c)
    {
        var x = X(c);
        c.Result(x.IsFloat ? x.Apply("Relu").Value : x.Max(x.Number(0)).Value);
    }

    /// <summary>
    /// min(max(x, low), high): Clip for float32, which preserves NaN like TorchSharp.
    /// </summary>
    /// <param name="c">The operation.</param>
    /// <param name="low">The lower limit.</param>
    /// <param name="high">The upper limit, not below <paramref name="low"/>.</param>
    private static void Clamped(LoweringContext c, double low, double high)
    {
        var x = X(c);
        c.Result(
            x.Type == ScalarType.Float32
                ? c.Like("Clip", [x.Value, x.Number(low).Value, x.Number(high).Value])
                : x.Max(x.Number(low)).Min(x.Number(high)).Value
        );
    }

    // ONNX keeps the slope in float32.
    /// <summary>
    /// x above zero, slope x below. ONNX keeps the slope in float32, so float64 is written out.
    /// </summary>
    private static void Leaky(LoweringContext c, double slope)
    {
        var x = X(c);
        c.Result(
            x.Type == ScalarType.Float32
                ? x.Apply("LeakyRelu", ("alpha", (float)slope)).Value
                : Formula.Where(x > 0, x, x * slope).Value
        );
    }

    /// <summary>scale x above zero, scale alpha (exp(input_scale x) - 1) below.</summary>
    private static void Elu(LoweringContext c)
    {
        double alpha = Option(c, 1, "alpha"),
            scale = Option(c, 1, "scale"),
            inner = Option(c, 1, "input_scale");
        Exponential(c, scale == 1 && inner == 1 ? "Elu" : null, alpha, scale, inner, ("alpha", (float)alpha));
    }

    /// <summary>x above zero, alpha (exp(x / alpha) - 1) below.</summary>
    private static void Celu(LoweringContext c)
    {
        var alpha = Option(c, 1, "alpha");
        Exponential(c, "Celu", alpha, 1, 1 / alpha, ("alpha", (float)alpha));
    }

    /// <summary>scale x above zero, scale alpha expm1(inner x) below; the ONNX operator is used for
    /// float32.</summary>
    /// <param name="c">The operation.</param>
    /// <param name="onnx">ONNX's operator for float32; null if it does not support these factors.</param>
    /// <param name="alpha">Factor below zero.</param>
    /// <param name="scale">Factor of the whole result.</param>
    /// <param name="inner">Factor of the exponent.</param>
    /// <param name="attributes">Attributes of ONNX's operator.</param>
    private static void Exponential(
        LoweringContext c,
        string? onnx,
        double alpha,
        double scale,
        double inner,
        params (string Name, object Value)[] attributes
    )
    {
        var x = X(c);
        if (onnx is not null && x.Type == ScalarType.Float32)
        {
            c.Result(x.Apply(onnx, attributes).Value);
            return;
        }

        var positive = scale == 1 ? x : x * scale;
        c.Result(
            Formula.Where(x > 0, positive, SpecialFunctions.Expm1(inner == 1 ? x : x * inner) * (alpha * scale)).Value
        );
    }

    /// <summary>min(x, 0) - log1p(exp(-|x|)), which does not overflow.</summary>
    private static void LogSigmoidRule(LoweringContext c)
    {
        var x = X(c);
        c.Result((x.Min(x.Number(0)) - SpecialFunctions.Log1p((-x.Abs()).Apply("Exp"))).Value);
    }

    /// <summary>min(max(x + 3, 0), 6) / 6: the hard sigmoid.</summary>
    private static Formula SixthOfSix(Formula x) => (x + 3).Max(x.Number(0)).Min(x.Number(6)) / 6;

    /// <summary>
    /// Hard sigmoid or hard swish: the operator for float32, the formula for other dtypes.
    /// </summary>
    /// <param name="c">The operation.</param>
    /// <param name="onnx">ONNX's operator.</param>
    /// <param name="function">The equivalent formula.</param>
    /// <param name="attributes">Attributes of ONNX's operator.</param>
    private static void HardSigmoid(
        LoweringContext c,
        string onnx,
        Func<Formula, Formula> function,
        params (string Name, object Value)[] attributes
    )
    {
        var input = X(c);
        c.Result(input.Type == ScalarType.Float32 ? input.Apply(onnx, attributes).Value : function(input).Value);
    }

    /// <summary>
    /// 0 between -lambda and lambda, x beyond; lambda is rounded to the dtype, as in TorchSharp's comparison.
    /// </summary>
    private static void Hardshrink(LoweringContext c)
    {
        var x = X(c);
        var lambda = Kernels.Round(Option(c, 0.5, "lambda"), c.ResultType());
        c.Result(Formula.Where((x >= -lambda) & (x <= lambda), 0, x).Value);
    }

    /// <summary>x moved towards zero by lambda, 0 between -lambda and lambda; NaN is preserved.</summary>
    private static void Softshrink(LoweringContext c)
    {
        var x = X(c);
        var lambda = Option(c, 0.5, "lambda");
        // x * 0 is NaN if x is NaN, and otherwise zero.
        c.Result(Formula.Where(x > lambda, x - lambda, Formula.Where(x < -lambda, x + lambda, x * 0)).Value);
    }

    /// <summary>x / (1 + |x|).</summary>
    private static void Softsign(LoweringContext c)
    {
        // TorchSharp rounds the sum to the argument's dtype before it divides.
        var x = new Formula(c, c.Tensor());
        var type = Kernels.Wide(c.ResultType());
        c.Result((x.To(type) / (x.Abs() + 1).To(type)).Value);
    }

    /// <summary>x - tanh(x).</summary>
    private static void Tanhshrink(LoweringContext c)
    {
        // Two operations in TorchSharp: the hyperbolic tangent is rounded to the dtype before it is subtracted.
        var x = X(c);
        c.Result((x - x.Apply("Tanh").To(c.ResultType()).To(x.Type)).Value);
    }

    /// <summary>
    /// softmax, softmin or log softmax along an axis; also for a tensor without axes.
    /// </summary>
    /// <param name="c">The operation.</param>
    /// <param name="onnx">Softmax or LogSoftmax.</param>
    /// <param name="axis">The axis; negative values count from the end.</param>
    /// <param name="negate">Whether to negate the argument first, for softmin.</param>
    private static void Softmax(LoweringContext c, string onnx, long axis, bool negate = false)
    {
        var logits = negate ? -X(c) : X(c);
        c.Result(
            Ranks.AtLeastOne(c, logits.Value, value =>
                onnx == "LogSoftmax"
                    ? LogSoftmax(c, value, c.Axis(axis, value.Rank))
                    : c.Like(onnx, [value], ("axis", c.Axis(axis, value.Rank)))
            )
        );
    }

    /// <summary>The logarithm of the softmax.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="value">Floating-point values of rank 1 or more.</param>
    /// <param name="axis">Axis, from 0.</param>
    public static GraphValue LogSoftmax(LoweringContext c, GraphValue value, long axis)
    {
        if (value.Type != ScalarType.Float64)
            return c.Like("LogSoftmax", [value], ("axis", axis));
        // ONNX Runtime's operator for float64 returns -infinity if there are NaN or infinities.
        var below = new Formula(c, value) - new Formula(c, Reductions.Extreme(c, "Max", value, [axis], keep: true));
        var sum = new Formula(c, Reductions.Reduce(c, "ReduceSum", below.Apply("Exp").Value, [axis], keep: true));
        return (below - sum.Apply("Log")).Value;
    }

    /// <summary>
    /// GELU, exact or approximated by the hyperbolic tangent, depending on the option <c>approximate</c>.
    /// </summary>
    private static void Gelu(LoweringContext c)
    {
        var x = X(c);
        var approximate = c.Module is GELU module ? module.approximate.ToString() : c.Text("approximate") ?? "none";
        if (!approximate.Equals("tanh", StringComparison.OrdinalIgnoreCase))
        {
            c.Result(GeluExact(c, x.Value));
            return;
        }

        var inner = (x + x * x * x * 0.044715) * Math.Sqrt(2 / Math.PI);
        c.Result((x * 0.5 * (inner.Apply("Tanh") + 1)).Value);
    }

    /// <summary>
    /// log1p(exp(beta x)) / beta, and x itself where beta x is above the threshold.
    /// </summary>
    private static void Softplus(LoweringContext c)
    {
        var x = X(c);
        double beta = Option(c, 1, "beta"),
            threshold = Option(c, 20, "threshold");
        var scaled = beta == 1 ? x : x * beta;
        var soft = beta == 1 ? Softplus(scaled) : Softplus(scaled) / beta;
        // Beyond 20 the two differ by 2e-9, which is below the precision of float32.
        c.Result(
            threshold < 20 || x.Type == ScalarType.Float64
                ? Formula.Where(scaled > threshold, x, soft).Value
                : soft.Value
        );
    }

    /// <summary>x above the threshold, a fixed value otherwise.</summary>
    private static void ThresholdRule(LoweringContext c)
    {
        var x = X(c);
        double threshold = Option(c, 0, "threshold"),
            value = Option(c, 0, "value");
        c.Result(Formula.Where(x <= threshold, value, x).Value);
    }

    /// <summary>
    /// min(max(x, min_val), max_val); refused without inplace, because TorchSharp 0.107 then returns its input
    /// unchanged.
    /// </summary>
    private static void Hardtanh(LoweringContext c)
    {
        var inPlace = c.Module is Hardtanh module
            ? module.inplace
            : c.Method.Name.EndsWith('_') || c.Flag(false, "inplace");
        if (!inPlace)
            throw c.Refuse(
                "TorchSharp 0.107's hardtanh without inplace returns its input unchanged. Use "
                    + "inplace: true, or clamp"
            );
        Clamped(c, Option(c, -1, "min_val"), Option(c, 1, "max_val"));
    }

    /// <summary>The first half of an axis times the sigmoid of the second.</summary>
    private static void Glu(LoweringContext c)
    {
        var input = X(c);
        var axis = c.Axis(Dim(c), input.Value.Rank);
        var half = c.FixedResultSize(0, (int)axis) ?? throw c.RefuseFree($"the axis that is split in two ({axis})");
        var parts = c.Nodes(
            "Split",
            [(input.Type, input.Value.Rank), (input.Type, input.Value.Rank)],
            [input.Value, c.Constants([half, half])],
            ("axis", axis)
        );
        c.Result((new Formula(c, parts[0]) * new Formula(c, parts[1]).Apply("Sigmoid")).Value);
    }

    /// <summary>
    /// x above zero, a learned slope times x below; one slope for all, or one per channel.
    /// </summary>
    /// <param name="c">The operation.</param>
    /// <param name="weight">The slopes: a single one, or [C] along axis 1.</param>
    private static void PRelu(LoweringContext c, GraphValue weight)
    {
        // One slope per channel (axis 1): [C] becomes [C, 1, ...] to broadcast over the other axes.
        var input = X(c);
        var slope = c.Cast(
            input.Value.Rank > 2 && weight.Rank == 1
                ? c.Node(
                    "Unsqueeze",
                    weight.Type,
                    input.Value.Rank - 1,
                    [weight, c.Constants([.. Enumerable.Range(1, input.Value.Rank - 2).Select(axis => (long)axis)])]
                )
                : weight,
            input.Type
        );
        if (input.Type == ScalarType.Float32)
            c.Result(c.Like("PRelu", [input.Value, slope]));
        else
            c.Result(Formula.Where(input > 0, input, input * new Formula(c, slope)).Value);
    }
}
