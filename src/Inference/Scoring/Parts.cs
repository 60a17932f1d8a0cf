using System.Runtime.ExceptionServices;

namespace TorchBridge.Inference.Scoring;

/// <summary>
/// Splits a batch between threads. Each runs a part in a single-threaded session: the threads never wait for each
/// other inside the network, which is about ten percent faster than several threads per layer. Small batches are not
/// split.
/// </summary>
internal static class Parts
{
    /// <summary>Rows per thread below which a batch is run whole.</summary>
    private const int WorthSharing = 8;

    /// <summary>
    /// Runs a batch in parts or whole. If parts fail, the error of the first one is rethrown unchanged.
    /// </summary>
    /// <param name="rows">Number of rows in the batch, at least 1.</param>
    /// <param name="parts">Number of threads that may share it, including the caller's.</param>
    /// <param name="whole">Runs the whole batch.</param>
    /// <param name="part">Runs a part: first row, number of rows.</param>
    public static void Run(int rows, int parts, Action whole, Action<int, int> part)
    {
        if (parts < 2 || rows / parts < WorthSharing)
        {
            whole();
            return;
        }

        // The caller's thread runs the first part; Parallel.For would allocate more per batch than everything else.
        var others = new Task[parts - 1];
        for (var index = 1; index < parts; index++)
        {
            int start = (int)((long)rows * index / parts),
                end = (int)((long)rows * (index + 1) / parts);
            others[index - 1] = Task.Run(() => part(start, end - start));
        }

        Exception? error = null;
        try
        {
            part(0, rows / parts);
        }
        catch (Exception first)
        {
            error = first;
        }

        // Waits for all of them even if one has failed: they write to the caller's arrays.
        foreach (var other in others)
        {
            // Not on the right of ??=, which would not wait once there is an error.
            var failed = ErrorOf(other);
            error ??= failed;
        }

        if (error is not null)
            ExceptionDispatchInfo.Throw(error);
    }

    /// <summary>Waits for a task and returns its error instead of throwing it.</summary>
    private static Exception? ErrorOf(Task task)
    {
        try
        {
            task.GetAwaiter().GetResult();
            return null;
        }
        catch (Exception error)
        {
            return error;
        }
    }
}
