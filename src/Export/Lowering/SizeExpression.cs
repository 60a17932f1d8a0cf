using TorchBridge.Export.Capture;

namespace TorchBridge.Export.Lowering;

/// <summary>An integer that follows the free axes: a size of a value, a constant, or one + − × ÷ of two of these.</summary>
internal abstract record SizeExpression
{
    public sealed record Constant(long Value) : SizeExpression;

    public sealed record Axis(int Value, int Dimension) : SizeExpression;

    public sealed record Binary(string Operator, SizeExpression Left, SizeExpression Right) : SizeExpression;
}

/// <summary>
/// Finds what an integer is that differs between the traces. The sizes of the free axes are different primes (or primes times a
/// power of two) in each of the three traces, so that a formula that fits all three is the formula.
/// </summary>
internal static class SizeSolver
{
    /// <summary>The expression whose values these are, or null: refuse.</summary>
    /// <param name="values">One a trace.</param>
    /// <param name="candidates">Sizes that may be used, nearest first.</param>
    public static SizeExpression? Solve(long[] values, IEnumerable<(int Value, int Dimension, long[] Sizes)> candidates)
    {
        var distinct = new List<(SizeExpression.Axis Axis, long[] Sizes)>();
        foreach (var (value, dimension, sizes) in candidates)
        {
            if (sizes.AsSpan().SequenceEqual(values)) return new SizeExpression.Axis(value, dimension);
            var varies = sizes.Any(size => size != sizes[0]);
            if (varies && distinct.Count < 64 && !distinct.Any(known => known.Sizes.AsSpan().SequenceEqual(sizes))) distinct.Add((new SizeExpression.Axis(value, dimension), sizes));
        }

        foreach (var (axis, sizes) in distinct)
        {
            if (WithConstant(values, axis, sizes) is { } found) return found;
        }

        foreach (var (axisA, a) in distinct)
        {
            foreach (var (axisB, b) in distinct)
            {
                if (Fits(values, a, b, (x, y) => x * y)) return new SizeExpression.Binary("Mul", axisA, axisB);
                if (Fits(values, a, b, (x, y) => x + y)) return new SizeExpression.Binary("Add", axisA, axisB);
                if (Fits(values, a, b, (x, y) => x - y)) return new SizeExpression.Binary("Sub", axisA, axisB);
                if (Fits(values, a, b, (x, y) => y != 0 && x % y == 0 ? x / y : long.MinValue)) return new SizeExpression.Binary("Div", axisA, axisB);
            }
        }

        return null;
    }

    private static SizeExpression? WithConstant(long[] values, SizeExpression axis, long[] sizes)
    {
        if (sizes[0] != 0 && values[0] % sizes[0] == 0)
        {
            var factor = values[0] / sizes[0];
            if (factor != 0 && Fits(values, sizes, sizes, (x, _) => x * factor)) return new SizeExpression.Binary("Mul", axis, new SizeExpression.Constant(factor));
        }

        var offset = values[0] - sizes[0];
        if (Fits(values, sizes, sizes, (x, _) => x + offset)) return new SizeExpression.Binary("Add", axis, new SizeExpression.Constant(offset));
        var sum = values[0] + sizes[0];
        if (Fits(values, sizes, sizes, (x, _) => sum - x)) return new SizeExpression.Binary("Sub", new SizeExpression.Constant(sum), axis);
        for (var divisor = 2L; divisor <= 256; divisor++)
        {
            if (Fits(values, sizes, sizes, (x, _) => x / divisor)) return new SizeExpression.Binary("Div", axis, new SizeExpression.Constant(divisor));
        }

        var product = values[0] * sizes[0];
        return Fits(values, sizes, sizes, (x, _) => x != 0 && product % x == 0 ? product / x : long.MinValue)
            ? new SizeExpression.Binary("Div", new SizeExpression.Constant(product), axis)
            : null;
    }

    private static bool Fits(long[] values, long[] a, long[] b, Func<long, long, long> formula)
    {
        for (var i = 0; i < values.Length; i++)
        {
            if (formula(a[i], b[i]) != values[i]) return false;
        }

        return true;
    }
}
