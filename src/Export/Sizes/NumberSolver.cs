// What it does: finds what a number is that differs between the traces: y = scale * F(u) + offset, or F(u / w), u and
// w integers of sizes, F one of the functions of NumberFunction. Two traces decide scale and offset, the others
// confirm them.
namespace TorchBridge.Export.Sizes;

/// <summary>Finds formulas of sizes for numbers that are no integers.</summary>
internal static class NumberSolver
{
    /// <summary>C# computes in float64, and the formula found here in another order: a few units of 1e-16.</summary>
    private const double Precision = 1e-13;

    /// <summary>A number that was a float on its way has 24 bits: half a unit is 6e-8 of it.</summary>
    private const double SinglePrecision = 1.2e-7;

    /// <summary>The simplest formula of these values, or null.</summary>
    /// <param name="values">One a trace.</param>
    /// <param name="solver">Knows the sizes.</param>
    public static NumberExpression? Solve(double[] values, SizeSolver solver)
    {
        if (values.Length < 3 || values.Any(value => !double.IsFinite(value)))
            return null;
        var precision = values.All(value => (float)value == value) ? SinglePrecision : Precision;
        var integers = solver.Integers().Take(4096).ToArray();
        return Scaled(values, integers, precision, withOffset: false)
            ?? Quotients(values, integers, precision)
            ?? Whole(values, solver, precision)
            ?? Scaled(values, integers, precision, withOffset: true);
    }

    /// <summary>Undoes a function, so that an integer is left, and finds a formula of several steps for that: sqrt((h
    /// / 8) * (w / 8) + 1).</summary>
    /// <param name="values">One per trace.</param>
    /// <param name="solver">Finds the formula of the integer.</param>
    /// <param name="precision">Relative error that the numbers may have: 1.2e-7 where all are float32, else
    /// 1e-13.</param>
    /// <returns>Null where no function leaves integers, or none that has a formula.</returns>
    private static NumberExpression? Whole(double[] values, SizeSolver solver, double precision)
    {
        foreach (
            var function in (NumberFunction[])
                [
                    NumberFunction.Same,
                    NumberFunction.SquareRoot,
                    NumberFunction.Reciprocal,
                    NumberFunction.ReciprocalSquareRoot,
                ]
        )
        {
            var before = values.Select(value => Undo(function, value)).ToArray();
            if (Integers(before, precision) is { } whole && solver.Solve(whole) is [var formula, ..])
                return new NumberExpression(function, formula, null, 1, 0);
        }

        // An integer over a size: x * (n / (double)w).
        foreach (var leaf in solver.Leaves.Take(8))
        {
            if (
                Integers([.. values.Zip(leaf.Sizes, (value, size) => value * size)], precision) is { } numerators
                && solver.Solve(numerators) is [var numerator, ..]
            )
                return new NumberExpression(NumberFunction.Same, numerator, leaf.Axis, 1, 0);
        }

        return null;
    }

    /// <summary>The number that a function gave another one for.</summary>
    /// <param name="function">One that can be undone; the logarithm is none of them.</param>
    /// <param name="value">What it gave.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is another function.</exception>
    private static double Undo(NumberFunction function, double value) =>
        function switch
        {
            NumberFunction.Same => value,
            NumberFunction.Reciprocal => 1 / value,
            NumberFunction.SquareRoot => value * value,
            NumberFunction.ReciprocalSquareRoot => 1 / (value * value),
            _ => throw new ArgumentOutOfRangeException(nameof(function)),
        };

    /// <summary>Numbers that are whole but for roundings; null where one is not.</summary>
    /// <param name="values">One per trace.</param>
    /// <param name="precision">Relative error of each.</param>
    /// <returns>Null also for numbers of 1e9 and more, which are no sizes.</returns>
    private static long[]? Integers(double[] values, double precision)
    {
        var whole = new long[values.Length];
        for (var index = 0; index < whole.Length; index++)
        {
            var rounded = Math.Round(values[index]);
            if (
                !(Math.Abs(rounded) < 1e9)
                || Math.Abs(rounded - values[index]) > 4 * precision * Math.Max(1, Math.Abs(rounded))
            )
                return null;
            whole[index] = (long)rounded;
        }

        return whole;
    }

