using TorchBridge.Onnx.Compare;

namespace TorchBridge.Onnx.Tests.Compare;

public class ArrayComparisonTests
{
    private const double Inf = double.PositiveInfinity,
        NaN = double.NaN;

    [Theory]
    [InlineData(1, 1, 0)]
    [InlineData(-1, 2.5, 3.5)]
    [InlineData(NaN, NaN, 0)]
    [InlineData(Inf, Inf, 0)]
    [InlineData(-Inf, -Inf, 0)]
    [InlineData(-Inf, Inf, Inf)]
    [InlineData(NaN, 0, Inf)]
    [InlineData(0, NaN, Inf)]
    [InlineData(NaN, Inf, Inf)]
    [InlineData(Inf, 1e308, Inf)]
    [InlineData(1e308, -1e308, Inf)]
    [InlineData(-0.0, 0.0, 0)]
    public void A_difference_is_that_of_the_numbers_and_NaN_and_infinities_equal_themselves(
        double actual,
        double expected,
        double difference
    )
    {
        Assert.Equal(difference, ArrayComparison.Difference(actual, expected));
        Assert.Equal(difference, ArrayComparison.Difference(expected, actual));
        Assert.Equal(difference, ArrayComparison.Compare([actual], [expected]).LargestAbsolute);
    }

    [Fact]
    public void What_is_wrong_shows()
    {
        var random = new Random(11);
        var right = Enumerable.Range(0, 500).Select(_ => (float)((random.NextDouble() - 0.5) * 20)).ToArray();
        ArrayDifference Of(Func<float, int, float> change) =>
            ArrayComparison.Compare<float>([.. right.Select(change)], right);
        var largest = right.Max(Math.Abs);
        Assert.Equal(new ArrayDifference(0, 0, largest, true), Of((value, _) => value));
        Assert.Equal(largest, Of((_, _) => 0).LargestAbsolute);
        Assert.Equal(largest, Of((value, _) => 2 * value).LargestAbsolute);
        Assert.Equal(1, Of((value, _) => 2 * value).LargestRelative);
        Assert.InRange(Of((value, _) => 1.01f * value).LargestRelative, 0.01 - 1e-6, 0.01 + 1e-6);
        Assert.Equal(new ArrayDifference(Inf, Inf, largest, false), Of((value, i) => i == 123 ? float.NaN : value));
        Assert.False(Of((value, i) => i == 499 ? float.NegativeInfinity : value).IsFinite);
        var error = Assert.Throws<ArgumentException>(() => ArrayComparison.Compare<float>(right.AsSpan(1), right));
        Assert.StartsWith("499 computed elements, but 500 expected ones", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Small_numbers_have_no_relative_difference_and_infinities_no_magnitude()
    {
        Assert.Equal(new ArrayDifference(0.5, 0, 100, true), ArrayComparison.Compare([100, 1.5], [100, 1.0]));
        Assert.Equal(
            new ArrayDifference(0.5, 0.25, 2, false),
            ArrayComparison.Compare([-Inf, 2.5, NaN], [-Inf, 2.0, NaN])
        );
        Assert.False(ArrayComparison.Compare([NaN, 1, 2], [NaN, 1.0, 2]).IsFinite);
        Assert.Equal(0, ArrayComparison.LargestMagnitude<double>([NaN, Inf]));
        Assert.Equal(3, ArrayComparison.LargestMagnitude<float>([-3, float.NaN, 2, float.NegativeInfinity]));
    }

    [Theory]
    [InlineData(new[] { 1.0, 3, 2 }, 1)]
    [InlineData(new[] { 3.0, 1, 3 }, 0)]
    [InlineData(new[] { NaN, 1, 2 }, 2)]
    [InlineData(new[] { 1.0, NaN, 0 }, 0)]
    [InlineData(new[] { NaN, -Inf }, 1)]
    [InlineData(new[] { NaN, NaN }, 0)]
    [InlineData(new[] { -5.0 }, 0)]
    public void The_largest_is_the_first_of_equals_and_never_NaN(double[] row, int index)
    {
        Assert.Equal(index, ArrayComparison.IndexOfLargest<double>(row));
        Assert.Equal(index, ArrayComparison.IndexOfLargest<float>([.. row.Select(value => (float)value)]));
    }

    [Fact]
    public void Rows_agree_where_the_largest_is_the_same_or_ties()
    {
        double[] expected =
        [
            1,
            2,
            3, /**/
            1,
            2,
            2.1, /**/
            1,
            2,
            3, /**/
            NaN,
            1,
            2,
        ];
        double[] actual =
        [
            0,
            0,
            9, /**/
            1,
            3,
            2.0, /**/
            9,
            2,
            3, /**/
            9,
            1,
            2,
        ];
        var rows = ArrayComparison.Rows<double>(actual, expected, 3, 0.2);
        Assert.Equal((2, 1), (rows.Agree, Assert.Single(rows.Ties)));
        Assert.Empty(ArrayComparison.Rows<double>(actual, expected, 3, 0.05).Ties);
    }

    /// <summary>Two classes that lie apart by the whole of what is allowed tie; by more, they do not.</summary>
    [Theory]
    [InlineData(0.25, 1)]
    [InlineData(0.125, 0)]
    public void A_tie_may_be_as_wide_as_is_allowed(double tie, int agree) =>
        Assert.Equal(agree, ArrayComparison.Rows<double>([0, 1], [1, 0.75], 2, tie).Agree);

    [Fact]
    public void An_empty_row_has_no_probabilities() => ArrayComparison.Softmax<double>([], []);

    [Fact]
    public void Softmax_adds_up_to_one_and_does_not_overflow()
    {
        var probabilities = new double[3];
        ArrayComparison.Softmax<float>([1000, 1001, 999], probabilities);
        // 1 / (1 + e^-1 + e^-2), and so on.
        decimal one = 1,
            first = 0.36787944117144233m,
            second = 0.1353352832366127m,
            sum = one + first + second;
        foreach (var (actual, expected) in probabilities.Zip((decimal[])[first / sum, one / sum, second / sum]))
            Assert.Equal((double)expected, actual, 1e-15);
        Assert.Equal(1, probabilities.Sum(), 1e-15);
    }
}
