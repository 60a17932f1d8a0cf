using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace TorchBridge.Quantization;

/// <summary>Inputs of a model, for calibration or verification.</summary>
/// <param name="Inputs">One value an input of the model, the batch along the first axis.</param>
/// <param name="Labels">The right class of each row, where it is known.</param>
public sealed record QuantizationBatch(IReadOnlyCollection<NamedOnnxValue> Inputs, IReadOnlyList<int>? Labels = null)
{
    /// <summary>The size of the first input's first axis.</summary>
    internal int Rows => Inputs.First().Value switch
    {
        DenseTensor<float> tensor => First(tensor.Dimensions),
        DenseTensor<long> tensor => First(tensor.Dimensions),
        DenseTensor<int> tensor => First(tensor.Dimensions),
        _ => 1,
    };

    private static int First(ReadOnlySpan<int> dimensions) => dimensions.Length == 0 ? 1 : dimensions[0];
}
