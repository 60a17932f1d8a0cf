using System.Globalization;
using System.Text;
using TorchBridge.Export.Sizes;

namespace TorchBridge.Export.Tests;

/// <summary>The formula that is found equals the original one at sizes that the solver has not seen.</summary>
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
        ["h + 9"] = (h, _) => h + 9,
        ["w - h"] = (h, w) => w - h,
        ["h % w"] = (h, w) => h % w,
        ["max(h, w)"] = Math.Max,
        ["(h + w - 1) / w"] = (h, w) => (h + w - 1) / w,
        ["256 - h / 2"] = (h, _) => 256 - (h / 2),
        ["sqrt(h) * 3"] = (h, _) => (long)Math.Sqrt(h) * 3,
        ["h / 20 * (w / 20)"] = (h, w) => h / 20 * (w / 20), // zero in some traces
        ["h / 3 + w / 5"] = (h, w) => (h / 3) + (w / 5),
        ["h / 3 - w / 5"] = (h, w) => (h / 3) - (w / 5),
        ["min(h / 2, w / 3)"] = (h, w) => Math.Min(h / 2, w / 3),
        ["max(h - 7, w / 3)"] = (h, w) => Math.Max(h - 7, w / 3),
        ["(h + 20) / (w + 1)"] = (h, w) => (h + 20) / (w + 1),
        ["(h + 20) % (w + 3)"] = (h, w) => (h + 20) % (w + 3),
        ["h * w - 2"] = (h, w) => (h * w) - 2,
        ["256 - (h / 4) * (w / 4)"] = (h, w) => 256 - (h / 4 * (w / 4)),
        ["(h / 5 + w / 7) * 6"] = (h, w) => ((h / 5) + (w / 7)) * 6,
        ["(h / 5 + w / 7) * w"] = (h, w) => ((h / 5) + (w / 7)) * w,
        ["(h / 2) * (w / 3) + h"] = (h, w) => (h / 2 * (w / 3)) + h,
        ["(h / 2) * (w / 3) - w"] = (h, w) => (h / 2 * (w / 3)) - w,
        ["h - (h / 7) * (w / 6)"] = (h, w) => h - (h / 7 * (w / 6)),
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

    /// <summary>Every formula that is given for a planted one, in its order: a change of what is found, or of what is
    /// preferred, shows in a diff.</summary>
    [Fact]
    public void The_formulas_that_are_found_are_those_of_the_file()
    {
        var solver = Solver();
        var text = new StringBuilder();
        foreach (var (name, formula) in Formulas)
        {
            long[] values = [.. Heights.Zip(Widths, formula)];
            var found = solver.Solve(values);
            // Whatever is given fits every trace.
            foreach (var one in found)
                Assert.Equal(values, Heights.Zip(Widths, (h, w) => one.Evaluate(axis => axis.Value == 0 ? h : w)));
            var simple = solver.SolveSimple(values) is { } some ? Text(some) : "none";
            text.Append(
                CultureInfo.InvariantCulture,
                $"{name}\n    {string.Join("\n    ", found.Select(Text))}\n    of one step: {simple}\n"
            );
        }

        // The first of what numbers are made of, and how many there are.
        var integers = solver.Integers().ToArray();
        text.Append(CultureInfo.InvariantCulture, $"{integers.Length} integers\n");
        foreach (var (values, make) in integers.Take(16).Concat(integers.TakeLast(4)))
            text.Append(CultureInfo.InvariantCulture, $"    {Text(make())}: {string.Join(" ", values)}\n");
        var path = Path.Combine(Shared.Repository, "tests", "Export.Tests", "Sizes", "formulas.txt");
        Assert.Null(Snapshot.Difference(text.ToString(), path, "what the solver finds"));
    }

    private static string Text(SizeExpression formula) => formula.Text(axis => axis.Value == 0 ? "h" : "w");

    /// <summary>Six traces are too few to tell a formula of several steps from chance, and seven are not.</summary>
    [Theory]
    [InlineData(6, 0)]
    [InlineData(7, 1)]
    public void Long_formulas_need_seven_traces(int traces, int found)
    {
        var heights = Heights[..traces];
        var solver = new SizeSolver([], [Leaf(0, heights)], [], []);
        Assert.Equal(found, Math.Min(1, solver.Solve([.. heights.Select(h => (h / 3 * 4) - 1)]).Count));
        Assert.Equal(found, Math.Min(1, solver.Solve([.. heights.Select(h => (h / 3) + 11)]).Count));
    }

    /// <summary>Two sizes under one operation are found from four traces already, each formula once.</summary>
    [Theory]
    [InlineData("w * h")]
    [InlineData("w + h")]
    [InlineData("w - h")]
    [InlineData("h - w")]
    [InlineData("h / w")]
    [InlineData("h % w")]
    [InlineData("min(w, h)")]
    [InlineData("max(w, h)")]
    [InlineData("((h + w) - 1) / w")]
    public void Two_sizes_need_few_traces(string expected)
    {
        long[] heights = [64, 38, 103, 22],
            widths = [48, 109, 17, 76];
        var solver = new SizeSolver([], [Leaf(0, heights), Leaf(1, widths)], [], []);
        var found = solver.Solve([.. heights.Zip(widths, (h, w) => expected switch
                {
                    "w * h" => w * h,
                    "w + h" => w + h,
                    "w - h" => w - h,
                    "h - w" => h - w,
                    "h / w" => h / w,
                    "h % w" => h % w,
                    "min(w, h)" => Math.Min(h, w),
                    "max(w, h)" => Math.Max(h, w),
                    _ => (h + w - 1) / w,
                })]);
        Assert.Equal([expected], found.Select(Text));
    }

    /// <summary>Sizes that are equal in the first trace: the next one orders them.</summary>
    [Fact]
    public void A_sum_is_found_once_where_the_first_sizes_are_equal()
    {
        long[] heights = [10, 20, 30, 41],
            widths = [10, 25, 31, 50];
        var solver = new SizeSolver([], [Leaf(1, widths), Leaf(0, heights)], [], []);
        Assert.Equal(["h + w"], solver.Solve([.. heights.Zip(widths, (h, w) => h + w)]).Select(Text));
    }

    [Fact]
    public void A_number_over_a_size_is_found_where_it_divides_everywhere()
    {
        long[] sizes = [1, 2, 3, 4, 6, 8, 12];
        var solver = new SizeSolver([], [Leaf(0, sizes)], [], []);
        Assert.Equal("24 / h", Text(solver.Solve([.. sizes.Select(size => 24 / size)])[0]));
    }

    /// <summary>Of equal vectors of sizes only the nearest is used, and sizes that never change are not used in
    /// formulas.</summary>
    [Fact]
    public void Sizes_that_are_equal_or_constant_are_left_out()
    {
        SizeLeaf near = Leaf(0, [1, 2, 3]),
            input = Leaf(1, [1, 2, 3]),
            constant = Leaf(2, [4, 4, 4]),
            other = Leaf(3, [1, 2, 4]);
        var solver = new SizeSolver([constant, near], [input], [other], []);
        Assert.Equal([near, other], solver.Leaves);
        Assert.Equal([near.Axis], solver.Solve([1, 2, 3]));
        Assert.Equal(other.Axis, solver.SolveSimple([1, 2, 4]));
        Assert.Empty(new SizeSolver([constant], [], [], []).Solve([1, 2, 3]));
    }

    /// <summary>Numbers of the code are tried with their neighbours; those below 1 are none.</summary>
    [Theory]
    [InlineData(172)]
    [InlineData(173)]
    [InlineData(174)]
    public void The_neighbours_of_a_number_of_the_code_are_tried(long bound)
    {
        var solver = new SizeSolver([], [Leaf(0, Heights)], [], [173, 1, 0, -50]);
        Assert.Equal(
            $"min(h, {bound}) * 3",
            Text(solver.Solve([.. Heights.Select(size => Math.Min(size, bound) * 3)])[0])
        );
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
