using TorchBridge.Export.Sizes;

namespace TorchBridge.Export.Tests;

/// <summary>Integer formulas: values computed by hand, formulas without a value, and their text.</summary>
public class SizeExpressionTests
{
    private const long Limit = 1L << 31;

    private static readonly SizeExpression Height = new SizeExpression.Axis(0, 2);
    private static readonly SizeExpression Width = new SizeExpression.Axis(1, 3);

    public static TheoryData<int, long, long, long> Operations =>
        new()
        {
            { (int)SizeOperator.Add, 7, 3, 10 },
            { (int)SizeOperator.Subtract, 7, 3, 4 },
            { (int)SizeOperator.Multiply, 7, 3, 21 },
            { (int)SizeOperator.Divide, 7, 3, 2 },
            { (int)SizeOperator.Divide, -7, 3, -2 }, // truncated, not rounded down
            { (int)SizeOperator.Divide, 7, 0, SizeExpression.Undefined },
            { (int)SizeOperator.Remainder, 7, 3, 1 },
            { (int)SizeOperator.Remainder, -7, 3, -1 },
            { (int)SizeOperator.Remainder, 7, 0, SizeExpression.Undefined },
            { (int)SizeOperator.Min, 7, 3, 3 },
            { (int)SizeOperator.Max, 7, 3, 7 },
            // The largest numbers that are looked at, and one more on each side.
            { (int)SizeOperator.Max, Limit, 0, Limit },
            { (int)SizeOperator.Max, 0, Limit, Limit },
            { (int)SizeOperator.Min, -Limit, 0, -Limit },
            { (int)SizeOperator.Min, 0, -Limit, -Limit },
            { (int)SizeOperator.Min, Limit + 1, 0, SizeExpression.Undefined },
            { (int)SizeOperator.Min, 0, Limit + 1, SizeExpression.Undefined },
            { (int)SizeOperator.Max, -Limit - 1, 0, SizeExpression.Undefined },
            { (int)SizeOperator.Max, 0, -Limit - 1, SizeExpression.Undefined },
        };

    [Theory]
    [MemberData(nameof(Operations))]
    public void Operations_are_those_of_integers_and_undefined_beyond_them(
        int operation,
        long left,
        long right,
        long expected
    )
    {
        Assert.Equal(expected, SizeExpression.Apply((SizeOperator)operation, left, right));
        var formula = new SizeExpression.Binary((SizeOperator)operation, Height, new SizeExpression.Constant(right));
        Assert.Equal(expected, formula.Evaluate(_ => left));
    }

    [Fact]
    public void An_unknown_operation_is_refused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => SizeExpression.Apply((SizeOperator)9, 1, 2));

    [Theory]
    [InlineData(-1, SizeExpression.Undefined)]
    [InlineData(0, 0)]
    [InlineData(15, 3)]
    [InlineData(16, 4)]
    [InlineData(17, 4)]
    public void Square_roots_are_rounded_down(long value, long expected)
    {
        Assert.Equal(expected, SizeExpression.Root(value));
        Assert.Equal(expected, new SizeExpression.SquareRoot(Height).Evaluate(_ => value));
    }

    [Fact]
    public void A_formula_knows_its_axes_in_order()
    {
        var formula = Of(SizeOperator.Add, Width, new SizeExpression.SquareRoot(Of(SizeOperator.Multiply, Height, 2)));
        Assert.Equal([Width, Height], formula.Axes);
        Assert.Empty(new SizeExpression.Constant(4).Axes);
    }

    [Fact]
    public void The_text_has_brackets_where_they_are_needed_only()
    {
        Check("h + 1", Of(SizeOperator.Add, Height, 1));
        Check("h - 1", Of(SizeOperator.Subtract, Height, 1));
        Check(
            "(h / 2) * (w % 3)",
            Of(SizeOperator.Multiply, Of(SizeOperator.Divide, Height, 2), Of(SizeOperator.Remainder, Width, 3))
        );
        Check(
            "min(h, w) / max(h, 4)",
            Of(SizeOperator.Divide, Of(SizeOperator.Min, Height, Width), Of(SizeOperator.Max, Height, 4))
        );
        Check(
            "sqrt(h * w) + 5",
            Of(SizeOperator.Add, new SizeExpression.SquareRoot(Of(SizeOperator.Multiply, Height, Width)), 5)
        );

        static void Check(string expected, SizeExpression formula) =>
            Assert.Equal(expected, formula.Text(axis => axis.Value == 0 ? "h" : "w"));
    }

    private static SizeExpression.Binary Of(SizeOperator operation, SizeExpression left, SizeExpression right) =>
        new(operation, left, right);

    private static SizeExpression.Binary Of(SizeOperator operation, SizeExpression left, long right) =>
        new(operation, left, new SizeExpression.Constant(right));
}
