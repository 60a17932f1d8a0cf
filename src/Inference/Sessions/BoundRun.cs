using Microsoft.ML.OnnxRuntime;

namespace TorchBridge.Inference.Sessions;

/// <summary>A session whose inputs and outputs are bound to arrays: runs on their current content without
/// allocations.</summary>
internal sealed class BoundRun : IDisposable
{
    private readonly ModelSession session;
    private readonly OrtIoBinding binding;
    private readonly List<OrtValue> values = [];

    /// <summary>Creates native tensors for the arrays and binds them.</summary>
    /// <param name="session">The session, which frees this binding on its own disposal.</param>
    /// <param name="binding">The binding, owned by this object.</param>
    /// <param name="inputs">Name, values and shape of each input.</param>
    /// <param name="outputs">Name, memory and shape of each output.</param>
    internal BoundRun(
        ModelSession session,
        OrtIoBinding binding,
        (string Name, Memory<float> Data, long[] Shape)[] inputs,
        (string Name, Memory<float> Data, long[] Shape)[] outputs
    )
    {
        this.session = session;
        this.binding = binding;
        foreach (var (name, data, shape) in inputs)
            binding.BindInput(name, Value(data, shape));
        foreach (var (name, data, shape) in outputs)
            binding.BindOutput(name, Value(data, shape));
    }

    /// <summary>Runs the network on the arrays' current content.</summary>
    /// <exception cref="ObjectDisposedException">The session has been disposed.</exception>
    /// <exception cref="OnnxRuntimeException">The network cannot be run on these values.</exception>
    public void Run() => session.Run(binding);

    /// <inheritdoc/>
    public void Dispose() => session.Release(this);

    /// <summary>Frees native memory; called once, by the session.</summary>
    internal void Free()
    {
        binding.Dispose();
        foreach (var value in values)
            value.Dispose();
    }

    /// <summary>Creates a native tensor for an array, which stays pinned for the tensor's lifetime.</summary>
    private OrtValue Value(Memory<float> data, long[] shape)
    {
        values.Add(OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, data, shape));
        return values[^1];
    }
}
