using TorchBridge.Inference.Scoring;

namespace TorchBridge.Inference.Tests.Scoring;

public class PartsTests
{
    [Theory]
    [InlineData(16, 2)]
    [InlineData(17, 2)]
    [InlineData(100, 7)]
    [InlineData(1000, 16)]
    public void Every_row_has_exactly_one_part(int rows, int parts)
    {
        var seen = new int[rows];
        Parts.Run(
            rows,
            parts,
            () => throw new InvalidOperationException("it is worth sharing"),
            (start, count) =>
            {
                for (var row = start; row < start + count; row++)
                    Interlocked.Increment(ref seen[row]);
            }
        );
        Assert.All(seen, times => Assert.Equal(1, times));
    }

    [Theory]
    [InlineData(1000, 1)]
    [InlineData(10, 2)]
    public void Few_rows_are_done_as_a_whole(int rows, int parts)
    {
        var times = 0;
        Parts.Run(rows, parts, () => times++, (_, _) => throw new InvalidOperationException("not worth sharing"));
        Assert.Equal(1, times);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(50)]
    public void An_error_is_thrown_as_it_was_when_all_have_ended(int failing)
    {
        var ended = 0;
        var error = Assert.Throws<FormatException>(() =>
            Parts.Run(
                100,
                4,
                () => { },
                (start, _) =>
                {
                    try
                    {
                        if (start == failing)
                            throw new FormatException("this part");
                        Thread.Sleep(20);
                    }
                    finally
                    {
                        Interlocked.Increment(ref ended);
                    }
                }
            )
        );
        Assert.Equal("this part", error.Message);
        Assert.Equal(4, ended);
    }
}
