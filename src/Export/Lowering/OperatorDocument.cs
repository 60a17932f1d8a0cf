using System.Globalization;
using System.Text;

namespace TorchBridge.Export.Lowering;

/// <summary>The operator table as a document: docs/operators.md is this text, and a test holds it to the table.</summary>
public static class OperatorDocument
{
    /// <summary>Writes the table as Markdown.</summary>
    /// <param name="table">The table.</param>
    public static string Markdown(OperatorTable table)
    {
        ArgumentNullException.ThrowIfNull(table);
        var text = new StringBuilder();
        text.AppendLine("# What the exporter takes").AppendLine()
            .AppendLine("Written by `dotnet run --project src/Training -- operators`. `add` is `torch.add`, `Tensor.add`, `add_` and `+`; the same holds for every operation.").AppendLine();
        Section(text, "Modules", [.. table.Modules]);
        Section(text, "Operations", [.. table.Operations]);
        text.AppendLine("## Refused by name").AppendLine();
        foreach (var (name, reason) in Refusals.Modules.OrderBy(pair => pair.Key, StringComparer.Ordinal)) text.AppendLine(CultureInfo.InvariantCulture, $"- `{name}`: {reason}");
        foreach (var group in Refusals.Operations.GroupBy(pair => pair.Value, pair => pair.Key)) text.AppendLine(CultureInfo.InvariantCulture, $"- {string.Join(", ", group.Order(StringComparer.Ordinal).Select(name => $"`{name}`"))}: {group.Key}");
        return text.ToString().ReplaceLineEndings("\n").TrimEnd() + "\n";
    }

    /// <summary>The names alone, for the README.</summary>
    /// <param name="table">The table.</param>
    public static string Names(OperatorTable table)
    {
        ArgumentNullException.ThrowIfNull(table);
        static string List(IEnumerable<OperatorRow> rows) => string.Join(", ", rows.Select(row => $"`{row.Name}`"));
        return $"| | |\n|---|---|\n| {table.Modules.Count()} modules | {List(table.Modules)} |\n| {table.Operations.Count()} operations | {List(table.Operations)} |\n";
    }

    private static void Section(StringBuilder text, string title, OperatorRow[] rows)
    {
        text.AppendLine(CultureInfo.InvariantCulture, $"## {title} ({rows.Length})").AppendLine().AppendLine("| TorchSharp | ONNX | options |").AppendLine("|---|---|---|");
        foreach (var row in rows) text.AppendLine(CultureInfo.InvariantCulture, $"| `{row.Name}` | {row.Onnx} | {row.Options} |");
        text.AppendLine();
    }
}
