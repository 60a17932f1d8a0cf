using System.Globalization;
using System.Text;

namespace TorchBridge.Export.Quantization;

/// <summary>A node that stays in float32, and why.</summary>
/// <param name="Node">Its name.</param>
/// <param name="OpType">Its operator.</param>
/// <param name="Reason">Why.</param>
public sealed record LeftInFloat(string Node, string OpType, string Reason);

/// <summary>A value that is held in 8 bits.</summary>
/// <param name="Name">The value.</param>
/// <param name="Low">Least number of the range that was chosen.</param>
/// <param name="High">Greatest number of it.</param>
/// <param name="Scale">What one step is worth.</param>
/// <param name="ZeroPoint">The integer of zero.</param>
/// <param name="Decibels">Signal-to-noise ratio against the float model, with everything before it quantized too.</param>
public sealed record QuantizedValue(string Name, double Low, double High, double Scale, int ZeroPoint, double Decibels);

/// <summary>What quantizing one layer alone costs.</summary>
/// <param name="Node">The layer.</param>
/// <param name="OpType">Its operator.</param>
/// <param name="Decibels">Signal-to-noise ratio of the first output, with this layer alone quantized: the lower, the dearer.</param>
/// <param name="Agreement">Share of rows with the same largest output; null where outputs have no rows of classes.</param>
public sealed record LayerSensitivity(string Node, string OpType, double Decibels, double? Agreement);

/// <summary>An output of the quantized model against the float model's.</summary>
/// <param name="Name">The output.</param>
/// <param name="Decibels">Signal-to-noise ratio: 10 log10 of the float model's mean square over the error's.</param>
/// <param name="LargestAbsolute">Largest difference.</param>
/// <param name="LargestValue">Largest absolute value of the float model's output.</param>
public sealed record OutputFidelity(string Name, double Decibels, double LargestAbsolute, double LargestValue);

/// <summary>The quantized model against the float model, over rows that it was not calibrated on where such were given.</summary>
/// <param name="Rows">Rows compared.</param>
/// <param name="Agreement">Share of rows with the same largest element of the first output; null where it has none.</param>
/// <param name="FloatAccuracy">Accuracy of the float model; null without labels.</param>
/// <param name="QuantizedAccuracy">Accuracy of the quantized model; null without labels.</param>
/// <param name="Outputs">Each output.</param>
/// <param name="HeldOut">Whether the rows are others than those of calibration.</param>
public sealed record Fidelity(long Rows, double? Agreement, double? FloatAccuracy, double? QuantizedAccuracy, IReadOnlyList<OutputFidelity> Outputs, bool HeldOut);

/// <summary>What was quantized, how, and how well it holds.</summary>
public sealed record QuantizationReport
{
    /// <summary>The file.</summary>
    public required string Path { get; init; }

    /// <summary>What became of weights and values.</summary>
    public required QuantizationMode Mode { get; init; }

    /// <summary>How ranges were chosen.</summary>
    public required CalibrationMethod Method { get; init; }

    /// <summary>Integer type of the values.</summary>
    public required ActivationType Activations { get; init; }

    /// <summary>Bits of the weights.</summary>
    public required int WeightBits { get; init; }

    /// <summary>Rows that calibration read.</summary>
    public required long CalibrationRows { get; init; }

    /// <summary>Names of the nodes that compute in integers (or, weight-only, of the tensors that are stored smaller).</summary>
    public required IReadOnlyList<string> Quantized { get; init; }

    /// <summary>What stays in float32.</summary>
    public required IReadOnlyList<LeftInFloat> LeftInFloat { get; init; }

    /// <summary>The values in 8 bits.</summary>
    public required IReadOnlyList<QuantizedValue> Values { get; init; }

    /// <summary>Each layer's own cost, the dearest first; empty where it was not needed.</summary>
    public required IReadOnlyList<LayerSensitivity> Sensitivity { get; init; }

    /// <summary>The result against the float model.</summary>
    public required Fidelity Fidelity { get; init; }

    /// <summary>The result against the float model over the test batches; null without them.</summary>
    public Fidelity? Test { get; init; }

    /// <summary>Size of the float model in bytes, its data file included.</summary>
    public required long FloatBytes { get; init; }

    /// <summary>Size of the result in bytes.</summary>
    public required long QuantizedBytes { get; init; }

    /// <summary>Seconds by phase.</summary>
    public required IReadOnlyDictionary<string, double> Seconds { get; init; }

    /// <summary>The report as people read it.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{Path}: {QuantizedBytes:N0} bytes, {(double)QuantizedBytes / FloatBytes:P1} of {FloatBytes:N0}; {Quantized.Count} {(Mode == QuantizationMode.Int8 ? "nodes in integers" : "tensors stored smaller")}");
        if (Mode == QuantizationMode.Int8) text.AppendLine(CultureInfo.InvariantCulture, $"  {Method} ranges over {CalibrationRows:N0} rows, values {Activations}, weights int8 of {WeightBits} bits an output channel");
        foreach (var left in LeftInFloat) text.AppendLine($"  in float32: {left.Node} ({left.OpType}): {left.Reason}");
        text.AppendLine($"  {(Fidelity.HeldOut ? "held-out" : "calibration")}: {Describe(Fidelity)}");
        if (Test is not null) text.AppendLine($"  test: {Describe(Test)}");
        text.AppendLine($"  time: {string.Join(", ", Seconds.Select(phase => string.Create(CultureInfo.InvariantCulture, $"{phase.Key} {phase.Value:F1} s")))}");
        return text.ToString();
    }

    internal static string Describe(Fidelity fidelity)
    {
        var parts = new List<string>();
        if (fidelity.Agreement is { } agreement) parts.Add(string.Create(CultureInfo.InvariantCulture, $"same class in {agreement:P2}"));
        if (fidelity is { FloatAccuracy: { } before, QuantizedAccuracy: { } after }) parts.Add(string.Create(CultureInfo.InvariantCulture, $"accuracy {before:P2} to {after:P2}"));
        parts.AddRange(fidelity.Outputs.Select(output => string.Create(CultureInfo.InvariantCulture, $"{output.Name} {output.Decibels:F1} dB")));
        return string.Create(CultureInfo.InvariantCulture, $"{fidelity.Rows:N0} rows: {string.Join(", ", parts)}");
    }
}

/// <summary>A model was not quantized; no file was written.</summary>
public sealed class QuantizationException : Exception
{
    /// <summary>Makes an exception.</summary>
    public QuantizationException() { }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What is wrong and what to do.</param>
    public QuantizationException(string message) : base(message) { }

    /// <summary>Makes an exception with a cause.</summary>
    /// <param name="message">What is wrong and what to do.</param>
    /// <param name="innerException">What caused it.</param>
    public QuantizationException(string message, Exception innerException) : base(message, innerException) { }
}
