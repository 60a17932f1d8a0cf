using TorchBridge.Onnx.Compare;
using TorchBridge.Quantization.Execution;

namespace TorchBridge.Quantization.Verification;

/// <summary>Sums of squares of a signal and of the differences from it, over any number of batches.</summary>
internal sealed class Noise
{
    /// <summary>Signal-to-noise ratios are clamped to this and its negative: an exact copy has no finite ratio, nor
    /// does NaN in place of a number.</summary>
    public const double Exact = 200;

    /// <summary>Sum of the squares of the expected values.</summary>
    private double signal;

    /// <summary>Sum of the squares of the differences.</summary>
    private double error;

    /// <summary>Number of elements without any difference.</summary>
    private long equal;

    /// <summary>Number of elements compared.</summary>
    public long Count { get; private set; }

    /// <summary>Whether the elements are integers or texts.</summary>
    public bool IsExact { get; private set; }

    /// <summary>Number of batches in which the shapes differed: the number of rows may depend on the data, which
    /// rounding changes.</summary>
    public int OtherShapes { get; private set; }

    /// <summary>Largest absolute difference; infinity if only one side has NaN or infinity.</summary>
    public double Largest { get; private set; }

    /// <summary>Largest absolute value of the signal.</summary>
    public double LargestValue { get; private set; }

    /// <summary>Share of equal elements.</summary>
    public double Equal => Count == 0 ? 1 : (double)equal / Count;

    /// <summary>10 log10 of the signal divided by the error, in decibels.</summary>
    public double Decibels
    {
        get
        {
            if (error == 0)
                return Exact;
            var ratio = 10 * Math.Log10(signal / error);
            return double.IsFinite(error) && !double.IsNaN(ratio) ? Math.Clamp(ratio, -Exact, Exact) : -Exact;
        }
    }

    /// <summary>Adds an output of a batch.</summary>
    /// <param name="expected">The float model's output.</param>
    /// <param name="actual">The quantized model's output. Another shape counts entirely as error.</param>
    public void Add(OutputValue expected, OutputValue actual)
    {
        IsExact = expected.IsExact;
        if (!expected.Shape.AsSpan().SequenceEqual(actual.Shape))
        {
            OtherShapes++;
            Count += Math.Max(expected.Count, actual.Count);
            error = double.PositiveInfinity;
            return;
        }

        if (expected.Floats is { } floats)
            Add(floats.Span, actual.Floats!.Value.Span);
        else if (expected.Doubles is { } doubles)
            Add<double>(doubles, actual.Doubles!);
        else if (expected.Integers is { } integers)
            Add(integers, actual.Integers!);
        else if (expected.Texts is { } texts)
            Add(texts, actual.Texts!);
    }

    /// <summary>Adds floating-point elements.</summary>
    /// <typeparam name="T">float or double.</typeparam>
    /// <param name="expected">The float model's elements.</param>
    /// <param name="actual">The quantized model's elements, equal in number.</param>
    public void Add<T>(ReadOnlySpan<T> expected, ReadOnlySpan<T> actual)
        where T : System.Numerics.IBinaryFloatingPointIeee754<T>
    {
        for (var index = 0; index < expected.Length; index++)
        {
            var value = double.CreateChecked(expected[index]);
            Add(value, ArrayComparison.Difference(double.CreateChecked(actual[index]), value));
        }
    }

    /// <summary>Compares integers without converting them to float64.</summary>
    /// <param name="expected">The float model's elements.</param>
    /// <param name="actual">The quantized model's elements, equal in number.</param>
    private void Add(Int128[] expected, Int128[] actual)
    {
        // Compared as integers: float64 cannot distinguish 2^53 + 1 from 2^53.
        for (var index = 0; index < expected.Length; index++)
            Add((double)expected[index], Math.Abs((double)(actual[index] - expected[index])));
    }

    /// <summary>Compares strings: an element differs by 1 or not at all.</summary>
    /// <param name="expected">The float model's elements.</param>
    /// <param name="actual">The quantized model's elements, equal in number.</param>
    private void Add(string[] expected, string[] actual)
    {
        for (var index = 0; index < expected.Length; index++)
            Add(1, expected[index] == actual[index] ? 0 : 1);
    }

    /// <summary>Adds one element: its signal, its error, and whether both sides are equal.</summary>
    /// <param name="value">The expected value.</param>
    /// <param name="difference">Magnitude of the difference; infinite if only one side is a number.</param>
    private void Add(double value, double difference)
    {
        Count++;
        if (difference == 0)
            equal++;
        Largest = Math.Max(Largest, difference);
        error += difference * difference;
        // The same infinity or NaN on both sides is neither signal nor noise.
        if (!double.IsFinite(value))
            return;
        signal += value * value;
        LargestValue = Math.Max(LargestValue, Math.Abs(value));
    }
}
