using Microsoft.ML.OnnxRuntime;

namespace TorchBridge.Export.Quantization;

/// <summary>What becomes of the weights and the values between the layers.</summary>
public enum QuantizationMode
{
    /// <summary>Weights and values in 8 bits, computed in integers: a quarter of the bytes, and several times the speed where the processor has VNNI or dot-product instructions.</summary>
    Int8,

    /// <summary>Weights stored in int8, everything computed in float32: a quarter of the bytes, no speed.</summary>
    WeightsInt8,

    /// <summary>Weights stored in float16, everything computed in float32: half the bytes, no speed.</summary>
    WeightsFloat16,
}

/// <summary>How the range of a value is chosen from what calibration saw.</summary>
public enum CalibrationMethod
{
    /// <summary>Everything that was seen.</summary>
    MinMax,

    /// <summary>All but one number in ten thousand.</summary>
    Percentile,

    /// <summary>The range with the least mean square error.</summary>
    MeanSquareError,

    /// <summary>The range that keeps most of the distribution (Kullback-Leibler divergence).</summary>
    Entropy,
}

/// <summary>The integer type of values between layers.</summary>
public enum ActivationType
{
    /// <summary>What the processor at hand multiplies best: uint8 on x64, int8 on ARM.</summary>
    Auto,

    /// <summary>0 to 255.</summary>
    UInt8,

    /// <summary>-128 to 127.</summary>
    Int8,
}

/// <summary>Inputs of a model, for calibration or verification.</summary>
/// <param name="Inputs">One value an input of the model, the batch along the first axis.</param>
/// <param name="Labels">The right class of each row, where it is known.</param>
public sealed record QuantizationBatch(IReadOnlyCollection<NamedOnnxValue> Inputs, IReadOnlyList<int>? Labels = null);

/// <summary>How much worse the quantized model may be; below it no file is written.</summary>
public sealed record AccuracyBudget
{
    /// <summary>Accuracy that may be lost, a share of 1, where held-out batches have labels. Default: 0.01.</summary>
    public double AccuracyDrop { get; init; } = 0.01;

    /// <summary>Least share of rows with the same largest output, where the first output has one row a sample and at least two columns. Default: 0.95.</summary>
    public double Agreement { get; init; } = 0.95;

    /// <summary>Least signal-to-noise ratio in decibels of each floating-point output. Default: 10.</summary>
    public double Decibels { get; init; } = 10;
}

/// <summary>What is going on.</summary>
/// <param name="Phase">Calibration, verification, sensitivity.</param>
/// <param name="Done">Steps done of it.</param>
/// <param name="Total">Steps in all; null where the number of batches is not known.</param>
public sealed record QuantizationProgress(string Phase, int Done, int? Total);

/// <summary>How a model is quantized.</summary>
public sealed record QuantizationOptions
{
    /// <summary>What becomes of weights and values. Default: all in 8 bits.</summary>
    public QuantizationMode Mode { get; init; } = QuantizationMode.Int8;

    /// <summary>How ranges are chosen. Default: least mean square error.</summary>
    public CalibrationMethod Method { get; init; } = CalibrationMethod.MeanSquareError;

    /// <summary>Integer type of the values. Default: the processor decides.</summary>
    public ActivationType Activations { get; init; } = ActivationType.Auto;

    /// <summary>
    /// Bits of the weights, 7 or 8; null: 8 where this processor has VNNI or dot-product instructions, else 7. Older x64 processors add two
    /// uint8 x int8 products in 16 bits, which overflow with 8-bit weights.
    /// </summary>
    public int? WeightBits { get; init; }

    /// <summary>Whether the first layer stays in float32.</summary>
    public bool FirstLayerInFloat { get; init; }

    /// <summary>Whether the last layer stays in float32.</summary>
    public bool LastLayerInFloat { get; init; }

    /// <summary>Names of nodes that stay in float32.</summary>
    public IReadOnlyCollection<string> NodesInFloat { get; init; } = [];

    /// <summary>Whether biases take up the mean of what rounding the weights changes. Default: yes.</summary>
    public bool CorrectBiases { get; init; } = true;

    /// <summary>Whether the weights of neighbouring layers are scaled against each other, so that their channels have equal ranges.</summary>
    public bool EqualizeRanges { get; init; }

    /// <summary>Whether each layer's own cost is measured.</summary>
    public bool MeasureSensitivity { get; init; }

    /// <summary>Whether layers go back to float32, the worst first, until the budget holds. Default: yes.</summary>
    public bool FallBack { get; init; } = true;

    /// <summary>How much worse the result may be.</summary>
    public AccuracyBudget Budget { get; init; } = new();

    /// <summary>Batches that calibration has not seen, with labels where there are some; read more than once. Null: the calibration batches are read again.</summary>
    public IEnumerable<QuantizationBatch>? HeldOut { get; init; }

    /// <summary>Batches with labels that are read once, when everything is decided; null for none.</summary>
    public IEnumerable<QuantizationBatch>? Test { get; init; }

    /// <summary>Metadata that replaces or joins the model's own.</summary>
    public Func<QuantizationReport, IEnumerable<KeyValuePair<string, string>>>? LateMetadata { get; init; }

    /// <summary>Hears how far it is.</summary>
    public IProgress<QuantizationProgress>? Progress { get; init; }
}
