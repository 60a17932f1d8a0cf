using System.Globalization;
using System.Text;

namespace TorchBridge.Export;

/// <summary>
/// Whether a module exports, for people (<see cref="ToString"/>) and for programs. <see
/// cref="OnnxExporter.Check(TorchSharp.torch.nn.Module, TorchSharp.torch.Tensor[], ExportOptions)"/> makes it.
/// </summary>
/// <param name="Report">What the export did; null where it was refused. Its file is gone.</param>
/// <param name="Refusals">Everything that stands in the way, each with module path, method and line, cause and way
/// out.</param>
public sealed record ExportCheck(ExportReport? Report, IReadOnlyList<ExportException> Refusals)
{
    /// <summary>Whether it exports.</summary>
    public bool Exports => Report is not null;

    /// <summary>
    /// The finding as people read it: every reason where it does not export; else free axes, nodes, notes and what
    /// was compared.
    /// </summary>
    /// <returns>Several lines.</returns>
    public override string ToString()
    {
        var text = new StringBuilder();
        if (Report is null)
        {
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"does not export: {Refusals.Count} {(Refusals.Count == 1 ? "reason" : "reasons")}"
            );
            foreach (var refusal in Refusals)
                text.AppendLine(CultureInfo.InvariantCulture, $"  {refusal.Message}");
            return text.ToString();
        }

        text.AppendLine("exports");
        void Row(string name, string value) => text.Append("  ").Append(name.PadRight(12)).AppendLine(value);
        Row("free axes", Report.FreeAxes.Count == 0 ? "none" : string.Join(", ", Report.FreeAxes));
        Row(
            "nodes",
            string.Join(
                ", ",
                Report
                    .Nodes.OrderByDescending(pair => pair.Value)
                    .ThenBy(pair => pair.Key, StringComparer.Ordinal)
                    .Select(pair => $"{pair.Value} {pair.Key}")
            )
        );
        foreach (var note in Report.Notes)
            Row("note", note);
        foreach (var run in Report.Parity?.Runs ?? [])
            Row("compared", run);
        foreach (var size in Report.Parity?.LeftOut ?? [])
            Row("not taken", size);
        return text.ToString();
    }
}
