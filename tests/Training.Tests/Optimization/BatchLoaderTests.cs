using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Regularization;

namespace TorchBridge.Training.Tests.Optimization;

public class BatchLoaderTests
{
    [Fact]
    public void An_epoch_that_is_cancelled_does_not_pass_for_a_whole_one()
    {
        var set = DrawnPictures.Make(1, 50, 10, 10).Training;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        Assert.ThrowsAny<OperationCanceledException>(() =>
        {
            foreach (var batch in BatchLoader.Training(set, new Recipe { BatchSize = 2 }, 1, 1, stop.Token))
            {
                batch.Dispose();
                stop.Cancel();
            }
        });
    }

    [Fact]
    public void A_picture_that_cannot_be_read_is_the_error_that_is_seen()
    {
        PictureSet set = new(new Unreadable(), [0, 1, 0, 1], 8, 8);
        Assert.Throws<EndOfStreamException>(() =>
        {
            foreach (
                var batch in BatchLoader.View(
                    set,
                    2,
                    AugmentationOptions.None,
                    1,
                    0,
                    TestContext.Current.CancellationToken
                )
            )
                batch.Dispose();
        });
    }

    /// <summary>Pixels of a file that has been truncated meanwhile: only the first pictures are there.</summary>
    private sealed class Unreadable() : PixelStore(4, 3 * 8 * 8)
    {
        public override ReadOnlySpan<byte> Read(int index, scoped ref byte[]? buffer) =>
            index < 2 ? new byte[Stride] : throw new EndOfStreamException("truncated");
    }
}
