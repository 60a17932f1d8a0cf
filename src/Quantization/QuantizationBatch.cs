using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace TorchBridge.Quantization;

/// <summary>
/// Inputs of a model with the batch along the first axis, for calibration or verification.
/// </summary>
/// <param name="Inputs">One value per input of the model, with the type and shape that the model expects.</param>
/// <param name="Labels">The correct class of each row of the first output, from 0; null if unknown.</param>
public sealed record QuantizationBatch(IReadOnlyCollection<NamedOnnxValue> Inputs, IReadOnlyList<int>? Labels = null)
{
    /// <summary>The size of the first axis of the first input that is not a scalar; 1 if all are scalars.</summary>
    internal int Rows => Inputs.Select(input => FirstAxis(input.Value)).FirstOrDefault(rows => rows is not null) ?? 1;

    /// <summary>The size of a tensor's first axis; null for scalars, sequences and maps.</summary>
    /// <param name="value">A tensor of any element type.</param>
    /// <returns>Null for scalars and for values that are not tensors.</returns>
    private static int? FirstAxis(object? value) =>
        value switch
        {
            Tensor<float> tensor => First(tensor),
            Tensor<double> tensor => First(tensor),
            Tensor<Float16> tensor => First(tensor),
            Tensor<BFloat16> tensor => First(tensor),
            Tensor<long> tensor => First(tensor),
            Tensor<ulong> tensor => First(tensor),
            Tensor<int> tensor => First(tensor),
            Tensor<uint> tensor => First(tensor),
            Tensor<short> tensor => First(tensor),
            Tensor<ushort> tensor => First(tensor),
            Tensor<sbyte> tensor => First(tensor),
            Tensor<byte> tensor => First(tensor),
            Tensor<bool> tensor => First(tensor),
            Tensor<string> tensor => First(tensor),
            _ => null,
        };

    /// <summary>The size of axis 0.</summary>
    /// <typeparam name="T">The elements' type.</typeparam>
    /// <param name="tensor">Tensor of any shape.</param>
    private static int? First<T>(Tensor<T> tensor) => tensor.Dimensions.Length == 0 ? null : tensor.Dimensions[0];
}
