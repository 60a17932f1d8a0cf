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

    /// <summary>Where the nodes are written, for the operators, which are static.</summary>
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

    /// <summary>The negative; ONNX has none of booleans and unsigned integers.</summary>
    public static Formula operator -(Formula a) => a.Apply("Neg");

    /// <summary>The product element by element; see <see cref="Families.Matrices"/> for that of matrices.</summary>
    public static Formula operator *(Formula a, Formula b) => a.Binary("Mul", b);

    /// <summary>The product with a number, which becomes a scalar of the value's dtype.</summary>
    public static Formula operator *(Formula a, double b) => a * a.Number(b);

    /// <summary>The product of a number and a value, in the value's dtype.</summary>
    public static Formula operator *(double a, Formula b) => b.Number(a) * b;

    /// <summary>The quotient; of integers ONNX rounds it towards zero.</summary>
    public static Formula operator /(Formula a, Formula b) => a.Binary("Div", b);

    /// <summary>The quotient by a number, which becomes a scalar of the value's dtype.</summary>
    public static Formula operator /(Formula a, double b) => a / a.Number(b);

    /// <summary>A number divided by the value, in the value's dtype.</summary>
    public static Formula operator /(double a, Formula b) => b.Number(a) / b;

    /// <summary>Booleans: whether a is less; false beside NaN.</summary>
    public static Formula operator <(Formula a, Formula b) => a.Test("Less", b);

    /// <summary>Booleans: whether a is less than a number, which is taken to a's dtype first.</summary>
    public static Formula operator <(Formula a, double b) => a < a.Number(b);

    /// <summary>Booleans: whether a is greater; false beside NaN.</summary>
    public static Formula operator >(Formula a, Formula b) => a.Test("Greater", b);

    /// <summary>Booleans: whether a is greater than a number, which is taken to a's dtype first.</summary>
    public static Formula operator >(Formula a, double b) => a > a.Number(b);

    /// <summary>Booleans: whether a is not greater; false beside NaN.</summary>
    public static Formula operator <=(Formula a, Formula b) => a.Test("LessOrEqual", b);

    /// <summary>Booleans: whether a is at most a number, which is taken to a's dtype first.</summary>
    public static Formula operator <=(Formula a, double b) => a <= a.Number(b);

    /// <summary>Booleans: whether a is not less; false beside NaN.</summary>
    public static Formula operator >=(Formula a, Formula b) => a.Test("GreaterOrEqual", b);

    /// <summary>Booleans: whether a is at least a number, which is taken to a's dtype first.</summary>
    public static Formula operator >=(Formula a, double b) => a >= a.Number(b);

    /// <summary>Both, of two booleans; ONNX's And takes no integers.</summary>
    public static Formula operator &(Formula a, Formula b) => a.Test("And", b);

    /// <summary>Either or both, of two booleans; ONNX's Or takes no integers.</summary>
    public static Formula operator |(Formula a, Formula b) => a.Test("Or", b);

    /// <summary>Either but not both, of two booleans; it is no power.</summary>
    public static Formula operator ^(Formula a, Formula b) => a.Test("Xor", b);

    /// <summary>The opposite of booleans.</summary>
    public static Formula operator !(Formula a) => a.Apply("Not");

    /// <summary><paramref name="a"/> where the mask is true, else <paramref name="b"/>.</summary>
    /// <param name="mask">Booleans; broadcasts with the two values.</param>
    /// <param name="a">Taken where the mask is true; its dtype is the result's.</param>
    /// <param name="b">Taken elsewhere; of the dtype of <paramref name="a"/>.</param>
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
    /// <param name="opType">Name of the ONNX operator.</param>
    /// <param name="attributes">Of the node; longs, floats, strings, or arrays of these.</param>
    public Formula Apply(string opType, params (string Name, object Value)[] attributes) =>
        new(context, context.Like(opType, [value], attributes));

    /// <summary>An operator of two operands that keeps their dtype.</summary>
    /// <param name="opType">Name of the ONNX operator.</param>
    /// <param name="other">The second operand, of the same dtype; its shape broadcasts.</param>
    /// <param name="attributes">Of the node; longs, floats, strings, or arrays of these.</param>
    public Formula Binary(string opType, Formula other, params (string Name, object Value)[] attributes) =>
        new(
            context,
            context.Node(opType, value.Type, Math.Max(value.Rank, other.Value.Rank), [value, other.Value], attributes)
        );

    /// <summary>An operator of two operands that gives booleans.</summary>
    /// <param name="opType">Name of the ONNX operator, one that compares or joins booleans.</param>
    /// <param name="other">The second operand, of the same dtype; its shape broadcasts.</param>
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
    /// <param name="type">The dtype; where it is the value's own, no node is written.</param>
    public Formula To(ScalarType type) => new(context, context.Cast(value, type));

    /// <summary>A number of this dtype, of rank 0.</summary>
    /// <param name="number">Cast from float64: rounded for small floats, cut off for integers.</param>
    public Formula Number(double number) => new(context, context.Scalar(number, value.Type));

    /// <summary>|x|</summary>
    public Formula Abs() => Apply("Abs");

    /// <summary>The polynomial whose coefficients are given from the highest power down.</summary>
    /// <param name="coefficients">At least two.</param>
    /// <returns>Horner's scheme: one Mul and one Add for each power.</returns>
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
    /// <summary>
    /// Max or Min of two values, by the operator that is right for their dtype: booleans by Or and And, 64-bit
    /// integers by Where, all others by ONNX's own.
    /// </summary>
    private Formula Extreme(string opType, Formula other) =>
        value.Type switch
        {
            ScalarType.Bool => Test(opType == "Max" ? "Or" : "And", other),
            ScalarType.Int64 => Where(opType == "Max" ? this > other : this < other, this, other),
            _ => Binary(opType, other),
        };
}
