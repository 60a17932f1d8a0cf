namespace TorchBridge.Serving.Models;

/// <summary>A version kept for one request.</summary>
/// <param name="version">It has been acquired already.</param>
internal sealed class ModelLease(ModelVersion version) : IDisposable
{
    /// <summary>1 once it has been given back: a second time counts nothing.</summary>
    private int isReturned;

    /// <summary>The version.</summary>
    public ModelVersion Version => version;

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref isReturned, 1) == 0)
            version.Release();
    }
}
