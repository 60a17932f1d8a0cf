// Why: an export runs forward many times, and nothing of the model may be different afterwards. What forward changes
// by operations is refused before it happens; some of TorchSharp's modules change their own tensors in native code
// (Embedding's max_norm renormalizes rows, InstanceNorm moves its statistics). The first run is watched with copies
// of everything; copies are then kept of what it changed, and of everything small.
using TorchBridge.Export.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Puts parameters and buffers back that a run of forward has changed.</summary>
internal sealed class WeightGuard : IDisposable
{
    /// <summary>Tensors of fewer bytes are watched in every run: statistics, counters.</summary>
    private const long SmallTensor = 64 << 10;

    /// <summary>
    /// The content of each watched tensor before the runs; the copies are this object's to dispose.
    /// </summary>
    private readonly Dictionary<Tensor, Tensor> copies = new(ReferenceEqualityComparer.Instance);

    /// <summary>Tensors that are compared after every run, however large they are.</summary>
    private readonly HashSet<Tensor> watched = new(ReferenceEqualityComparer.Instance);

    /// <summary>
    /// Whether no run has been compared yet: after it, large tensors that it left alone are no longer watched.
    /// </summary>
    private bool isFirst = true;

    /// <summary>Copies the tensors.</summary>
    /// <param name="tensors">Parameters and buffers.</param>
    public WeightGuard(IEnumerable<Tensor> tensors)
    {
        using var noGrad = no_grad();
        foreach (var tensor in tensors.Where(tensor => !tensor.IsInvalid))
            copies.TryAdd(tensor, TensorMemory.Keep(tensor));
    }

    /// <summary>Whether a run changed anything so far.</summary>
    public bool HasRestored { get; private set; }

    /// <summary>Watches one tensor more, which is as it was before the run.</summary>
    /// <param name="tensor">From outside of the model; it stays its owner's.</param>
    public void Watch(Tensor tensor)
    {
        if (copies.ContainsKey(tensor))
            return;
        using var noGrad = no_grad();
        copies.Add(tensor, TensorMemory.Keep(tensor));
        watched.Add(tensor);
    }

    /// <summary>Compares after a run, and puts back what is different.</summary>
    public void Restore()
    {
        using var noGrad = no_grad();
        foreach (var (tensor, copy) in copies.ToArray())
        {
            if (tensor.IsInvalid)
                continue;
            if (!AreEqual(tensor, copy))
            {
                tensor.detach().copy_(copy);
                HasRestored = true;
            }
            else if (isFirst && !watched.Contains(tensor) && copy.numel() * copy.element_size() > SmallTensor)
            {
                copies.Remove(tensor);
                copy.Dispose();
            }
        }

        isFirst = false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var copy in copies.Values)
            copy.Dispose();
        copies.Clear();
    }

    /// <summary>Whether the elements are the same, bit for bit.</summary>
    /// <param name="tensor">As it is now, on any device.</param>
    /// <param name="copy">As it was.</param>
    private static bool AreEqual(Tensor tensor, Tensor copy)
    {
        using var scope = NewDisposeScope();
        // Bit for bit, so that NaN equals NaN.
        return tensor.detach().cpu().contiguous().bytes.SequenceEqual(copy.cpu().contiguous().bytes);
    }
}
