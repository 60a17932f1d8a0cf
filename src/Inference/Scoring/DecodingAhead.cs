namespace TorchBridge.Inference.Scoring;

/// <summary>Decodes the pictures of a batch on several threads while its rows are still being read. Only a few are in
/// progress at once, which bounds the memory for their encoded bytes.</summary>
/// <param name="threads">Number of decoding threads.</param>
internal sealed class DecodingAhead(int threads)
{
    private readonly Queue<Task> running = [];
    private readonly List<Exception?> errors = [];

    /// <summary>Starts the next picture; waits if enough are in progress.</summary>
    /// <param name="decode">Decodes the picture. Its exception is kept.</param>
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

    /// <summary>Waits for the pictures in progress; nothing is written afterwards.</summary>
    public void Wait()
    {
        while (running.TryDequeue(out var task))
            task.Wait();
    }

    /// <summary>Waits and returns the error of each picture, in order, null for none; then resets.</summary>
    public Exception?[] Finish()
    {
        Wait();
        var all = errors.ToArray();
        errors.Clear();
        return all;
    }
}
