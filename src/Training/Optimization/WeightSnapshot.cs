using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>A restorable copy of a module's parameters and buffers.</summary>
internal sealed class WeightSnapshot : IDisposable
{
    private readonly Dictionary<string, Tensor> live;
    private readonly Dictionary<string, Tensor> copies = new(StringComparer.Ordinal);

    /// <summary>Takes the first copy.</summary>
    /// <param name="module">The module.</param>
    public WeightSnapshot(nn.Module module)
    {
        live = module.state_dict();
        foreach (var (name, value) in live)
            copies.Add(name, value.detach().clone().DetachFromDisposeScope());
    }

    /// <summary>The copies, by state-dict key.</summary>
    public IReadOnlyDictionary<string, Tensor> Values => copies;

    /// <summary>Copies the current weights.</summary>
    public void Take() => Copy(live, copies);

    /// <summary>Restores the copied weights in the module.</summary>
    public void PutBack() => Copy(copies, live);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var copy in copies.Values)
            copy.Dispose();
    }

    /// <summary>Copies values in place.</summary>
    /// <param name="from">Source tensors by name.</param>
    /// <param name="to">Target tensors by the same names.</param>
    private static void Copy(Dictionary<string, Tensor> from, Dictionary<string, Tensor> to)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (name, value) in from)
            to[name].copy_(value);
    }
}