    /// <summary>scale F(size) + offset.</summary>
    /// <param name="values">One per trace.</param>
    /// <param name="integers">Sizes, and formulas of one step, with their values in the traces.</param>
    /// <param name="precision">Relative error that the numbers may have.</param>
    /// <param name="withOffset">Whether an offset is looked for; that takes five traces.</param>
    /// <returns>Null where nothing fits.</returns>
    private static NumberExpression? Scaled(
        double[] values,
        (long[] Values, Func<SizeExpression> Make)[] integers,
        double precision,
        bool withOffset
    )
    {
        // Four unknown things (function, size, scale, offset) need more than three traces.
        if (withOffset && values.Length < 5)
            return null;
        foreach (var (sizes, make) in integers)
        {
            foreach (var function in Enum.GetValues<NumberFunction>())
            {
                var arguments = sizes.Select(size => Apply(function, size)).ToArray();
                if (arguments.Any(argument => !double.IsFinite(argument)))
                    continue;
                if (Fit(values, arguments, precision, withOffset) is var (scale, offset))
                    return new NumberExpression(function, make(), null, scale, offset);
            }
        }

        return null;
    }

    /// <summary>scale F(size / size).</summary>
    /// <param name="values">One per trace.</param>
    /// <param name="integers">What numerator and denominator may be; only the first 64 are tried.</param>
    /// <param name="precision">Relative error that the numbers may have.</param>
    /// <returns>Null where nothing fits.</returns>
    private static NumberExpression? Quotients(
        double[] values,
        (long[] Values, Func<SizeExpression> Make)[] integers,
        double precision
    )
    {
        var few = integers.Take(64).ToArray();
        foreach (var (numerators, makeNumerator) in few)
        {
            foreach (var (denominators, makeDenominator) in few)
            {
                if (denominators.Contains(0))
                    continue;
                foreach (
                    var function in (NumberFunction[])
                        [NumberFunction.Same, NumberFunction.SquareRoot, NumberFunction.Logarithm]
                )
                {
                    var arguments = numerators
                        .Zip(denominators, (numerator, denominator) => Apply(function, (double)numerator / denominator))
                        .ToArray();
                    if (arguments.Any(argument => !double.IsFinite(argument)))
                        continue;
                    if (Fit(values, arguments, precision, withOffset: false) is var (scale, offset))
                        return new NumberExpression(function, makeNumerator(), makeDenominator(), scale, offset);
                }
            }
        }

        return null;
    }

    /// <summary>The value of a function at a number.</summary>
    /// <param name="function">Which.</param>
    /// <param name="value">Its argument.</param>
    public static double Apply(NumberFunction function, double value) =>
        function switch
        {
            NumberFunction.Same => value,
            NumberFunction.Reciprocal => 1 / value,
            NumberFunction.SquareRoot => Math.Sqrt(value),
            NumberFunction.ReciprocalSquareRoot => 1 / Math.Sqrt(value),
            NumberFunction.Logarithm => Math.Log(value),
            _ => throw new ArgumentOutOfRangeException(nameof(function)),
        };

    /// <summary>Scale and offset that make all arguments the values; null where none do.</summary>
    /// <param name="values">What is wanted, one per trace.</param>
    /// <param name="arguments">What is scaled, one per trace.</param>
    /// <param name="precision">Relative error that the numbers may have.</param>
    /// <param name="withOffset">Whether the offset may differ from 0.</param>
    private static (double Scale, double Offset)? Fit(
        double[] values,
        double[] arguments,
        double precision,
        bool withOffset
    )
    {
        // The two traces that lie farthest apart decide, so that roundings weigh least.
        int low = Array.IndexOf(arguments, arguments.Min()),
            high = Array.IndexOf(arguments, arguments.Max());
        if (arguments[low] == arguments[high] || arguments[high] == 0)
            return null;
        var scale = withOffset
            ? (values[high] - values[low]) / (arguments[high] - arguments[low])
            : values[high] / arguments[high];
        var offset = withOffset ? values[high] - (scale * arguments[high]) : 0;
        if (withOffset)
            (scale, offset) = (Rounded(scale), Rounded(offset));
        var largest = values.Max(Math.Abs);
        for (var index = 0; index < values.Length; index++)
        {
            if (
                !(
                    Math.Abs((scale * arguments[index]) + offset - values[index])
                    <= precision * Math.Max(Math.Abs(values[index]), withOffset ? largest : 0)
                )
            )
                return null;
        }

        return scale == 0 ? null : (scale, offset);
    }

    /// <summary>Scale and offset by differences lose digits; what was written in code has few.</summary>
    /// <param name="value">A scale or an offset.</param>
    /// <returns>The number of 12 digits next to it where the two agree to 1e-11; else the number itself.</returns>
    private static double Rounded(double value)
    {
        var text = double.Parse(
            value.ToString("G12", System.Globalization.CultureInfo.InvariantCulture),
            System.Globalization.CultureInfo.InvariantCulture
        );
        return Math.Abs(text - value) <= 1e-11 * Math.Abs(value) ? text : value;
    }
}
