using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering;

/// <summary>A value of the graph that formulas can be written with: each operator writes a node. Both sides have one
/// dtype; shapes broadcast.</summary>
/// <param name="context">Where the nodes are written.</param>
/// <param name="value">The value.</param>
internal readonly struct Formula(LoweringContext context, GraphValue value)
{
    /// <summary>The value in the graph.</summary>
    public GraphValue Value => value;

    /// <summary>Its dtype.</summary>
    public ScalarType Type => value.Type;

    /// <summary>Whether its dtype has NaN and infinities.</summary>
    public bool IsFloat => is_floating_point(value.Type);

    private LoweringContext Context => context;

    public static Formula operator +(Formula a, Formula b) => a.Binary("Add", b);

    public static Formula operator +(Formula a, double b) => a + a.Number(b);

    public static Formula operator +(double a, Formula b) => b.Number(a) + b;

    public static Formula operator -(Formula a, Formula b) => a.Binary("Sub", b);

    public static Formula operator -(Formula a, double b) => a - a.Number(b);

    public static Formula operator -(double a, Formula b) => b.Number(a) - b;

    public static Formula operator -(Formula a) => a.Apply("Neg");

    public static Formula operator *(Formula a, Formula b) => a.Binary("Mul", b);

    public static Formula operator *(Formula a, double b) => a * a.Number(b);

    public static Formula operator *(double a, Formula b) => b.Number(a) * b;

    public static Formula operator /(Formula a, Formula b) => a.Binary("Div", b);

    public static Formula operator /(Formula a, double b) => a / a.Number(b);

    public static Formula operator /(double a, Formula b) => b.Number(a) / b;

    public static Formula operator <(Formula a, Formula b) => a.Test("Less", b);

    public static Formula operator <(Formula a, double b) => a < a.Number(b);

    public static Formula operator >(Formula a, Formula b) => a.Test("Greater", b);

    public static Formula operator >(Formula a, double b) => a > a.Number(b);

    public static Formula operator <=(Formula a, Formula b) => a.Test("LessOrEqual", b);

    public static Formula operator <=(Formula a, double b) => a <= a.Number(b);

    public static Formula operator >=(Formula a, Formula b) => a.Test("GreaterOrEqual", b);

    public static Formula operator >=(Formula a, double b) => a >= a.Number(b);

    public static Formula operator &(Formula a, Formula b) => a.Test("And", b);

    public static Formula operator |(Formula a, Formula b) => a.Test("Or", b);

    public static Formula operator ^(Formula a, Formula b) => a.Test("Xor", b);

    public static Formula operator !(Formula a) => a.Apply("Not");

    /// <summary><paramref name="a"/> where the mask is true, else <paramref name="b"/>.</summary>
    public static Formula Where(Formula mask, Formula a, Formula b) =>
        new(
            a.Context,
            a.Context.Node(
                "Where",
                a.Type,
                Math.Max(mask.Value.Rank, Math.Max(a.Value.Rank, b.Value.Rank)),
                [mask.Value, a.Value, b.Value]
            )
        );

    /// <summary>The number where the mask is true, else <paramref name="b"/>.</summary>
    public static Formula Where(Formula mask, double a, Formula b) => Where(mask, b.Number(a), b);

    /// <summary><paramref name="a"/> where the mask is true, else the number.</summary>
    public static Formula Where(Formula mask, Formula a, double b) => Where(mask, a, a.Number(b));

    /// <summary>An operator of one operand that keeps dtype and shape.</summary>
    public Formula Apply(string opType, params (string Name, object Value)[] attributes) =>
        new(context, context.Like(opType, [value], attributes));

    /// <summary>An operator of two operands that keeps their dtype.</summary>
    public Formula Binary(string opType, Formula other, params (string Name, object Value)[] attributes) =>
        new(
            context,
            context.Node(opType, value.Type, Math.Max(value.Rank, other.Value.Rank), [value, other.Value], attributes)
        );

    /// <summary>An operator of two operands that gives booleans.</summary>
    public Formula Test(string opType, Formula other) =>
        new(
            context,
            context.Node(opType, ScalarType.Bool, Math.Max(value.Rank, other.Value.Rank), [value, other.Value])
        );

    /// <summary>Whether the elements are equal; NaN is equal to nothing.</summary>
    public Formula EqualTo(Formula other) => Test("Equal", other);

    /// <summary>Whether the elements are this number.</summary>
    public Formula EqualTo(double number) => EqualTo(Number(number));

    /// <summary>Whether the elements are NaN; no integer is.</summary>
    public Formula IsNan() =>
        IsFloat ? new(context, context.Node("IsNaN", ScalarType.Bool, value.Rank, [value])) : !EqualTo(this);

    /// <summary>Whether the elements are an infinity; no integer is.</summary>
    public Formula IsInfinite() =>
        IsFloat ? new(context, context.Node("IsInf", ScalarType.Bool, value.Rank, [value])) : !EqualTo(this);

    /// <summary>The value in another dtype.</summary>
    public Formula To(ScalarType type) => new(context, context.Cast(value, type));

    /// <summary>A number of this dtype, of rank 0.</summary>
    public Formula Number(double number) => new(context, context.Scalar(number, value.Type));

    /// <summary>|x|</summary>
    public Formula Abs() => Apply("Abs");

    /// <summary>The polynomial whose coefficients are given from the highest power down.</summary>
    public Formula Polynomial(params double[] coefficients)
    {
        var sum = this * coefficients[0] + coefficients[1];
        foreach (var coefficient in coefficients.AsSpan(2))
            sum = sum * this + coefficient;
        return sum;
    }

    /// <summary>The larger element; NaN where one is NaN.</summary>
    public Formula Max(Formula other) => Extreme("Max", other);

    /// <summary>The smaller element; NaN where one is NaN.</summary>
    public Formula Min(Formula other) => Extreme("Min", other);

    // ONNX Runtime 1.31 compares the low 32 bits of 64-bit integers in Max and Min.
    private Formula Extreme(string opType, Formula other) =>
        value.Type switch
        {
            ScalarType.Bool => Test(opType == "Max" ? "Or" : "And", other),
            ScalarType.Int64 => Where(opType == "Max" ? this > other : this < other, this, other),
            _ => Binary(opType, other),
        };
}
