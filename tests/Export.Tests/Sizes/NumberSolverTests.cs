using System.Globalization;
using System.Text;
using TorchBridge.Export.Sizes;

namespace TorchBridge.Export.Tests;

/// <summary>Numbers that depend on sizes: the formula that is found gives the number of the original formula at other
/// sizes, with the precision of float64.</summary>
public class NumberSolverTests
{
    private static readonly long[] Heights = [64, 38, 102, 22, 131, 51, 77, 3, 8, 200, 17, 33];
    private static readonly long[] Widths = [48, 109, 17, 76, 29, 58, 5, 40, 160, 1, 90, 12];

    private static readonly Dictionary<string, Func<long, long, double>> Formulas = new(StringComparer.Ordinal)
    {
        ["(double)h"] = (h, _) => h,
        ["h * 0.25"] = (h, _) => h * 0.25,
        ["1.0 / h"] = (h, _) => 1.0 / h,
        ["sqrt(h)"] = (h, _) => Math.Sqrt(h),
        ["1 / sqrt(h)"] = (h, _) => 1 / Math.Sqrt(h),
        ["log(h)"] = (h, _) => Math.Log(h),
        ["log2(h)"] = (h, _) => Math.Log2(h),
        ["h / (double)w"] = (h, w) => h / (double)w,
        ["sqrt(h * w)"] = (h, w) => Math.Sqrt(h * w),
        ["2.0 / (h - 1)"] = (h, _) => 2.0 / (h - 1),
        ["0.5 * h + 3.5"] = (h, _) => (0.5 * h) + 3.5,
        ["1f / h as float"] = (h, _) => 1f / h,
        ["sqrt((h / 2) * (w / 2) + 1)"] = (h, w) => Math.Sqrt((h / 2 * (w / 2)) + 1),
    };

    public static TheoryData<string> Planted => [.. Formulas.Keys];

    [Theory]
    [MemberData(nameof(Planted))]
    public void A_planted_number_is_found(string name)
    {
        var formula = Formulas[name];
        var solver = new SizeSolver(
            [],
            [new SizeLeaf(new SizeExpression.Axis(0, 2), Heights), new SizeLeaf(new SizeExpression.Axis(1, 2), Widths)],
            [],
            []
        );
        var found = NumberSolver.Solve([.. Heights.Zip(Widths, formula)], solver);
        Assert.NotNull(found);
        var precision = name.Contains("float", StringComparison.Ordinal) ? 2e-7 : 1e-12;
        var random = new Random(3);
        for (var i = 0; i < 100; i++)
        {
            long h = random.NextInt64(2, 300),
                w = random.NextInt64(1, 300);
            long SizeOf(SizeExpression.Axis axis) => axis.Value == 0 ? h : w;
            var quotient = found.Numerator.Evaluate(SizeOf) / (double)(found.Denominator?.Evaluate(SizeOf) ?? 1);
            var value = (found.Scale * NumberSolver.Apply(found.Function, quotient)) + found.Offset;
            Assert.InRange(
                value,
                formula(h, w) - (precision * Math.Abs(formula(h, w))),
                formula(h, w) + (precision * Math.Abs(formula(h, w)))
            );
        }
    }

    [Fact]
    public void What_is_no_formula_is_not_found()
    {
        var solver = new SizeSolver([], [new SizeLeaf(new SizeExpression.Axis(0, 2), Heights)], [], []);
        Assert.Null(NumberSolver.Solve([.. Heights.Select(size => Math.Sin(size))], solver));
    }

    /// <summary>Function, integers, scale and offset of every planted number: a change of what is preferred shows in
    /// a diff.</summary>
    [Fact]
    public void The_numbers_that_are_found_are_those_of_the_file()
    {
        var solver = Solver(Heights.Length);
        var text = new StringBuilder();
        foreach (var (name, formula) in Formulas.Concat(More))
        {
            var found = NumberSolver.Solve([.. Heights.Zip(Widths, formula)], solver);
            text.Append(CultureInfo.InvariantCulture, $"{name}: {Text(found)}\n");
        }

        var path = Path.Combine(Shared.Repository, "tests", "Export.Tests", "Sizes", "numbers.txt");
        Assert.Null(Snapshot.Difference(text.ToString(), path, "what the solver finds"));
    }

