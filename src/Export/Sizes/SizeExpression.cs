namespace TorchBridge.Export.Sizes;

/// <summary>An operation on two integers. Division truncates, like integer division in C# and ONNX.</summary>
internal enum SizeOperator
{
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Min,
    Max,
}

/// <summary>An integer that depends on the free axes: a size of a value, a constant, or a formula of these.</summary>
internal abstract record SizeExpression
{
    /// <summary>The value of a formula without a result (division by zero, overflow).</summary>
    public const long Undefined = long.MinValue;

    /// <summary>The size of an axis of a traced value.</summary>
    public sealed record Axis(int Value, int Dimension) : SizeExpression;

    /// <summary>A number.</summary>
    public sealed record Constant(long Value) : SizeExpression;

    /// <summary>A formula of two integers.</summary>
    public sealed record Binary(SizeOperator Operator, SizeExpression Left, SizeExpression Right) : SizeExpression;

    /// <summary>The square root, rounded down: for example the side length of a square of tokens.</summary>
    public sealed record SquareRoot(SizeExpression Operand) : SizeExpression;

    /// <summary>The axes in the formula.</summary>
    public IEnumerable<Axis> Axes =>
        this switch
        {
            Axis axis => [axis],
            Binary binary => binary.Left.Axes.Concat(binary.Right.Axes),
            SquareRoot root => root.Operand.Axes,
            _ => [],
        };

    /// <summary>
    /// The value of the formula for the sizes that <paramref name="sizeOf"/> returns; <see cref="Undefined"/> if it
    /// has none.
    /// </summary>
    /// <param name="sizeOf">The size of each axis.</param>
    public long Evaluate(Func<Axis, long> sizeOf) =>
        this switch
        {
            Axis axis => sizeOf(axis),
            Constant constant => constant.Value,
            Binary binary => Apply(binary.Operator, binary.Left.Evaluate(sizeOf), binary.Right.Evaluate(sizeOf)),
            SquareRoot root => Root(root.Operand.Evaluate(sizeOf)),
            _ => throw new InvalidOperationException(),
        };

    /// <summary>Applies an operation to two integers.</summary>
    /// <param name="operation">The operation.</param>
    /// <param name="left">The first operand.</param>
    /// <param name="right">The second operand.</param>
    /// <returns><see cref="Undefined"/> if there is no result, or if it is too large for a size.</returns>
    public static long Apply(SizeOperator operation, long left, long right)
    {
        // Sizes are far below this limit, so nothing overflows; larger values do not come from a formula of sizes.
        const long limit = 1L << 31;
        if (left is > limit or < -limit || right is > limit or < -limit)
            return Undefined;
        return operation switch
        {
            SizeOperator.Add => left + right,
            SizeOperator.Subtract => left - right,
            SizeOperator.Multiply => left * right,
            SizeOperator.Divide => right == 0 ? Undefined : left / right,
            SizeOperator.Remainder => right == 0 ? Undefined : left % right,
            SizeOperator.Min => Math.Min(left, right),
            SizeOperator.Max => Math.Max(left, right),
            _ => throw new ArgumentOutOfRangeException(nameof(operation)),
        };
    }

    /// <summary>The square root, rounded down; <see cref="Undefined"/> below zero.</summary>
    /// <param name="value">Any integer.</param>
    public static long Root(long value) => value < 0 ? Undefined : (long)Math.Sqrt(value);

    /// <summary>The formula as readable text.</summary>
    /// <param name="nameOf">The name of an axis.</param>
    public string Text(Func<Axis, string> nameOf) =>
        this switch
        {
            Axis axis => nameOf(axis),
            Constant constant => $"{constant.Value}",
            SquareRoot root => $"sqrt({root.Operand.Text(nameOf)})",
            Binary { Operator: SizeOperator.Min } binary =>
                $"min({binary.Left.Text(nameOf)}, {binary.Right.Text(nameOf)})",
            Binary { Operator: SizeOperator.Max } binary =>
                $"max({binary.Left.Text(nameOf)}, {binary.Right.Text(nameOf)})",
            Binary binary =>
                $"{Bracketed(binary.Left, nameOf)} {Sign(binary.Operator)} {Bracketed(binary.Right, nameOf)}",
            _ => throw new InvalidOperationException(),
        };

    /// <summary>A part of a formula, in brackets if needed.</summary>
    private static string Bracketed(SizeExpression part, Func<Axis, string> nameOf) =>
        part is Binary { Operator: not (SizeOperator.Min or SizeOperator.Max) }
            ? $"({part.Text(nameOf)})"
            : part.Text(nameOf);

    /// <summary>The symbol of an operator.</summary>
    private static string Sign(SizeOperator operation) =>
        operation switch
        {
            SizeOperator.Add => "+",
            SizeOperator.Subtract => "-",
            SizeOperator.Multiply => "*",
            SizeOperator.Divide => "/",
            _ => "%",
        };
}
