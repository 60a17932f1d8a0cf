// Why there may be two sessions: a batch that runs on all cores waits at every layer for the slowest core, and under
// load some core is always busy reading requests. With one batch per core there is no such waiting. But a single
// request is answered sooner if it runs on all cores. Which session is better is known only when a batch starts.
namespace TorchBridge.Serving.Runtime;

/// <summary>
/// The ONNX Runtime sessions of one model version: one that runs a batch on all cores, and optionally one that runs
/// several batches at a time on one core each. Thread-safe.
/// </summary>
internal sealed class ModelSessions : IDisposable
{
    /// <summary>
    /// Maximum size, in bytes, of a model that is held in memory twice: in a session for single requests and in one
    /// for high load.
    /// </summary>
    private const int LargestDoubled = 256 << 20;

    /// <summary>Runs a batch on all cores; the only session if <see cref="narrow"/> is null.</summary>
    private readonly RuntimeSession wide;

    /// <summary>Runs a batch on one core; null if one session runs all batches.</summary>
    private readonly RuntimeSession? narrow;

    /// <summary>Number of batches that are running.</summary>
    private int running;

    /// <summary>Uses one session for all batches.</summary>
    /// <param name="session">The session; it is disposed with this object.</param>
    /// <param name="workers">Number of batches that run at the same time, at least 1.</param>
    public ModelSessions(RuntimeSession session, int workers)
    {
        wide = session;
        Workers = workers;
    }

    /// <summary>Uses two sessions of one model.</summary>
    /// <param name="wide">Runs a batch on all cores; it is disposed with this object.</param>
    /// <param name="narrow">Runs a batch on one core; it is disposed with this object.</param>
    /// <param name="workers">Number of batches that run at the same time, at least 1.</param>
    public ModelSessions(RuntimeSession wide, RuntimeSession narrow, int workers)
        : this(wide, workers) => this.narrow = narrow;

    /// <summary>
    /// Opens a model, either as requested, or with one session for single requests and one for high load.
    /// </summary>
    /// <param name="source">The model's file.</param>
    /// <param name="workers">Number of batches that run at the same time; 0 to let this method choose, if the
    /// settings are the defaults too.</param>
    /// <param name="settings">Threads and further options; if they differ from the defaults, one session is
    /// opened.</param>
    /// <returns>The sessions, which the caller disposes.</returns>
    /// <exception cref="ModelLoadException">The model cannot be loaded.</exception>
    public static ModelSessions Open(ModelSource source, int workers, RuntimeSettings settings)
    {
        if (
            workers > 0
            || settings != new RuntimeSettings()
            || Environment.ProcessorCount == 1
            || source.Bytes.Length > LargestDoubled
            || source.Scan.ExternalFiles.Count > 0
        )
            return new ModelSessions(RuntimeSession.Open(source, settings), Math.Max(1, workers));
        var narrow = RuntimeSession.Open(source, new RuntimeSettings(Threads: 1));
        try
        {
            var wide = RuntimeSession.Open(source, new RuntimeSettings(Spins: true));
            return new ModelSessions(wide, narrow, Environment.ProcessorCount);
        }
        catch
        {
            narrow.Dispose();
            throw;
        }
    }

    /// <summary>Number of batches that run at the same time.</summary>
    public int Workers { get; }

    /// <summary>The model's inputs and outputs.</summary>
    public ModelSignature Signature => wide.Signature;

    /// <summary>All sessions, for checks and warm-up.</summary>
    public IReadOnlyList<RuntimeSession> All => narrow is null ? [wide] : [wide, narrow];

    /// <summary>
    /// Chooses the session for a batch that starts now; one call of <see cref="Leave"/> must follow.
    /// </summary>
    /// <param name="othersWait">Whether more requests are waiting.</param>
    /// <returns>The session that uses all cores if nothing else is running or waiting.</returns>
    public RuntimeSession Enter(bool othersWait) =>
        Interlocked.Increment(ref running) == 1 && !othersWait ? wide : narrow ?? wide;

    /// <summary>Ends a batch.</summary>
    public void Leave() => Interlocked.Decrement(ref running);

    /// <inheritdoc/>
    public void Dispose()
    {
        wide.Dispose();
        narrow?.Dispose();
    }
}
