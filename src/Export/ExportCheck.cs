using System.Globalization;
using System.Text;

namespace TorchBridge.Export;

/// <summary>
/// The result of <see cref="OnnxExporter.Check(TorchSharp.torch.nn.Module, TorchSharp.torch.Tensor[],
/// ExportOptions)"/>: whether a module can be exported. <see cref="ToString"/> formats it for display.
/// </summary>
/// <param name="Report">What the export did; null if it was refused. The file itself has been deleted.</param>
/// <param name="Refusals">Every reason why the module cannot be exported, each with the module path, method and line,
/// cause and remedy.</param>
public sealed record ExportCheck(ExportReport? Report, IReadOnlyList<ExportException> Refusals)
{
    /// <summary>Whether the module can be exported.</summary>
    public bool Exports => Report is not null;

    /// <summary>
    /// Formats the result for display: every reason if the module cannot be exported; otherwise the free axes, nodes,
    /// notes and what was compared.
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
