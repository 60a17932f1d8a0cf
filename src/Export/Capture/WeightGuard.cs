// Why: an export runs forward many times, and the model must be unchanged afterwards. Changes that forward makes by
// operations are refused before they happen, but some of TorchSharp's modules change their own tensors in native code
// (Embedding's max_norm renormalizes rows, InstanceNorm updates its statistics). The first run is checked against
// copies of all tensors; after it, copies are kept only of what it changed and of small tensors.
using TorchBridge.Export.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Restores parameters and buffers that a run of forward has changed.</summary>
internal sealed class WeightGuard : IDisposable
{
    /// <summary>Tensors smaller than this many bytes are checked after every run: statistics, counters.</summary>
    private const long SmallTensor = 64 << 10;

    /// <summary>
    /// The original content of each watched tensor; this object disposes the copies.
    /// </summary>
    private readonly Dictionary<Tensor, Tensor> copies = new(ReferenceEqualityComparer.Instance);

    /// <summary>Tensors that are compared after every run, whatever their size.</summary>
    private readonly HashSet<Tensor> watched = new(ReferenceEqualityComparer.Instance);

    /// <summary>
    /// Whether no run has been compared yet: large tensors that the first run leaves unchanged are no longer watched
    /// afterwards.
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

    /// <summary>Whether any run has changed something so far.</summary>
    public bool HasRestored { get; private set; }

    /// <summary>Watches one more tensor, which the run has not changed yet.</summary>
    /// <param name="tensor">A tensor from outside the model; its owner keeps ownership.</param>
    public void Watch(Tensor tensor)
    {
        if (copies.ContainsKey(tensor))
            return;
        using var noGrad = no_grad();
        copies.Add(tensor, TensorMemory.Keep(tensor));
        watched.Add(tensor);
    }

    /// <summary>Compares after a run, and restores what has changed.</summary>
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
    /// <param name="tensor">The current tensor, on any device.</param>
    /// <param name="copy">Its original content.</param>
    private static bool AreEqual(Tensor tensor, Tensor copy)
    {
        using var scope = NewDisposeScope();
        // Bit for bit, so that NaN equals NaN.
        return tensor.detach().cpu().contiguous().bytes.SequenceEqual(copy.cpu().contiguous().bytes);
    }
}
