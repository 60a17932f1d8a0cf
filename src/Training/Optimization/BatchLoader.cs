using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using TorchBridge.Training.Data;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>
/// Creates the batches of an epoch on a separate thread, a few ahead of the training step. The contents of a batch
/// depend only on (seed, epoch, index), not on timing.
/// </summary>
internal static class BatchLoader
{
    private const int Ahead = 3;

    /// <summary>The shuffled, augmented batches of a training epoch; the last may be smaller.</summary>
    /// <param name="set">The training part.</param>
    /// <param name="recipe">Batch size, augmentation, mixing, and the window of the epoch.</param>
    /// <param name="seed">Seed of the run.</param>
    /// <param name="epoch">Number of the epoch, from 1.</param>
    /// <param name="stop">Cancels between two batches.</param>
    /// <returns>Batches in order; the caller disposes each one.</returns>
    public static IEnumerable<PictureBatch> Training(
        PictureSet set,
        Recipe recipe,
        int seed,
        int epoch,
        CancellationToken stop = default
    )
    {
        var order = new Draw(seed, 11, epoch).Permutation(set.Count);
        var window = recipe.WindowAt(epoch);
        return Prefetched(
            order
                .InBatches(recipe.BatchSize)
                .Select(
                    (indices, index) =>
                    {
                        var mix = BatchMixing.Choose(recipe, seed, epoch, index);
                        var augmentation =
                            mix == BatchMix.Cutout ? recipe.Augmentation : recipe.Augmentation with { Cutout = 0 };
                        // A window hides more of the picture than the cutout square would and is already at a random
                        // position; a crop would only add black pixels.
                        if (window > 0)
                            augmentation = augmentation with { Cutout = 0, CropPadding = 0 };
                        return Make(set, indices, augmentation, window, seed, epoch, index, mix);
                    }
                ),
            stop
        );
    }

    /// <summary>The unchanged pictures, in order.</summary>
    /// <param name="set">Any part.</param>
    /// <param name="batchSize">Pictures per batch; the last batch may be smaller.</param>
    /// <returns>Lazily created batches whose labels are not mixed.</returns>
    public static IEnumerable<PictureBatch> InOrder(PictureSet set, int batchSize)
    {
        foreach (var (index, indices) in Enumerable.Range(0, set.Count).Chunk(batchSize).Index())
        {
            yield return Make(set, indices, AugmentationOptions.None, 0, 0, 0, index, BatchMix.None);
            HeapGuard.Process.AfterBatch();
        }
    }

    /// <summary>The pictures in order, augmented as in the epoch with the given number.</summary>
    /// <param name="set">The training part.</param>
    /// <param name="batchSize">Pictures per batch.</param>
    /// <param name="augmentation">Options of augmentation.</param>
    /// <param name="seed">Seed of the run.</param>
    /// <param name="view">Number of the view, which determines the augmentation.</param>
    /// <param name="stop">Cancels between two batches.</param>
    public static IEnumerable<PictureBatch> View(
        PictureSet set,
        int batchSize,
        AugmentationOptions augmentation,
        int seed,
        int view,
        CancellationToken stop
    ) =>
        Prefetched(
            Enumerable
                .Range(0, set.Count)
                .Chunk(batchSize)
                .Select((indices, index) => Make(set, indices, augmentation, 0, seed, view, index, BatchMix.None)),
            stop
        );

    /// <summary>
    /// Creates one batch; each picture has its own random stream, determined by seed, epoch and the picture's index.
    /// </summary>
    private static PictureBatch Make(
        PictureSet set,
        int[] indices,
        AugmentationOptions augmentation,
        int window,
        int seed,
        int epoch,
        int index,
        BatchMix mix
    )
    {
        using var scope = NewDisposeScope();
        int height = Side(set.Height, window),
            width = Side(set.Width, window),
            stride = 3 * height * width;
        // Written directly to native memory, because an array of this size per batch would keep the garbage collector
        // busy.
        var pixels_NHWC = empty([indices.Length, height, width, 3]);
        var pixels = MemoryMarshal.Cast<byte, float>(pixels_NHWC.bytes);
        var whole = window > 0 ? new float[set.Stride] : [];
        byte[]? buffer = null;
        for (var position = 0; position < indices.Length; position++)
        {
            var draw = new Draw(seed, 13, epoch, indices[position]);
            // Half of the pictures in the odd epochs, the other half in the even ones.
            var isFlipEpoch = new Draw(seed, 29, indices[position]).Coin() == ((epoch & 1) == 1);
            var target = pixels.Slice(position * stride, stride);
            Augmentation.Apply(
                set.Picture(indices[position], ref buffer),
                set.Height,
                set.Width,
                augmentation,
                ref draw,
                window > 0 ? whole : target,
                isFlipEpoch
            );
            if (window > 0)
                Augmentation.Window(whole, set.Height, set.Width, height, width, ref draw, target);
        }

        var labels = tensor(indices.Select(index => (long)set.Labels[index]).ToArray());
        // A permuted view of [N, H, W, C]: the strides are those of channels_last, nothing is copied.
        return new PictureBatch(
            pixels_NHWC.permute(0, 3, 1, 2).DetachFromDisposeScope(),
            labels.DetachFromDisposeScope(),
            index,
            mix
        );
    }

    /// <summary>
    /// Side length of the training input: that of the window, or of the picture if it is smaller or there is no
    /// window.
    /// </summary>
    /// <param name="picture">Side length of the picture in pixels.</param>
    /// <param name="window">Side length of the window in pixels; 0 for none.</param>
    private static int Side(int picture, int window) => window > 0 ? Math.Min(picture, window) : picture;

    /// <summary>
    /// Creates batches on a separate thread, a few ahead; batches that are not consumed are disposed.
    /// </summary>
    /// <param name="batches">The lazily created batches.</param>
    /// <param name="stop">Cancels the work.</param>
    /// <exception cref="OperationCanceledException">The work was cancelled before the last batch.</exception>
    private static IEnumerable<PictureBatch> Prefetched(IEnumerable<PictureBatch> batches, CancellationToken stop)
    {
        using var queue = new BlockingCollection<PictureBatch>(Ahead);
        using var abandon = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var isCutShort = false;
        var producer = Task.Run(
            () =>
            {
                try
                {
                    foreach (var batch in batches)
                        queue.Add(batch, abandon.Token);
                }
                catch (OperationCanceledException)
                {
                    // The consumer has stopped, or is told below that it has not seen everything.
                    isCutShort = true;
                }
                finally
                {
                    queue.CompleteAdding();
                }
            },
            CancellationToken.None
        );
        try
        {
            foreach (var batch in queue.GetConsumingEnumerable(CancellationToken.None))
            {
                yield return batch;
                HeapGuard.Process.AfterBatch();
            }

            // An epoch without its last batches must not pass for a whole one.
            if (isCutShort)
                stop.ThrowIfCancellationRequested();
        }
        finally
        {
            abandon.Cancel();
            producer.GetAwaiter().GetResult();
            foreach (var batch in queue)
                batch.Dispose();
        }
    }
}
