using Microsoft.ML.OnnxRuntime;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Runtime;

/// <summary>The inputs' memory of one worker: requests' rows are put side by side in it, aligned, whatever they came
/// in.</summary>
internal sealed class RunMemory : IDisposable
{
    /// <summary>Buffers by the name of the input; they grow, and are reused by every run.</summary>
    private readonly Dictionary<string, NativeBuffer> buffers = new(StringComparer.Ordinal);

    /// <summary>Puts an input of several requests together along axis 0.</summary>
    /// <param name="parts">The same input of each request; all but axis 0 agree.</param>
    /// <returns>A tensor over this memory; the caller disposes it before the next run.</returns>
    public OrtValue Join(IReadOnlyList<Tensor> parts)
    {
        var first = parts[0];
        var shape = first.Shape;
        if (parts.Count > 1)
            shape = [parts.Sum(part => part.Shape[0]), .. first.Shape.Skip(1)];
        if (first.Type == TensorType.Bytes)
            return JoinStrings(parts, shape);
        if (!buffers.TryGetValue(first.Name, out var buffer))
            buffers.Add(first.Name, buffer = new NativeBuffer());
        var bytes = parts.Sum(part => (long)part.Data.Length);
        var target = buffer.Take(bytes);
        foreach (var part in parts)
        {
            part.Data.Span.CopyTo(target);
            target = target[part.Data.Length..];
        }

        return OrtValue.CreateTensorValueWithData(
            OrtMemoryInfo.DefaultInstance,
            first.Type.ToOnnx(),
            shape,
            buffer.Pointer,
            bytes
        );
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var buffer in buffers.Values)
            buffer.Dispose();
        buffers.Clear();
    }

    /// <summary>BYTES of several requests together; ONNX Runtime copies them.</summary>
    /// <param name="parts">One for each request.</param>
    /// <param name="shape">Of all together.</param>
    private static OrtValue JoinStrings(IReadOnlyList<Tensor> parts, long[] shape)
    {
        var value = OrtValue.CreateTensorWithEmptyStrings(OrtAllocator.DefaultInstance, shape);
        var at = 0;
        foreach (var item in parts.SelectMany(part => part.Strings))
            value.StringTensorSetElementAt(item.Span, at++);
        return value;
    }
}
