using System.Runtime.ExceptionServices;

namespace TorchBridge.Inference.Scoring;

/// <summary>
/// Shares a batch between threads. Each takes a part through a session of one thread: they never wait for each other
/// inside the network, which is some ten per cent faster than several threads on every layer. A few rows are not
/// worth sharing.
/// </summary>
internal static class Parts
{
    /// <summary>Rows of each thread below which a batch is run whole.</summary>
    private const int WorthSharing = 8;

    /// <summary>
    /// Runs a batch in parts, or whole. Where parts fail, the error of the first of them is thrown, as it is.
    /// </summary>
    /// <param name="rows">Rows of the batch, 1 and up.</param>
    /// <param name="parts">Threads that may share it, the caller's among them.</param>
    /// <param name="whole">Runs it whole.</param>
    /// <param name="part">Runs a part: first row, number of rows.</param>
    public static void Run(int rows, int parts, Action whole, Action<int, int> part)
    {
        if (parts < 2 || rows / parts < WorthSharing)
        {
            whole();
            return;
        }

        // The caller's thread has the first part; Parallel.For would allocate more for a batch than all else.
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

        // All are waited for, whoever failed: they write into the caller's arrays.
        foreach (var other in others)
        {
            // Not behind ??=, which would not wait where an error is known already.
            var failed = ErrorOf(other);
            error ??= failed;
        }

        if (error is not null)
            ExceptionDispatchInfo.Throw(error);
    }

    /// <summary>Waits for a task, and gives its error instead of throwing it.</summary>
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
