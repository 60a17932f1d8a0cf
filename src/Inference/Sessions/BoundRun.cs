using Microsoft.ML.OnnxRuntime;

namespace TorchBridge.Inference.Sessions;

/// <summary>A session with its inputs and outputs bound to arrays: runs it over what they hold at the time, and
/// leaves no garbage.</summary>
internal sealed class BoundRun : IDisposable
{
    private readonly ModelSession session;
    private readonly OrtIoBinding binding;
    private readonly List<OrtValue> values = [];

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

    /// <summary>Runs.</summary>
    /// <exception cref="ObjectDisposedException">The session has been disposed.</exception>
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

    private OrtValue Value(Memory<float> data, long[] shape)
    {
        values.Add(OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, data, shape));
        return values[^1];
    }
}
