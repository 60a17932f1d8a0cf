namespace TorchBridge.Training.Data;

/// <summary>Cuts an epoch into batches. A last one of a single sample joins the one before: BatchNorm of one value has
/// no variance, and on maps of one pixel its statistics would be NaN for ever.</summary>
internal static class TrainingBatches
{
    /// <summary>The batches of samples in their order.</summary>
    public static IEnumerable<int[]> InBatches(this int[] order, int size)
    {
        var count = Count(order.Length, size);
        for (var i = 0; i < count; i++)
            yield return i == count - 1 ? order[(i * size)..] : order[(i * size)..((i + 1) * size)];
    }

    /// <summary>How many batches there are.</summary>
    public static int Count(int samples, int size) =>
        samples > size && samples % size == 1 ? samples / size : (samples + size - 1) / size;
}
