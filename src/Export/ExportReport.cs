using System.Globalization;
using System.Text;
using TorchBridge.Onnx;

namespace TorchBridge.Export;

/// <summary>A BatchNorm that was not folded, and why.</summary>
/// <param name="ModulePath">Path of the BatchNorm.</param>
/// <param name="Reason">Why it was not folded.</param>
public sealed record FoldRefusal(string ModulePath, string Reason);

/// <summary>How one output of the file compares with the module's output, over all verification runs.</summary>
/// <param name="Output">Name of the output.</param>
/// <param name="LargestAbsolute">Largest absolute difference between file and module.</param>
/// <param name="LargestRelative">Largest difference relative to the module's value, for values above 1 % of the
/// largest.</param>
/// <param name="LargestValue">Largest absolute value of the module's output, as the scale for judging the
/// differences.</param>
/// <param name="Tolerance">The largest absolute difference that was allowed.</param>
/// <param name="Rows">Rows (samples along axis 0) compared, over all runs.</param>
/// <param name="TopOneAgreement">Number of rows whose largest element is at the same index, for outputs with two
/// axes; ties within the tolerance count as equal.</param>
public sealed record OutputParity(
    string Output,
    double LargestAbsolute,
    double LargestRelative,
    double LargestValue,
    double Tolerance,
    long Rows,
    long? TopOneAgreement
);

/// <summary>What the verification measured over all runs of the file and the module.</summary>
/// <param name="Outputs">One entry per output.</param>
/// <param name="Runs">A description of each run: variant, optimization level, sizes.</param>
/// <param name="Environment">Operating system, processor, versions.</param>
public sealed record ParityReport(IReadOnlyList<OutputParity> Outputs, IReadOnlyList<string> Runs, string Environment)
{
    /// <summary>Sizes that <c>forward</c> itself rejects, with the exception it throws there.</summary>
    public IReadOnlyList<string> LeftOut { get; init; } = [];

    /// <summary>What a user of the file should know: axes that share one size or are fixed, modules that are not
    /// registered, state that is not kept.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>
/// An intermediate value as computed by the file and by the module: one line of the comparison that <see
/// cref="ExportOptions.Explain"/> asks for.
/// </summary>
/// <param name="ModulePath">Path of the module that computes it.</param>
/// <param name="Operation">The operation.</param>
/// <param name="Place">Method and source line, if known.</param>
/// <param name="Value">Its name in the file.</param>
/// <param name="Inputs">The operation's inputs, with shapes and statistics.</param>
/// <param name="Expected">Statistics of the module's value.</param>
/// <param name="Actual">Statistics of the file's value.</param>
/// <param name="LargestAbsolute">Largest absolute difference.</param>
/// <param name="LargestValue">Largest absolute value that the module computes.</param>
/// <param name="Difference">What is wrong, or null if the difference is within tolerance.</param>
public sealed record ValueParity(
    string ModulePath,
    string Operation,
    string? Place,
    string Value,
    IReadOnlyList<string> Inputs,
    string Expected,
    string Actual,
    double LargestAbsolute,
    double LargestValue,
    string? Difference
);

/// <summary>
/// What an export did; <see cref="ToString"/> formats it for display. A report exists only if the file was written
/// and passed verification.
/// </summary>
public sealed class ExportReport
{
    /// <summary>Where the file was written.</summary>
    public required string Path { get; init; }

    /// <summary>
    /// Number of operations captured in <c>forward</c>, before lowering. A module that has its own lowering counts
    /// once.
    /// </summary>
    public required int CapturedOps { get; init; }

    /// <summary>Nodes in the file, by ONNX operator.</summary>
    public required IReadOnlyDictionary<string, int> Nodes { get; init; }

    /// <summary>Number of tensors (initializers) in the file.</summary>
    public required int Initializers { get; init; }

    /// <summary>Total size of these tensors in bytes.</summary>
    public required long InitializerBytes { get; init; }

    /// <summary>Free axes, each as <c>input[0] = batch</c>.</summary>
    public required IReadOnlyList<string> FreeAxes { get; init; }

    /// <summary>What a user of the file should know: axes that share one size or are fixed, modules that are not
    /// registered, state that is not kept.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Module paths of the BatchNorms that were folded.</summary>
    public required IReadOnlyList<string> Folded { get; init; }

    /// <summary>BatchNorms that were not folded, with the reason.</summary>
    public required IReadOnlyList<FoldRefusal> NotFolded { get; init; }

    /// <summary>
    /// Time spent in each phase, summed over its repetitions: capture, lower, fold, infer shapes, write, verify,
    /// explain.
    /// </summary>
    public required IReadOnlyDictionary<string, TimeSpan> Phases { get; init; }

    /// <summary>What the verification measured; null if verification was turned off.</summary>
    public ParityReport? Parity { get; init; }

    /// <summary>The comparison of every intermediate value if <see cref="ExportOptions.Explain"/> is set; empty
    /// otherwise.</summary>
    public IReadOnlyList<ValueParity> Values { get; init; } = [];

    /// <summary>Formats the report for display.</summary>
    /// <returns>Several lines, one fact per line.</returns>
    public override string ToString()
    {
        var text = new StringBuilder();
        void Row(string name, string value) => text.Append("  ").Append(name.PadRight(15)).AppendLine(value);
        text.AppendLine(CultureInfo.InvariantCulture, $"Export of {Path}");
        var byCount = Nodes.OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key, StringComparer.Ordinal);
        Row("captured", $"{CapturedOps} operations");
        Row("nodes", $"{Nodes.Values.Sum()} ({string.Join(", ", byCount.Select(pair => $"{pair.Value} {pair.Key}"))})");
        Row(
            "initializers",
            string.Create(CultureInfo.InvariantCulture, $"{Initializers}, {InitializerBytes:N0} bytes")
        );
        Row("free axes", FreeAxes.Count == 0 ? "none" : string.Join(", ", FreeAxes));
        foreach (var note in Notes)
            Row("note", note);
        Row("folded", $"{Folded.Count} BatchNorm");
        foreach (var refusal in NotFolded)
            Row("not folded", $"{refusal.ModulePath}: {refusal.Reason}");
        foreach (var output in Parity?.Outputs ?? [])
            Row(
                "parity",
                $"{output.Output}: largest difference {Numbers.Short(output.LargestAbsolute)} of "
                    + $"{Numbers.Short(output.LargestValue)} (allowed {Numbers.Short(output.Tolerance)}), "
                    + $"{output.Rows} rows{(output.TopOneAgreement is { } top ? $", top-1 equal in {top}" : "")}"
            );
        foreach (var note in Parity?.Notes ?? [])
            Row("note", note);
        foreach (var size in (Parity?.LeftOut ?? []).Take(3))
            Row("left out", size);
        if (Parity?.LeftOut.Count > 3)
            Row("left out", $"{Parity.LeftOut.Count - 3} more sizes that forward rejects");
        foreach (var value in Values)
            Row(
                value.Difference is null ? "same" : "DIFFERS",
                $"{value.ModulePath} {value.Operation} -> {value.Value}: off by "
                    + $"{Numbers.Short(value.LargestAbsolute)} of {Numbers.Short(value.LargestValue)} "
                    + $"({value.Actual})"
            );
        Row("time", string.Join(", ", Phases.Select(phase => $"{phase.Key} {Seconds(phase.Value)} s")));
        return text.ToString();
        static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("F2", CultureInfo.InvariantCulture);
    }
}
