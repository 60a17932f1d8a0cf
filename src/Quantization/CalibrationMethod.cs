namespace TorchBridge.Quantization;

/// <summary>
/// How the range of a value is chosen from what calibration saw. A wide range clips nothing and has coarse steps; a
/// narrow one has fine steps and clips outliers.
/// </summary>
public enum CalibrationMethod
{
    /// <summary>Everything that was seen, from the least to the greatest number.</summary>
    MinMax,

    /// <summary>
    /// All but one number in ten thousand, half of these at either end where both signs occur.
    /// </summary>
    Percentile,

    /// <summary>
    /// The range with the least mean square error of rounding and clipping together, over the histogram.
    /// </summary>
    MeanSquareError,

    /// <summary>
    /// The range that keeps most of the distribution: least Kullback-Leibler divergence between the histogram and its
    /// 256 levels (Migacz 2017).
    /// </summary>
    Entropy,
}
