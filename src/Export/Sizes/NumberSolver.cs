// What it does: finds a formula for a number that differs between the traces: y = scale * F(u) + offset, or F(u / w),
// where u and w are integer formulas of sizes and F is one of the functions of NumberFunction. Two traces determine
// scale and offset, the others confirm them.
namespace TorchBridge.Export.Sizes;

/// <summary>Finds formulas of sizes for non-integer numbers.</summary>
internal static class NumberSolver
{
    /// <summary>C# computes in float64, but possibly in another order than the formula found here: a few units of
    /// 1e-16.</summary>
    private const double Precision = 1e-13;

    /// <summary>A number that was a float at some point has 24 bits: half a unit is a relative error of
    /// 6e-8.</summary>
    private const double SinglePrecision = 1.2e-7;

    /// <summary>The simplest formula that gives these values, or null.</summary>
    /// <param name="values">One value per trace.</param>
    /// <param name="solver">Provides the sizes.</param>
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

    /// <summary>Inverts a function so that an integer remains, and finds a formula of several steps for that integer:
    /// sqrt((h / 8) * (w / 8) + 1).</summary>
    /// <param name="values">One value per trace.</param>
    /// <param name="solver">Finds the integer's formula.</param>
    /// <param name="precision">Allowed relative error of the numbers: 1.2e-7 if all of them are float32, otherwise
    /// 1e-13.</param>
    /// <returns>Null if no inverse gives integers, or none that have a formula.</returns>
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

        // An integer divided by a size: x * (n / (double)w).
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

    /// <summary>The argument for which a function has a given value.</summary>
    /// <param name="function">An invertible function; the logarithm is not supported.</param>
    /// <param name="value">Value of the function.</param>
    /// <exception cref="ArgumentOutOfRangeException">The function is not supported.</exception>
    private static double Undo(NumberFunction function, double value) =>
        function switch
        {
            NumberFunction.Same => value,
            NumberFunction.Reciprocal => 1 / value,
            NumberFunction.SquareRoot => value * value,
            NumberFunction.ReciprocalSquareRoot => 1 / (value * value),
            _ => throw new ArgumentOutOfRangeException(nameof(function)),
        };

    /// <summary>Converts numbers to integers, allowing for rounding errors; null if one of them is not an
    /// integer.</summary>
    /// <param name="values">One value per trace.</param>
    /// <param name="precision">Allowed relative error.</param>
    /// <returns>Null also for numbers of 1e9 and more, which cannot be sizes.</returns>
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
    /// <param name="values">One value per trace.</param>
    /// <param name="integers">Sizes and one-step formulas, with their values in the traces.</param>
    /// <param name="precision">Allowed relative error of the numbers.</param>
    /// <param name="withOffset">Whether to look for an offset as well, which needs five traces.</param>
    /// <returns>Null if nothing fits.</returns>
    private static NumberExpression? Scaled(
        double[] values,
        (long[] Values, Func<SizeExpression> Make)[] integers,
        double precision,
        bool withOffset
    )
    {
        // Four unknowns (function, size, scale, offset) need more than three traces.
        if (withOffset && values.Length < 5)
            return null;
        NumberExpression? negative = null;
        foreach (var (sizes, make) in integers)
        {
            foreach (var function in Enum.GetValues<NumberFunction>())
            {
                var arguments = sizes.Select(size => Apply(function, size)).ToArray();
                if (arguments.Any(argument => !double.IsFinite(argument)))
                    continue;
                if (Fit(values, arguments, precision, withOffset) is not var (scale, offset))
                    continue;
                var found = new NumberExpression(function, make(), null, scale, offset);
                // Where h and w are equal, -1 * (h - w) is -0, and the code's w - h is 0: the same difference the other
                // way round is preferred, if there is one.
                if (scale > 0 || withOffset)
                    return found;
                negative ??= found;
            }
        }

        return negative;
    }

    /// <summary>scale F(size / size).</summary>
    /// <param name="values">One value per trace.</param>
    /// <param name="integers">Candidates for numerator and denominator; only the first 64 are tried.</param>
    /// <param name="precision">Allowed relative error of the numbers.</param>
    /// <returns>Null if nothing fits.</returns>
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
    /// <param name="function">The function.</param>
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

    /// <summary>The scale and offset that map all arguments to the values; null if there are none.</summary>
    /// <param name="values">The expected values, one per trace.</param>
    /// <param name="arguments">The values to scale, one per trace.</param>
    /// <param name="precision">Allowed relative error of the numbers.</param>
    /// <param name="withOffset">Whether the offset may differ from 0.</param>
    private static (double Scale, double Offset)? Fit(
        double[] values,
        double[] arguments,
        double precision,
        bool withOffset
    )
    {
        // The two traces that are farthest apart determine them, so that rounding errors matter least.
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
            var fitted = offset == 0 ? scale * arguments[index] : (scale * arguments[index]) + offset; // -0 + 0 is 0
            if (
                !(
                    Math.Abs(fitted - values[index])
                    <= precision * Math.Max(Math.Abs(values[index]), withOffset ? largest : 0)
                )
            )
                return null;
            // A division by -0 has the opposite infinity.
            if (values[index] == 0 && fitted == 0 && double.IsNegative(values[index]) != double.IsNegative(fitted))
                return null;
        }

        return scale == 0 ? null : (scale, offset);
    }

    /// <summary>Restores digits that a scale or offset lost by subtraction: constants in code have few
    /// digits.</summary>
    /// <param name="value">A scale or an offset.</param>
    /// <returns>The value rounded to 12 digits.</returns>
    private static double Rounded(double value) =>
        double.Parse(
            value.ToString("G12", System.Globalization.CultureInfo.InvariantCulture),
            System.Globalization.CultureInfo.InvariantCulture
        );
}
