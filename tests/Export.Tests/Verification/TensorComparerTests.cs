using TorchBridge.Export.Verification;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>The tolerance is relative to a slice, integers are compared bit by bit, and NaN never passes.</summary>
public class TensorComparerTests
{
    [Fact]
    public void Scores_beside_boxes_count()
    {
        var boxes = rand(50, 4) * 640;
        var scores = rand(50, 2);
        var expected = cat([boxes, scores], 1);
        var actual = expected.clone();
        actual[3, 5] += 0.01f; // far below a ten-thousandth of a box
        Assert.Contains(
            "[3, 5]",
            TensorComparer.Compare(actual, expected, Tolerance.Usual).Difference,
            StringComparison.Ordinal
        );
        actual[3, 5] -= 0.01f;
        actual[3, 1] += 0.01f;
        Assert.Null(TensorComparer.Compare(actual, expected, Tolerance.Usual).Difference);
    }

    [Fact]
    public void Scores_in_a_channel_of_their_own_count()
    {
        // The layout of detectors: [batch, boxes and scores, anchors].
        var expected = cat([rand(1, 4, 100) * 640, rand(1, 2, 100)], 1);
        var actual = expected.clone();
        actual[0, 5, 7] += 0.01f;
        Assert.NotNull(TensorComparer.Compare(actual, expected, Tolerance.Usual).Difference);
    }

    [Fact]
    public void A_channel_that_is_all_but_dead_may_hold_the_roundings_of_the_others()
    {
        var expected = randn(4, 8, 5, 5);
        expected[.., 3] = 0;
        var actual = expected.clone();
        actual[0, 3, 2, 2] = 1e-6f;
        Assert.Null(TensorComparer.Compare(actual, expected, Tolerance.Usual).Difference);
    }

    [Fact]
    public void Integers_are_compared_by_all_their_bits()
    {
        var expected = tensor(new[] { 243405270090015001L });
        Assert.NotNull(
            TensorComparer.Compare(tensor(new[] { 243405270090015008L }), expected, Tolerance.Usual).Difference
        );
        Assert.Null(TensorComparer.Compare(expected.clone(), expected, Tolerance.Usual).Difference);
    }

    [Theory]
    [InlineData(float.NaN, 1)]
    [InlineData(1, float.NaN)]
    [InlineData(float.PositiveInfinity, float.NegativeInfinity)]
    [InlineData(float.PositiveInfinity, float.MaxValue)]
    public void Special_values_equal_only_themselves(float actual, float expected)
    {
        Assert.NotNull(
            TensorComparer
                .Compare(tensor(new[] { actual, 5 }), tensor(new[] { expected, 5 }), Tolerance.Usual)
                .Difference
        );
        Assert.Null(
            TensorComparer.Compare(tensor(new[] { actual, 5 }), tensor(new[] { actual, 5 }), Tolerance.Usual).Difference
        );
    }

    [Fact]
    public void Small_outputs_have_a_small_tolerance()
    {
        // log1p(1e-8) must not be 0.
        Assert.NotNull(TensorComparer.Compare(zeros(4), full(4, 1e-8f), Tolerance.Usual).Difference);
    }

    [Fact]
    public void All_zeros_twice_too_large_and_one_percent_too_large_are_wrong()
    {
        var expected = randn(6, 10);
        Assert.NotNull(TensorComparer.Compare(zeros_like(expected), expected, Tolerance.Usual).Difference);
        Assert.NotNull(TensorComparer.Compare(expected * 2, expected, Tolerance.Usual).Difference);
        Assert.NotNull(TensorComparer.Compare(expected * 1.01f, expected, Tolerance.Usual).Difference);
    }

    [Theory]
    [InlineData(7, 10_007)] // rows of which blocks hold several, and one that a block's end cuts
    [InlineData(3, 100_003)] // rows longer than a block
    [InlineData(80_001, 2)]
    public void Large_outputs_are_compared_to_the_last_element(int rows, int width)
    {
        var random = new Random(rows);
        using var expected = randn(width, rows).t(); // not contiguous
        using var actual = expected + (randn(rows, width) * 1e-6f);
        var want = expected.contiguous().flatten().data<float>().ToArray();
        var got = actual.contiguous().flatten().data<float>().ToArray();
        var same = Enumerable
            .Range(0, rows)
            .Count(row => Best(want, row * width, width) == Best(got, row * width, width));

        var close = TensorComparer.Compare(actual, expected, Tolerance.Usual);
        Assert.Null(close.Difference);
        Assert.Equal(want.Zip(got, (w, g) => Math.Abs((double)g - w)).Max(), close.LargestAbsolute);
        Assert.Equal(want.Max(value => Math.Abs((double)value)), close.LargestValue);
        Assert.Equal(rows, close.Rows);
        Assert.InRange(close.TopOneAgreement!.Value, same, rows);

        foreach (var place in (int[])[(rows * width) - 1, 1 << 16, random.Next(rows * width)])
        {
            using var wrong = actual.clone();
            wrong[place / width, place % width] += 1;
            Assert.StartsWith(
                $"element [{place / width}, {place % width}] ",
                TensorComparer.Compare(wrong, expected, Tolerance.Usual).Difference,
                StringComparison.Ordinal
            );
        }
    }

    [Fact]
    public void The_last_of_many_integers_counts()
    {
        using var expected = arange(100_000L).reshape(1000, 100).t();
        using var actual = expected.clone();
        Assert.Null(TensorComparer.Compare(actual, expected, Tolerance.Usual).Difference);
        actual[99, 999] -= 1;
        var comparison = TensorComparer.Compare(actual, expected, Tolerance.Usual);
        Assert.Equal("element [99, 999] is 99998, expected 99999", comparison.Difference);
        Assert.Equal(1, comparison.LargestAbsolute);
        Assert.Equal(99_999, comparison.LargestValue);
    }

    private static int Best(float[] values, int start, int count) =>
        Enumerable.Range(0, count).MaxBy(index => values[start + index]);
}
