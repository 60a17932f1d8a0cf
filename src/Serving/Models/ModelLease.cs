namespace TorchBridge.Serving.Models;

/// <summary>Keeps a model version loaded for the duration of one request; disposing the lease releases it.</summary>
/// <param name="version">A version that has been acquired already.</param>
internal sealed class ModelLease(ModelVersion version) : IDisposable
{
    /// <summary>1 after the version was released, so that it is released only once.</summary>
    private int isReturned;

    /// <summary>The model version.</summary>
    public ModelVersion Version => version;

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref isReturned, 1) == 0)
            version.Release();
    }
}
