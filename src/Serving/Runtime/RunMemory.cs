using Microsoft.ML.OnnxRuntime;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Runtime;

/// <summary>
/// One worker's memory for inputs. The rows of several requests are copied into it one after another, with the
/// alignment that ONNX Runtime prefers.
/// </summary>
internal sealed class RunMemory : IDisposable
{
    /// <summary>Buffers by name of the input; they grow as needed and are reused by every run.</summary>
    private readonly Dictionary<string, NativeBuffer> buffers = new(StringComparer.Ordinal);

    /// <summary>Joins an input of several requests along axis 0.</summary>
    /// <param name="parts">The same input of each request; all axes except axis 0 have equal sizes.</param>
    /// <returns>A tensor that uses this memory; the caller disposes it before the next run.</returns>
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

    /// <summary>Joins BYTES inputs; ONNX Runtime copies the strings.</summary>
    /// <param name="parts">The same input of each request.</param>
    /// <param name="shape">Shape of the joined tensor.</param>
    private static OrtValue JoinStrings(IReadOnlyList<Tensor> parts, long[] shape)
    {
        var value = OrtValue.CreateTensorWithEmptyStrings(OrtAllocator.DefaultInstance, shape);
        var at = 0;
        foreach (var item in parts.SelectMany(part => part.Strings))
            value.StringTensorSetElementAt(item.Span, at++);
        return value;
    }
}
