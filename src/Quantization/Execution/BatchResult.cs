using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace TorchBridge.Quantization.Execution;

/// <summary>
/// The result of a batch. The tensors are native memory and live until this object is disposed.
/// </summary>
internal sealed class BatchResult(IDisposableReadOnlyCollection<DisposableNamedOnnxValue>? results) : IDisposable
{
    /// <summary>The float32 values; values of other types are left out.</summary>
    public IEnumerable<(string Name, DenseTensor<float> Tensor)> Floats() =>
        (results ?? Enumerable.Empty<DisposableNamedOnnxValue>())
            .Where(result =>
                result.ValueType == OnnxValueType.ONNX_TYPE_TENSOR && result.ElementType == TensorElementType.Float
            )
            .Select(result => (result.Name, (DenseTensor<float>)result.AsTensor<float>()));

    /// <summary>All values in the requested order; sequences and maps are flattened to their elements.</summary>
    /// <exception cref="QuantizationException">A value has a type that cannot be read.</exception>
    public IEnumerable<OutputValue> Values() =>
        (results ?? Enumerable.Empty<DisposableNamedOnnxValue>()).SelectMany(result => Flatten(result.Name, result));

    /// <inheritdoc/>
    public void Dispose() => results?.Dispose();

    /// <summary>Flattens a map to its values in key order and a sequence to its items; a tensor stays as it
    /// is.</summary>
    /// <param name="name">Name of the output; parts of a sequence or map have their position appended.</param>
    /// <param name="value">The value that ONNX Runtime returned.</param>
    private static IEnumerable<OutputValue> Flatten(string name, NamedOnnxValue value)
    {
        switch (value.Value)
        {
            case IDictionary<long, float> map:
                return
                [
                    new OutputValue(name, [map.Count])
                    {
                        Floats = map.OrderBy(pair => pair.Key).Select(pair => pair.Value).ToArray(),
                    },
                ];
            case IDictionary<string, float> map:
                return
                [
                    new OutputValue(name, [map.Count])
                    {
                        Floats = map.OrderBy(pair => pair.Key, StringComparer.Ordinal)
                            .Select(pair => pair.Value)
                            .ToArray(),
                    },
                ];
            case IEnumerable<NamedOnnxValue> sequence:
                return sequence.SelectMany(item => Flatten(name, item));
            default:
                return [Tensor(name, value.Value)];
        }
    }

    /// <summary>Reads a tensor's elements in one of four forms: float32, float64, exact integers, text.</summary>
    /// <param name="name">The output's.</param>
    /// <param name="value">A tensor from ONNX Runtime.</param>
    /// <exception cref="QuantizationException">Its elements cannot be compared.</exception>
    private static OutputValue Tensor(string name, object? value) =>
        value switch
        {
            DenseTensor<float> tensor => new OutputValue(name, tensor.Dimensions.ToArray()) { Floats = tensor.Buffer },
            Tensor<double> tensor => new OutputValue(name, tensor.Dimensions.ToArray()) { Doubles = [.. tensor] },
            Tensor<Float16> tensor => new OutputValue(name, tensor.Dimensions.ToArray())
            {
                Floats = tensor.Select(item => (float)item).ToArray(),
            },
            Tensor<BFloat16> tensor => new OutputValue(name, tensor.Dimensions.ToArray())
            {
                Floats = tensor.Select(item => (float)item).ToArray(),
            },
            Tensor<long> tensor => Integers(name, tensor, item => item),
            Tensor<ulong> tensor => Integers(name, tensor, item => item),
            Tensor<int> tensor => Integers(name, tensor, item => item),
            Tensor<uint> tensor => Integers(name, tensor, item => item),
            Tensor<short> tensor => Integers(name, tensor, item => item),
            Tensor<ushort> tensor => Integers(name, tensor, item => item),
            Tensor<sbyte> tensor => Integers(name, tensor, item => item),
            Tensor<byte> tensor => Integers(name, tensor, item => item),
            Tensor<bool> tensor => Integers(name, tensor, item => item ? 1 : 0),
            Tensor<string> tensor => new OutputValue(name, tensor.Dimensions.ToArray()) { Texts = [.. tensor] },
            _ => throw new QuantizationException(
                $"output '{name}' cannot be compared: it holds {value?.GetType().Name ?? "no readable value"}. "
                    + $"No file was written."
            ),
        };

    /// <summary>Reads a tensor of integers exactly: no integer type of ONNX is larger than 64 bits.</summary>
    /// <typeparam name="T">The elements' type.</typeparam>
    /// <param name="name">The output's.</param>
    /// <param name="tensor">Tensor of integers or booleans.</param>
    /// <param name="convert">Converts an element to a wide integer without loss.</param>
    private static OutputValue Integers<T>(string name, Tensor<T> tensor, Func<T, Int128> convert) =>
        new(name, tensor.Dimensions.ToArray()) { Integers = [.. tensor.Select(convert)] };
}
