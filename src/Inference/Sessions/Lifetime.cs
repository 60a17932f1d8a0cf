namespace TorchBridge.Inference.Sessions;

/// <summary>
/// The one rule for everything that owns native memory: who is inside may finish, who comes after the end gets an
/// <see cref="ObjectDisposedException"/>, and the memory is freed once, when nobody is inside.
/// </summary>
/// <param name="owner">Name of the public type, for the error.</param>
/// <param name="free">Frees the native memory.</param>
internal sealed class Lifetime(string owner, Action free)
{
    private readonly object gate = new();
    private readonly List<int> threadsInside = [];
    private bool isClosed;
    private bool isFreed;

    /// <summary>Comes inside: native memory stays until the visit is disposed, on the same thread.</summary>
    /// <returns>The visit; dispose it on the same thread.</returns>
    /// <exception cref="ObjectDisposedException">The owner has been disposed.</exception>
    public Visit Enter() => TryEnter() ? new Visit(this) : throw new ObjectDisposedException(owner);

    /// <summary>Comes inside, or says that it is too late.</summary>
    /// <returns>Whether the caller is inside now, and must <see cref="Leave"/>.</returns>
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

    /// <summary>Leaves; the last one to leave frees what has been closed.</summary>
    public void Leave()
    {
        lock (gate)
        {
            threadsInside.Remove(Environment.CurrentManagedThreadId);
            FreeIfUnused();
        }
    }

    /// <summary>Lets nobody in any more, and waits for who is inside. A thread that closes what it is inside of does
    /// not wait for itself.</summary>
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

    /// <summary>Lets nobody in any more, and does not wait: the last one to leave frees.</summary>
    public void Retire()
    {
        lock (gate)
        {
            isClosed = true;
            FreeIfUnused();
        }
    }

    /// <summary>
    /// Frees once, when it is closed and nobody is inside; wakes who waits in <see cref="Close"/>.
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

    /// <summary>Somebody inside.</summary>
    /// <param name="lifetime">Of what.</param>
    internal readonly struct Visit(Lifetime lifetime) : IDisposable
    {
        /// <inheritdoc/>
        public void Dispose() => lifetime.Leave();
    }
}
