using TorchBridge.Export.Sizes;

namespace TorchBridge.Export.Tests;

/// <summary>Numbers that follow sizes: the formula found gives the planted number at other sizes, to float64's
/// precision.</summary>
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
}
