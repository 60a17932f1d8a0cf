namespace TorchBridge.Training.Data;

/// <summary>Splits an epoch into batches. A last batch with a single sample is merged into the previous one:
/// BatchNorm of one value has no variance, and on feature maps of one pixel its statistics would become NaN for
/// good.</summary>
internal static class TrainingBatches
{
    /// <summary>Splits samples into batches, in order.</summary>
    /// <param name="order">Indices of samples.</param>
    /// <param name="size">Samples per batch, at least 1.</param>
    /// <returns>Batches of that size; the last one may be smaller, or have one sample more.</returns>
    public static IEnumerable<int[]> InBatches(this int[] order, int size)
    {
        var count = Count(order.Length, size);
        for (var index = 0; index < count; index++)
            yield return index == count - 1 ? order[(index * size)..] : order[(index * size)..((index + 1) * size)];
    }

    /// <summary>The number of batches.</summary>
    /// <param name="samples">Number of samples.</param>
    /// <param name="size">Samples per batch.</param>
    public static int Count(int samples, int size) =>
        samples > size && samples % size == 1 ? samples / size : (samples + size - 1) / size;
}
