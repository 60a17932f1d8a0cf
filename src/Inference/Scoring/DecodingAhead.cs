namespace TorchBridge.Inference.Scoring;

/// <summary>Decodes the pictures of a batch on several threads while its rows are still being read. A few are under
/// way at once: their encoded bytes are what memory is needed for.</summary>
/// <param name="threads">Threads that decode.</param>
internal sealed class DecodingAhead(int threads)
{
    private readonly Queue<Task> running = [];
    private readonly List<Exception?> errors = [];

    /// <summary>Begins with the next picture; waits where enough are under way.</summary>
    /// <param name="decode">Decodes it. What it throws is kept.</param>
    public void Begin(Action decode)
    {
        while (running.Count >= 2 * threads)
            running.Dequeue().Wait();
        var slot = errors.Count;
        lock (errors)
            errors.Add(null);
        running.Enqueue(
            Task.Run(() =>
            {
                try
                {
                    decode();
                }
                catch (Exception error)
                {
                    lock (errors)
                        errors[slot] = error;
                }
            })
        );
    }

    /// <summary>Waits for those that are under way: nothing is written any more.</summary>
    public void Wait()
    {
        while (running.TryDequeue(out var task))
            task.Wait();
    }

    /// <summary>Waits, and gives each picture's error, null where there is none, in order; then starts anew.</summary>
    public Exception?[] Finish()
    {
        Wait();
        var all = errors.ToArray();
        errors.Clear();
        return all;
    }
}
