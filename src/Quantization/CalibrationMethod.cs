namespace TorchBridge.Quantization;

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
