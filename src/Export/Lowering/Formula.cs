using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering;

/// <summary>A graph value with operators, so that formulas can be written in C#: each operator adds a node. Both
/// operands have the same dtype; shapes broadcast.</summary>
/// <param name="context">Receives the nodes.</param>
/// <param name="value">The value.</param>
internal readonly struct Formula(LoweringContext context, GraphValue value)
{
    /// <summary>The value in the graph.</summary>
    public GraphValue Value => value;

    /// <summary>Its dtype.</summary>
    public ScalarType Type => value.Type;

    /// <summary>Whether its dtype is floating-point (has NaN and infinities).</summary>
    public bool IsFloat => is_floating_point(value.Type);

    /// <summary>Receives the nodes; for the operators, which are static.</summary>
    private LoweringContext Context => context;

    /// <summary>The sum; of integers it wraps around.</summary>
    public static Formula operator +(Formula a, Formula b) => a.Binary("Add", b);

    /// <summary>The sum with a number, which becomes a scalar of the value's dtype.</summary>
    public static Formula operator +(Formula a, double b) => a + a.Number(b);

    /// <summary>The sum of a number and a value, in the value's dtype.</summary>
    public static Formula operator +(double a, Formula b) => b.Number(a) + b;

    /// <summary>The difference, element by element.</summary>
    public static Formula operator -(Formula a, Formula b) => a.Binary("Sub", b);

    /// <summary>The difference to a number, which becomes a scalar of the value's dtype.</summary>
    public static Formula operator -(Formula a, double b) => a - a.Number(b);

    /// <summary>A number less the value, in the value's dtype.</summary>
    public static Formula operator -(double a, Formula b) => b.Number(a) - b;

    /// <summary>The negative; ONNX does not support it for booleans and unsigned integers.</summary>
    public static Formula operator -(Formula a) => a.Apply("Neg");

    /// <summary>The elementwise product; see <see cref="Families.Matrices"/> for matrix products.</summary>
    public static Formula operator *(Formula a, Formula b) => a.Binary("Mul", b);

    /// <summary>The product with a number, which becomes a scalar of the value's dtype.</summary>
    public static Formula operator *(Formula a, double b) => a * a.Number(b);

    /// <summary>The product of a number and a value, in the value's dtype.</summary>
    public static Formula operator *(double a, Formula b) => b.Number(a) * b;

    /// <summary>The quotient; ONNX rounds integer quotients towards zero.</summary>
    public static Formula operator /(Formula a, Formula b) => a.Binary("Div", b);

    /// <summary>The quotient by a number, which becomes a scalar of the value's dtype.</summary>
    public static Formula operator /(Formula a, double b) => a / a.Number(b);

    /// <summary>A number divided by the value, in the value's dtype.</summary>
    public static Formula operator /(double a, Formula b) => b.Number(a) / b;

    /// <summary>Booleans: whether a is less; false if either is NaN.</summary>
    public static Formula operator <(Formula a, Formula b) => a.Test("Less", b);

    /// <summary>Booleans: whether a is less than a number, which is converted to a's dtype first.</summary>
    public static Formula operator <(Formula a, double b) => a < a.Number(b);

    /// <summary>Booleans: whether a is greater; false if either is NaN.</summary>
    public static Formula operator >(Formula a, Formula b) => a.Test("Greater", b);

    /// <summary>Booleans: whether a is greater than a number, which is converted to a's dtype first.</summary>
    public static Formula operator >(Formula a, double b) => a > a.Number(b);

    /// <summary>Booleans: whether a is less or equal; false if either is NaN.</summary>
    public static Formula operator <=(Formula a, Formula b) => a.Test("LessOrEqual", b);

    /// <summary>Booleans: whether a is at most a number, which is converted to a's dtype first.</summary>
    public static Formula operator <=(Formula a, double b) => a <= a.Number(b);

    /// <summary>Booleans: whether a is greater or equal; false if either is NaN.</summary>
    public static Formula operator >=(Formula a, Formula b) => a.Test("GreaterOrEqual", b);

    /// <summary>Booleans: whether a is at least a number, which is converted to a's dtype first.</summary>
    public static Formula operator >=(Formula a, double b) => a >= a.Number(b);

    /// <summary>Logical AND of two booleans; ONNX's And does not accept integers.</summary>
    public static Formula operator &(Formula a, Formula b) => a.Test("And", b);

    /// <summary>Logical OR of two booleans; ONNX's Or does not accept integers.</summary>
    public static Formula operator |(Formula a, Formula b) => a.Test("Or", b);

    /// <summary>Exclusive OR of two booleans (not a power).</summary>
    public static Formula operator ^(Formula a, Formula b) => a.Test("Xor", b);

    /// <summary>Logical NOT of booleans.</summary>
    public static Formula operator !(Formula a) => a.Apply("Not");

    /// <summary><paramref name="a"/> where the mask is true, else <paramref name="b"/>.</summary>
    /// <param name="mask">Booleans; broadcasts with the two values.</param>
    /// <param name="a">Value where the mask is true; its dtype is the result's.</param>
    /// <param name="b">Value elsewhere, of the same dtype as <paramref name="a"/>.</param>
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

    /// <summary>Applies a unary operator that keeps dtype and shape.</summary>
    /// <param name="opType">Name of the ONNX operator.</param>
    /// <param name="attributes">Attributes of the node; longs, floats, strings, or arrays of these.</param>
    public Formula Apply(string opType, params (string Name, object Value)[] attributes) =>
        new(context, context.Like(opType, [value], attributes));

    /// <summary>Applies a binary operator that keeps the operands' dtype.</summary>
    /// <param name="opType">Name of the ONNX operator.</param>
    /// <param name="other">The second operand, of the same dtype; its shape broadcasts.</param>
    /// <param name="attributes">Attributes of the node; longs, floats, strings, or arrays of these.</param>
    public Formula Binary(string opType, Formula other, params (string Name, object Value)[] attributes) =>
        new(
            context,
            context.Node(opType, value.Type, Math.Max(value.Rank, other.Value.Rank), [value, other.Value], attributes)
        );

    /// <summary>Applies a binary operator that returns booleans.</summary>
    /// <param name="opType">Name of an ONNX comparison or logical operator.</param>
    /// <param name="other">The second operand, of the same dtype; its shape broadcasts.</param>
    public Formula Test(string opType, Formula other) =>
        new(
            context,
            context.Node(opType, ScalarType.Bool, Math.Max(value.Rank, other.Value.Rank), [value, other.Value])
        );

    /// <summary>Whether the elements are equal; NaN equals nothing.</summary>
    public Formula EqualTo(Formula other) => Test("Equal", other);

    /// <summary>Whether the elements equal a number.</summary>
    public Formula EqualTo(double number) => EqualTo(Number(number));

    /// <summary>Whether the elements are NaN; false for integers.</summary>
    public Formula IsNan() =>
        IsFloat ? new(context, context.Node("IsNaN", ScalarType.Bool, value.Rank, [value])) : !EqualTo(this);

    /// <summary>Whether the elements are infinite; false for integers.</summary>
    public Formula IsInfinite() =>
        IsFloat ? new(context, context.Node("IsInf", ScalarType.Bool, value.Rank, [value])) : !EqualTo(this);

    /// <summary>The value in another dtype.</summary>
    /// <param name="type">The dtype; if it is the value's own dtype, no node is added.</param>
    public Formula To(ScalarType type) => new(context, context.Cast(value, type));

    /// <summary>A scalar (rank 0) of this dtype.</summary>
    /// <param name="number">The number, converted from float64: rounded for smaller floats, truncated for
    /// integers.</param>
    public Formula Number(double number) => new(context, context.Scalar(number, value.Type));

    /// <summary>|x|</summary>
    public Formula Abs() => Apply("Abs");

    /// <summary>The polynomial whose coefficients are given from the highest power down.</summary>
    /// <param name="coefficients">At least two coefficients.</param>
    /// <returns>Horner's scheme: one Mul and one Add for each power.</returns>
    public Formula Polynomial(params double[] coefficients)
    {
        var sum = this * coefficients[0] + coefficients[1];
        foreach (var coefficient in coefficients.AsSpan(2))
            sum = sum * this + coefficient;
        return sum;
    }

    /// <summary>The larger element; NaN if either is NaN.</summary>
    public Formula Max(Formula other) => Extreme("Max", other);

    /// <summary>The smaller element; NaN if either is NaN.</summary>
    public Formula Min(Formula other) => Extreme("Min", other);

    // ONNX Runtime 1.31 compares the low 32 bits of 64-bit integers in Max and Min.
    /// <summary>
    /// Max or Min of two values, with an operator that is correct for their dtype: Or and And for booleans, Where for
    /// 64-bit integers, ONNX's own operator otherwise.
    /// </summary>
    private Formula Extreme(string opType, Formula other) =>
        value.Type switch
        {
            ScalarType.Bool => Test(opType == "Max" ? "Or" : "And", other),
            ScalarType.Int64 => Where(opType == "Max" ? this > other : this < other, this, other),
            _ => Binary(opType, other),
        };
}
