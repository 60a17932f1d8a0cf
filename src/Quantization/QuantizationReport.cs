using System.Globalization;
using System.Text;

namespace TorchBridge.Quantization;

/// <summary>
/// What was quantized, how, and with what fidelity. <see cref="ToString"/> returns the text that the program prints.
/// </summary>
public sealed record QuantizationReport
{
    /// <summary>Path of the file that was written, as the caller passed it.</summary>
    public required string Path { get; init; }

    /// <summary>How weights are stored and how the model computes.</summary>
    public required QuantizationMode Mode { get; init; }

    /// <summary>How ranges were chosen.</summary>
    public required CalibrationMethod Method { get; init; }

    /// <summary>
    /// Integer type of the activations; never <see cref="ActivationType.Auto"/> but the type it resolved to.
    /// </summary>
    public required ActivationType Activations { get; init; }

    /// <summary>Bits of the weights, 7 or 8.</summary>
    public required int WeightBits { get; init; }

    /// <summary>Number of rows read for calibration; 0 in weight-only modes.</summary>
    public required long CalibrationRows { get; init; }

    /// <summary>Names of the nodes that compute in integers (in weight-only modes, of the compressed
    /// tensors).</summary>
    public required IReadOnlyList<string> Quantized { get; init; }

    /// <summary>
    /// The layers with weights that stay in float32, each with its reason.
    /// </summary>
    public required IReadOnlyList<LeftInFloat> LeftInFloat { get; init; }

    /// <summary>
    /// The values that integer nodes produce, with range, scale and fidelity; empty in weight-only modes.
    /// </summary>
    public required IReadOnlyList<QuantizedValue> Values { get; init; }

    /// <summary>
    /// The cost of each layer, the highest first; empty if it was neither requested nor needed.
    /// </summary>
    public required IReadOnlyList<LayerSensitivity> Sensitivity { get; init; }

    /// <summary>The result compared with the float model.</summary>
    public required Fidelity Fidelity { get; init; }

    /// <summary>The result compared with the float model over the test batches; null without them.</summary>
    public Fidelity? Test { get; init; }

    /// <summary>Size of the float model in bytes, including its data file.</summary>
    public required long FloatBytes { get; init; }

    /// <summary>Size of the result in bytes, including its data file.</summary>
    public required long QuantizedBytes { get; init; }

    /// <summary>Seconds by phase.</summary>
    public required IReadOnlyDictionary<string, double> Seconds { get; init; }

    /// <summary>The report as human-readable text.</summary>
    /// <returns>Several lines: sizes, method, what stays in float32, fidelity, times.</returns>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.AppendLine(
            CultureInfo.InvariantCulture,
            $"{Path}: {QuantizedBytes:N0} bytes, {(double)QuantizedBytes / FloatBytes:P1} of "
                + $"{FloatBytes:N0}; {Quantized.Count} "
                + $"{(Mode == QuantizationMode.Int8 ? "nodes in integers" : "compressed tensors")}"
        );
        if (Mode == QuantizationMode.Int8)
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"  {Method} ranges over {CalibrationRows:N0} rows, values {Activations}, weights int8 of "
                    + $"{WeightBits} bits, one scale per output channel"
            );
        foreach (var left in LeftInFloat)
            text.AppendLine($"  in float32: {left.Node} ({left.OpType}): {left.Reason}");
        text.AppendLine($"  {(Fidelity.HeldOut ? "held-out" : "calibration")}: {Describe(Fidelity)}");
        if (Test is not null)
            text.AppendLine($"  test: {Describe(Test)}");
        var times = Seconds.Select(phase => FormattableString.Invariant($"{phase.Key} {phase.Value:F1} s"));
        text.AppendLine($"  time: {string.Join(", ", times)}");
        return text.ToString();
    }

    /// <summary>
    /// Describes fidelity in one line: rows, equal classes, accuracies, and each output's decibels or share of equal
    /// elements.
    /// </summary>
    /// <param name="fidelity">The result of a comparison.</param>
    internal static string Describe(Fidelity fidelity)
    {
        var parts = new List<string>();
        if (fidelity.Agreement is { } agreement)
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"same class in {agreement:P2}"));
        if (fidelity is { FloatAccuracy: { } before, QuantizedAccuracy: { } after })
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"accuracy {before:P2} to {after:P2}"));
        parts.AddRange(
            fidelity.Outputs.Select(output =>
                output.Equal is { } equal
                    ? string.Create(CultureInfo.InvariantCulture, $"{output.Name} equal in {equal:P2}")
                    : string.Create(CultureInfo.InvariantCulture, $"{output.Name} {output.Decibels:F1} dB")
            )
        );
        return string.Create(CultureInfo.InvariantCulture, $"{fidelity.Rows:N0} rows: {string.Join(", ", parts)}");
    }
}
