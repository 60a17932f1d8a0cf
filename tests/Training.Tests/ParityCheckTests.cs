using TorchBridge.Training.Parity;

namespace TorchBridge.Training.Tests;

/// <summary>The comparison itself: it must reject wrong results.</summary>
public class ParityCheckTests
{
    private static readonly float[] Logits = [.. Enumerable.Range(0, 40).Select(i => (float)Math.Sin(i * 1.7) * 5)];

    [Fact]
    public void Equal_values_pass() => Assert.True(Compare(Logits).Passed);

    [Fact]
    public void NaN_never_passes() =>
        Assert.False(Compare([.. Logits.Select((value, i) => i == 3 ? float.NaN : value)]).Passed);

    [Fact]
    public void Zeros_twice_too_large_and_one_percent_too_large_are_rejected()
    {
        Assert.False(Compare(new float[40]).Passed);
        Assert.False(Compare([.. Logits.Select(value => 2 * value)]).Passed);
        Assert.False(Compare([.. Logits.Select(value => 1.01f * value)]).Passed);
    }

    [Fact]
    public void Missing_rows_are_rejected() => Assert.False(Compare(Logits[..30]).Passed);

    [Fact]
    public void A_tie_is_counted_and_listed()
    {
        float[] expected = [1, 5, 4.99995f, 0],
            actual = [1, 4.99995f, 5, 0];
        var row = ParityCheck.Compare("tie", actual, expected, expected, 4);
        Assert.True(row.Passed);
        Assert.Equal([0], row.Ties);
    }

    private static ParityRow Compare(float[] actual) => ParityCheck.Compare("test", actual, Logits, Logits, 10);
}
