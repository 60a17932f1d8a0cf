namespace TorchBridge.Training.Data;

/// <summary>Cuts an epoch into batches. A last one of a single sample joins the one before: BatchNorm of one value has
/// no variance, and on maps of one pixel its statistics would be NaN for ever.</summary>
internal static class TrainingBatches
{
    /// <summary>The batches of samples in their order.</summary>
    /// <param name="order">Indices of samples.</param>
    /// <param name="size">Samples a batch, at least 1.</param>
    /// <returns>Batches of that size; the last has up to one sample more, or fewer.</returns>
    public static IEnumerable<int[]> InBatches(this int[] order, int size)
    {
        var count = Count(order.Length, size);
        for (var index = 0; index < count; index++)
            yield return index == count - 1 ? order[(index * size)..] : order[(index * size)..((index + 1) * size)];
    }

    /// <summary>How many batches there are.</summary>
    /// <param name="samples">How many samples there are.</param>
    /// <param name="size">Samples a batch.</param>
    public static int Count(int samples, int size) =>
        samples > size && samples % size == 1 ? samples / size : (samples + size - 1) / size;
}