    /// <summary>Formulas of the other ways: quotients under a function, an integer of several steps over a size, and
    /// an offset beside a function.</summary>
    private static readonly Dictionary<string, Func<long, long, double>> More = new(StringComparer.Ordinal)
    {
        ["sqrt(h / (double)w)"] = (h, w) => Math.Sqrt(h / (double)w),
        ["3 * log(h / (double)w)"] = (h, w) => 3 * Math.Log(h / (double)w),
        ["1.0 / ((h / 2) * (w / 2) + 1)"] = (h, w) => 1.0 / ((h / 2 * (w / 2)) + 1),
        ["1 / sqrt((h / 2) * (w / 2) + 1)"] = (h, w) => 1 / Math.Sqrt((h / 2 * (w / 2)) + 1),
        ["((h / 2) * (w / 2) + 1) / (double)w"] = (h, w) => ((h / 2 * (w / 2)) + 1) / (double)w,
        ["2.5 * log(h) - 4.25"] = (h, _) => (2.5 * Math.Log(h)) - 4.25,
        ["7 / sqrt(w) + 0.125"] = (_, w) => (7 / Math.Sqrt(w)) + 0.125,
        ["-h / 3.0"] = (h, _) => -h / 3.0,
        ["h * 1e8"] = (h, _) => h * 1e8,
        ["sin(h)"] = (h, _) => Math.Sin(h),
        ["1 (constant)"] = (_, _) => 1,
        ["0 (constant)"] = (_, _) => 0,
        ["h, infinite where w = 1"] = (h, w) => w == 1 ? double.PositiveInfinity : h,
        ["h, but for one trace"] = (h, w) => w == 1 ? h + 0.0137 : h,
        ["h, but for a millionth"] = (h, w) => w == 1 ? h * 1.000_001 : h,
        ["h, but for the last digit"] = (h, w) => w == 1 ? h * (1 + 1e-15) : h,
    };

    /// <summary>Two traces decide a scale, and a third confirms it; with an offset it takes five.</summary>
    [Theory]
    [InlineData(2, false, false)]
    [InlineData(3, false, true)]
    [InlineData(4, true, false)]
    [InlineData(5, true, true)]
    public void A_number_is_looked_for_where_there_are_traces_enough(int traces, bool hasOffset, bool isFound)
    {
        double[] values = [.. Heights[..traces].Select(h => (0.37 * h) + (hasOffset ? 5.21 : 0))];
        Assert.Equal(isFound, NumberSolver.Solve(values, Solver(traces)) is not null);
    }

    /// <summary>Differences lose digits; what the code says has few.</summary>
    [Fact]
    public void Scale_and_offset_are_the_numbers_of_the_code()
    {
        var found = NumberSolver.Solve([.. Heights.Select(h => (2.3 * Math.Log(h)) - 4.7)], Solver(Heights.Length));
        Assert.Equal((2.3, -4.7), (found?.Scale, found?.Offset));
    }

    [Fact]
    public void Functions_are_those_of_mathematics_and_no_others()
    {
        Assert.Equal(4, NumberSolver.Apply(NumberFunction.Same, 4));
        Assert.Equal(0.25, NumberSolver.Apply(NumberFunction.Reciprocal, 4));
        Assert.Equal(2, NumberSolver.Apply(NumberFunction.SquareRoot, 4));
        Assert.Equal(0.5, NumberSolver.Apply(NumberFunction.ReciprocalSquareRoot, 4));
        Assert.Equal(Math.Log(4), NumberSolver.Apply(NumberFunction.Logarithm, 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => NumberSolver.Apply((NumberFunction)9, 4));
    }

    /// <summary>Where both sizes are equal, C#'s <c>w - h</c> is 0 and <c>-(double)(h - w)</c> is -0; a division by
    /// them has opposite infinities.</summary>
    [Theory]
    [InlineData(false, false, false)]
    [InlineData(true, false, false)]
    [InlineData(false, true, false)]
    [InlineData(true, true, false)]
    [InlineData(false, true, true)]
    [InlineData(true, true, true)]
    public void A_difference_has_the_sign_of_zero_of_the_code(bool isSwapped, bool hasEqualSizes, bool isNegated)
    {
        long[] heights = hasEqualSizes ? [.. Heights, 40] : Heights,
            widths = hasEqualSizes ? [.. Widths, 40] : Widths;
        var solver = new SizeSolver(
            [],
            [new SizeLeaf(new SizeExpression.Axis(0, 2), heights), new SizeLeaf(new SizeExpression.Axis(1, 2), widths)],
            [],
            []
        );
        double Code(long h, long w) => (isNegated ? -1.0 : 1.0) * (isSwapped ? h - w : w - h);
        var found = NumberSolver.Solve([.. heights.Zip(widths, Code)], solver)!;
        static long SizeOf(SizeExpression.Axis axis) => 7;
        Assert.Equal(0, found.Offset);
        var zero = found.Scale * found.Numerator.Evaluate(SizeOf);
        Assert.Equal(0, zero);
        Assert.Equal(double.IsNegative(Code(7, 7)), double.IsNegative(zero));
    }

    private static SizeSolver Solver(int traces) =>
        new(
            [],
            [
                new SizeLeaf(new SizeExpression.Axis(0, 2), Heights[..traces]),
                new SizeLeaf(new SizeExpression.Axis(1, 2), Widths[..traces]),
            ],
            [],
            []
        );

    private static string Text(NumberExpression? found)
    {
        if (found is null)
            return "none";
        static string Name(SizeExpression.Axis axis) => axis.Value == 0 ? "h" : "w";
        var quotient =
            found.Numerator.Text(Name) + (found.Denominator is { } divisor ? $" over {divisor.Text(Name)}" : "");
        // Twelve digits: the last ones depend on the processor's logarithm.
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{found.Scale:G12} {found.Function} of {quotient}, plus {found.Offset:G12}"
        );
    }
}
