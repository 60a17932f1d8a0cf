namespace TorchBridge.Quantization;

/// <summary>
/// How the range of a value is chosen from the values seen in calibration. A wide range clips nothing but has coarse
/// steps; a narrow one has fine steps but clips outliers.
/// </summary>
public enum CalibrationMethod
{
    /// <summary>The full range of observed values, from the smallest to the largest.</summary>
    MinMax,

    /// <summary>
    /// All but one value in ten thousand; if both signs occur, half of these are clipped at each end.
    /// </summary>
    Percentile,

    /// <summary>
    /// The range with the smallest mean square error of rounding and clipping combined, over the histogram.
    /// </summary>
    MeanSquareError,

    /// <summary>
    /// The range that preserves the distribution best: smallest Kullback-Leibler divergence between the histogram and
    /// its 256 levels (Migacz 2017).
    /// </summary>
    Entropy,
}
