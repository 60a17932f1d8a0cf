using TorchBridge.Export.Sizes;

namespace TorchBridge.Export.Tests;

/// <summary>The formula that is found equals the planted one at sizes that the solver never saw.</summary>
public class SizeSolverTests
{
    private static readonly long[] Heights = [64, 38, 102, 22, 131, 51, 77, 3, 8, 200, 17, 33];
    private static readonly long[] Widths = [48, 109, 17, 76, 29, 58, 5, 40, 160, 1, 90, 12];

    public static TheoryData<string> Planted => [.. Formulas.Keys];

    private static readonly Dictionary<string, Func<long, long, long>> Formulas = new(StringComparer.Ordinal)
    {
        ["h"] = (h, _) => h,
        ["h * 3"] = (h, _) => h * 3,
        ["h - 1"] = (h, _) => h - 1,
        ["200 - h"] = (h, _) => 200 - h,
        ["h / 2"] = (h, _) => h / 2,
        ["(h + 1) / 2"] = (h, _) => (h + 1) / 2,
        ["h / 16"] = (h, _) => h / 16,
        ["h % 7"] = (h, _) => h % 7,
        ["min(h, 20)"] = (h, _) => Math.Min(h, 20),
        ["max(h, 8)"] = (h, _) => Math.Max(h, 8),
        ["sqrt(h)"] = (h, _) => (long)Math.Sqrt(h),
        ["h * w"] = (h, w) => h * w,
        ["h + w"] = (h, w) => h + w,
        ["h / w"] = (h, w) => h / w,
        ["min(h, w)"] = Math.Min,
        ["|h - w|"] = (h, w) => Math.Abs(h - w),
        ["2 * h - 1"] = (h, _) => (2 * h) - 1,
        ["(h + 15) / 16 * 16"] = (h, _) => (h + 15) / 16 * 16,
        ["(8 - h % 8) % 8"] = (h, _) => (8 - (h % 8)) % 8,
        ["h / 2 * 2"] = (h, _) => h / 2 * 2,
        ["(h / 2) * (w / 2)"] = (h, w) => h / 2 * (w / 2),
        ["h * w / 4"] = (h, w) => h * w / 4,
        ["h / w + 1"] = (h, w) => (h / w) + 1,
        ["(h / 4) * (w / 4) + 1"] = (h, w) => (h / 4 * (w / 4)) + 1,
        ["min(h, w) / 3 + 2"] = (h, w) => (Math.Min(h, w) / 3) + 2,
    };

    [Theory]
    [MemberData(nameof(Planted))]
    public void A_planted_formula_is_found(string name)
    {
        var formula = Formulas[name];
        var found = Solver().Solve([.. Heights.Zip(Widths, formula)]);
        Assert.NotEmpty(found);
        var random = new Random(3);
        for (var i = 0; i < 200; i++)
        {
            long h = random.NextInt64(1, 300),
                w = random.NextInt64(1, 300);
            Assert.Equal(formula(h, w), found[0].Evaluate(axis => axis.Value == 0 ? h : w));
        }
    }

    [Fact]
    public void An_exact_division_comes_before_a_rounded_one()
    {
        // 64, 38, 102 … are multiples of 2: h / 2, not ceil(h / 2) nor h - c.
        var even = Heights.Where(size => size % 2 == 0).ToArray();
        var solver = new SizeSolver([], [new SizeLeaf(new SizeExpression.Axis(0, 2), even)], [], []);
        Assert.Equal("h / 2", solver.Solve([.. even.Select(size => size / 2)])[0].Text(_ => "h"));
    }

    [Fact]
    public void Where_several_formulas_fit_all_are_given()
    {
        // Three neighbouring sizes behind a stride: 61, 59 and 53 over 15 and over 16 are the same.
        var solver = new SizeSolver([], [new SizeLeaf(new SizeExpression.Axis(0, 2), [112, 48, 32])], [], []);
        var found = solver.Solve([7, 3, 2]);
        Assert.Equal("h / 16", found[0].Text(_ => "h"));
        var rounded = new SizeSolver([], [new SizeLeaf(new SizeExpression.Axis(0, 2), [113, 50, 33])], [], []).Solve([
            7,
            3,
            2,
        ]);
        Assert.True(rounded.Count > 1, "h / 15 and h / 16 both fit");
    }

    [Fact]
    public void Few_traces_are_not_fitted_by_long_formulas()
    {
        var solver = new SizeSolver([], [new SizeLeaf(new SizeExpression.Axis(0, 2), [64, 38, 102, 22])], [], []);
        Assert.Empty(solver.Solve([41, 17, 90, 3]));
    }

    [Fact]
    public void What_is_no_formula_is_not_found() =>
        Assert.Empty(Solver().Solve([.. Heights.Select(size => 20 + (long)(Math.Sin(size) * 10))]));

    [Fact]
    public void A_constant_of_the_code_is_tried()
    {
        var values = Heights.Select(size => Math.Min(size, 173) / 2).ToArray();
        SizeLeaf[] leaves = [new SizeLeaf(new SizeExpression.Axis(0, 2), Heights)];
        Assert.Empty(new SizeSolver([], leaves, [], []).Solve(values));
        Assert.Equal("min(h, 173) / 2", new SizeSolver([], leaves, [], [173]).Solve(values)[0].Text(_ => "h"));
    }

    private static SizeSolver Solver() => new([], [Leaf(0, Heights), Leaf(1, Widths)], [], []);

    private static SizeLeaf Leaf(int value, long[] sizes) => new(new SizeExpression.Axis(value, 2), sizes);
}
