using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace TorchBridge.Quantization.Execution;

/// <summary>What a batch gave.</summary>
internal sealed class BatchResult(IDisposableReadOnlyCollection<DisposableNamedOnnxValue>? results) : IDisposable
{
    private IEnumerable<DisposableNamedOnnxValue> Tensors =>
        (results ?? Enumerable.Empty<DisposableNamedOnnxValue>()).Where(result => result.ValueType == OnnxValueType.ONNX_TYPE_TENSOR);

    /// <summary>The float32 values; those of other types are left out.</summary>
    public IEnumerable<(string Name, DenseTensor<float> Tensor)> Floats() =>
        Tensors.Where(result => result.ElementType == TensorElementType.Float).Select(result => (result.Name, (DenseTensor<float>)result.AsTensor<float>()));

    /// <summary>The numbers of other types, as float64: every value of those with up to 53 bits is exact. Text has none.</summary>
    public IEnumerable<(string Name, double[] Values, bool IsInteger)> Others()
    {
        foreach (var result in Tensors)
        {
            switch (result.ElementType)
            {
                case TensorElementType.Double: yield return (result.Name, Values<double>(result, value => value), false); break;
                case TensorElementType.Float16: yield return (result.Name, Values<Float16>(result, value => (float)value), false); break;
                case TensorElementType.BFloat16: yield return (result.Name, Values<BFloat16>(result, value => (float)value), false); break;
                case TensorElementType.Int64: yield return (result.Name, Values<long>(result, value => value), true); break;
                case TensorElementType.UInt64: yield return (result.Name, Values<ulong>(result, value => value), true); break;
                case TensorElementType.Int32: yield return (result.Name, Values<int>(result, value => value), true); break;
                case TensorElementType.UInt32: yield return (result.Name, Values<uint>(result, value => value), true); break;
                case TensorElementType.Int16: yield return (result.Name, Values<short>(result, value => value), true); break;
                case TensorElementType.UInt16: yield return (result.Name, Values<ushort>(result, value => value), true); break;
                case TensorElementType.Int8: yield return (result.Name, Values<sbyte>(result, value => value), true); break;
                case TensorElementType.UInt8: yield return (result.Name, Values<byte>(result, value => value), true); break;
                case TensorElementType.Bool: yield return (result.Name, Values<bool>(result, value => value ? 1 : 0), true); break;
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => results?.Dispose();

    private static double[] Values<T>(DisposableNamedOnnxValue result, Func<T, double> convert) => [.. result.AsEnumerable<T>().Select(convert)];
}
