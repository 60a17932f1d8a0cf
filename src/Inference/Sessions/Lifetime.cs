namespace TorchBridge.Inference.Sessions;

/// <summary>
/// Controls the disposal of native memory: running calls may finish, later ones get an <see
/// cref="ObjectDisposedException"/>, and the memory is freed once, when no call is running.
/// </summary>
/// <param name="owner">Name of the public type, for the exception.</param>
/// <param name="free">Frees the native memory.</param>
internal sealed class Lifetime(string owner, Action free)
{
    private readonly object gate = new();
    private readonly List<int> threadsInside = [];
    private bool isClosed;
    private bool isFreed;

    /// <summary>Enters: native memory is kept until the visit is disposed, on the same thread.</summary>
    /// <returns>The visit; dispose it on the same thread.</returns>
    /// <exception cref="ObjectDisposedException">The owner has been disposed.</exception>
    public Visit Enter() => TryEnter() ? new Visit(this) : throw new ObjectDisposedException(owner);

    /// <summary>Enters unless the lifetime has ended.</summary>
    /// <returns>Whether the caller has entered and must call <see cref="Leave"/>.</returns>
    public bool TryEnter()
    {
        lock (gate)
        {
            if (isClosed)
                return false;
            threadsInside.Add(Environment.CurrentManagedThreadId);
            return true;
        }
    }

    /// <summary>Leaves; if the lifetime is closed, the last one to leave frees the memory.</summary>
    public void Leave()
    {
        lock (gate)
        {
            threadsInside.Remove(Environment.CurrentManagedThreadId);
            FreeIfUnused();
        }
    }

    /// <summary>Refuses further entries and waits for running calls. A thread that closes a lifetime it has entered
    /// does not wait for itself.</summary>
    public void Close()
    {
        lock (gate)
        {
            isClosed = true;
            FreeIfUnused();
            while (!isFreed && !threadsInside.Contains(Environment.CurrentManagedThreadId))
                Monitor.Wait(gate);
        }
    }

    /// <summary>Refuses further entries without waiting: the last one to leave frees the memory.</summary>
    public void Retire()
    {
        lock (gate)
        {
            isClosed = true;
            FreeIfUnused();
        }
    }

    /// <summary>
    /// Frees the memory once, when the lifetime is closed and no call is running; wakes threads waiting in <see
    /// cref="Close"/>.
    /// </summary>
    private void FreeIfUnused()
    {
        if (!isClosed || isFreed || threadsInside.Count > 0)
            return;
        isFreed = true;
        try
        {
            free();
        }
        finally
        {
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>A running call.</summary>
    /// <param name="lifetime">The lifetime that was entered.</param>
    internal readonly struct Visit(Lifetime lifetime) : IDisposable
    {
        /// <inheritdoc/>
        public void Dispose() => lifetime.Leave();
    }
}
