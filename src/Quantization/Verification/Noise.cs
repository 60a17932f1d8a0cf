using System.Numerics;
using TorchBridge.Onnx.Compare;

namespace TorchBridge.Quantization.Verification;

/// <summary>Sums of squares of a signal and of what another differs by, over as many batches as there are.</summary>
internal sealed class Noise
{
    /// <summary>Signal-to-noise ratios end here: an exact copy has no finite one.</summary>
    public const double Exact = 200;

    private double signal;
    private double error;
    private long equal;
    private long count;

    /// <summary>Largest absolute difference.</summary>
    public double Largest { get; private set; }

    /// <summary>Largest absolute value of the signal.</summary>
    public double LargestValue { get; private set; }

    /// <summary>Share of the elements that are the same.</summary>
    public double Equal => count == 0 ? 1 : (double)equal / count;

    /// <summary>10 log10 of the signal over the error, in decibels.</summary>
    public double Decibels => error == 0 ? Exact : Math.Min(Exact, 10 * Math.Log10(signal / error));

    /// <summary>Adds a batch.</summary>
    /// <exception cref="QuantizationException">The shapes differ.</exception>
    public void Add<T>(ReadOnlySpan<T> expected, ReadOnlySpan<T> actual) where T : IBinaryFloatingPointIeee754<T>
    {
        if (expected.Length != actual.Length) throw new QuantizationException("the quantized model gives another shape than the float model");
        for (var i = 0; i < expected.Length; i++)
        {
            double value = double.CreateChecked(expected[i]), difference = ArrayComparison.Difference(double.CreateChecked(actual[i]), value);
            // What both sides give as the same infinity or NaN is neither signal nor noise.
            if (double.IsFinite(value)) signal += value * value;
            error += difference * difference;
            if (difference == 0) equal++;
            Largest = Math.Max(Largest, difference);
            if (double.IsFinite(value)) LargestValue = Math.Max(LargestValue, Math.Abs(value));
        }

        count += expected.Length;
    }
}
