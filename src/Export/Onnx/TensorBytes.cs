using System.Globalization;
using System.Runtime.InteropServices;
using TorchBridge.Onnx.Graph;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Onnx;

/// <summary>Converts tensors to the bytes of initializers, and initializers back to numbers.</summary>
internal static class TensorBytes
{
    /// <summary>A tensor's elements in C order, little-endian.</summary>
    /// <param name="tensor">A tensor on any device, with any layout.</param>
    public static byte[] Of(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var plain = tensor.detach().cpu().contiguous();
        return plain.numel() == 0 ? [] : plain.bytes.ToArray();
    }

    /// <summary>An initializer that holds a tensor's elements.</summary>
    /// <param name="name">Unique name.</param>
    /// <param name="tensor">The tensor. A large contiguous tensor on the CPU is not copied, so its memory must
    /// outlive the initializer.</param>
    /// <param name="source">The state-dict key of the tensor; null if it was computed.</param>
    /// <exception cref="ExportException">The tensor is larger than 2 GB, or its dtype is not supported by
    /// ONNX.</exception>
    public static Initializer ToInitializer(string name, Tensor tensor, string? source = null)
    {
        var bytes = tensor.numel() * tensor.element_size();
        if (bytes > Array.MaxLength)
            throw new ExportException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"the tensor {source ?? name} has {bytes} bytes; the largest tensor that can be exported has "
                        + $"{Array.MaxLength} bytes (2 GB). Split it into several tensors."
                )
            );
        var data = source is not null && IsPlain(tensor) ? new TensorMemoryManager(tensor).Memory : Of(tensor);
        return new Initializer(name, tensor.dtype.ToOnnx(), tensor.shape, data) { Source = source };
    }

    /// <summary>Whether a tensor's memory can be written without conversion.</summary>
    private static bool IsPlain(Tensor tensor) =>
        tensor.device_type == DeviceType.CPU && tensor.is_contiguous() && tensor.numel() is > 0 and < 1 << 28;

    /// <summary>An initializer of 64-bit integers.</summary>
    /// <param name="name">Unique name.</param>
    /// <param name="values">The elements.</param>
    /// <param name="isScalar">Whether it is a scalar (without axes).</param>
    public static Initializer Of(string name, long[] values, bool isScalar = false) =>
        new(name, ElementType.Int64, isScalar ? [] : [values.Length], MemoryMarshal.AsBytes(values.AsSpan()).ToArray());

    /// <summary>
    /// Reads floating-point elements as float64; a conversion from float16, bfloat16, float32 or float64 is exact.
    /// </summary>
    /// <param name="tensor">Tensor of a floating-point type.</param>
    public static double[] ToDoubles(Initializer tensor)
    {
        var bytes = tensor.Data.Span;
        switch (tensor.Type)
        {
            case ElementType.Float32:
                return Convert(MemoryMarshal.Cast<byte, float>(bytes), value => value);
            case ElementType.Float64:
                return MemoryMarshal.Cast<byte, double>(bytes).ToArray();
            case ElementType.Float16:
                return Convert(MemoryMarshal.Cast<byte, Half>(bytes), value => (double)value);
            case ElementType.BFloat16:
                return Convert(MemoryMarshal.Cast<byte, ushort>(bytes), value =>
                    BitConverter.Int32BitsToSingle(value << 16)
                );
            default:
                throw new ArgumentException($"{tensor.Name} is {tensor.Type}, not a floating-point tensor");
        }
    }

    /// <summary>Rounds float64 elements once, to nearest even, to a floating-point type.</summary>
    /// <param name="name">Unique name.</param>
    /// <param name="type">float16, bfloat16, float32 or float64.</param>
    /// <param name="dims">Shape.</param>
    /// <param name="values">The elements in C order.</param>
    public static Initializer FromDoubles(string name, ElementType type, long[] dims, double[] values) =>
        type switch
        {
            ElementType.Float32 => new(
                name,
                type,
                dims,
                MemoryMarshal.AsBytes(Array.ConvertAll(values, value => (float)value).AsSpan()).ToArray()
            ),
            ElementType.Float64 => new(name, type, dims, MemoryMarshal.AsBytes(values.AsSpan()).ToArray()),
            ElementType.Float16 => new(
                name,
                type,
                dims,
                MemoryMarshal.AsBytes(Array.ConvertAll(values, value => (Half)value).AsSpan()).ToArray()
            ),
            _ => throw new ArgumentException($"cannot write {type} from float64"),
        };

    /// <summary>Converts elements one by one.</summary>
    private static double[] Convert<T>(ReadOnlySpan<T> values, Func<T, double> convert)
        where T : struct
    {
        var result = new double[values.Length];
        for (var index = 0; index < values.Length; index++)
            result[index] = convert(values[index]);
        return result;
    }
}
