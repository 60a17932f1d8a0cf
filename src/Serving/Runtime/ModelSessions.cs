// Why two: a batch on all cores waits at every layer for the slowest of them, and under load some core is always busy
// with reading requests; one batch a core loses nothing to that. But a request that is alone is answered sooner by all
// cores. Which of the two fits is known when a batch starts.
namespace TorchBridge.Serving.Runtime;

/// <summary>The sessions of one model version: one that runs a batch on all cores, and perhaps one that runs a batch on
/// one core, several at a time. All members may be called from any thread.</summary>
internal sealed class ModelSessions : IDisposable
{
    /// <summary>Runs a batch on all cores; the only session where <see cref="narrow"/> is null.</summary>
    /// <summary>Bytes of a file up to which its weights are held twice, in a session for one request and one for
    /// load.</summary>
    private const int LargestDoubled = 256 << 20;

    private readonly RuntimeSession wide;

    /// <summary>Runs a batch on one core; null where one session does all.</summary>
    private readonly RuntimeSession? narrow;

    /// <summary>Batches that run now.</summary>
    private int running;

    /// <summary>One session for all batches.</summary>
    /// <param name="session">It is disposed with this.</param>
    /// <param name="workers">Batches that run at the same time, at least 1.</param>
    public ModelSessions(RuntimeSession session, int workers)
    {
        wide = session;
        Workers = workers;
    }

    /// <summary>Two sessions of one model.</summary>
    /// <param name="wide">Runs a batch on all cores; it is disposed with this.</param>
    /// <param name="narrow">Runs a batch on one core; it is disposed with this.</param>
    /// <param name="workers">Batches that run at the same time, at least 1.</param>
    public ModelSessions(RuntimeSession wide, RuntimeSession narrow, int workers)
        : this(wide, workers) => this.narrow = narrow;

    /// <summary>Opens a model: as it is asked for, or with one session for a request that is alone and one for
    /// load.</summary>
    /// <param name="source">The file.</param>
    /// <param name="workers">Batches that run at the same time; 0 to choose, where the settings choose no threads
    /// either.</param>
    /// <param name="settings">Threads, and what the caller sets: what is meant for one session gets one.</param>
    /// <returns>Dispose it.</returns>
    /// <exception cref="ModelLoadException">It cannot be loaded.</exception>
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

    /// <summary>Batches that run at the same time.</summary>
    public int Workers { get; }

    /// <summary>What the model takes and gives.</summary>
    public ModelSignature Signature => wide.Signature;

    /// <summary>Each session, for checks and for warming.</summary>
    public IReadOnlyList<RuntimeSession> All => narrow is null ? [wide] : [wide, narrow];

    /// <summary>The session for a batch that starts now; <see cref="Leave"/> must follow.</summary>
    /// <param name="othersWait">Whether more requests wait.</param>
    /// <returns>The one on all cores where nothing else runs or waits.</returns>
    public RuntimeSession Enter(bool othersWait) =>
        Interlocked.Increment(ref running) == 1 && !othersWait ? wide : narrow ?? wide;

    /// <summary>A batch has run.</summary>
    public void Leave() => Interlocked.Decrement(ref running);

    /// <inheritdoc/>
    public void Dispose()
    {
        wide.Dispose();
        narrow?.Dispose();
    }
}
