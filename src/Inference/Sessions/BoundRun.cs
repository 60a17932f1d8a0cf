using Microsoft.ML.OnnxRuntime;

namespace TorchBridge.Inference.Sessions;

/// <summary>A session with its inputs and outputs bound to arrays: runs it over what they hold at the time, and
/// leaves no garbage.</summary>
internal sealed class BoundRun : IDisposable
{
    private readonly ModelSession session;
    private readonly OrtIoBinding binding;
    private readonly List<OrtValue> values = [];

    /// <summary>Makes native tensors over the arrays, and binds them.</summary>
    /// <param name="session">Runs it; frees it when it ends itself.</param>
    /// <param name="binding">Is taken over.</param>
    /// <param name="inputs">Name, numbers and sizes of each input.</param>
    /// <param name="outputs">Name, room and sizes of each output.</param>
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

    /// <summary>Runs the network over what the arrays hold now.</summary>
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

    /// <summary>A native tensor over an array, which is pinned as long as it lives.</summary>
    private OrtValue Value(Memory<float> data, long[] shape)
    {
        values.Add(OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, data, shape));
        return values[^1];
    }
}
