using TorchBridge.Inference.Scoring;

namespace TorchBridge.Inference.Tests.Scoring;

public class BatchSizerTests
{
    [Fact]
    public void A_size_that_was_asked_for_is_kept()
    {
        var sizer = new BatchSizer(37);
        Assert.Equal(37, sizer.Next);
        Assert.Equal("result", sizer.Timed(37, () => "result"));
        Assert.Equal(37, sizer.Next);
        Assert.Throws<ArgumentOutOfRangeException>(() => new BatchSizer(0));
    }

    [Fact]
    public void Sizes_are_tried_and_the_fastest_a_row_is_kept()
    {
        var sizer = new BatchSizer(null);
        for (var turn = 0; turn < 4; turn++)
        {
            var size = sizer.Next;
            sizer.Timed(size, () =>
            {
                Thread.Sleep(size == 64 ? 1 : 60);
                return 0;
            });
        }

        Assert.Equal(64, sizer.Next);
    }

    [Fact]
    public void Wide_rows_make_small_batches_and_never_none()
    {
        Assert.Equal(32, new BatchSizer(null, 1 << 20).Next);
        Assert.Equal(1, new BatchSizer(null, long.MaxValue).Next);
        Assert.Equal(1, new BatchSizer(64, long.MaxValue).Next);
    }
}
