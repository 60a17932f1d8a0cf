using System.Globalization;
using System.Text;

namespace TorchBridge.Export.Lowering;

/// <summary>The operator table as a document: docs/operators.md is this text, and a test holds it to the
/// table.</summary>
public static class OperatorDocument
{
    /// <summary>Writes the table as Markdown.</summary>
    /// <param name="table">The table.</param>
    /// <returns>The whole document, lines ending with a line feed.</returns>
    public static string Markdown(OperatorTable table)
    {
        ArgumentNullException.ThrowIfNull(table);
        var text = new StringBuilder();
        text.AppendLine("# What the exporter takes")
            .AppendLine()
            .AppendLine(
                "Written by `dotnet run --project src/Training -- operators`. `add` is `torch.add`, "
                    + "`Tensor.add`, `add_` and `+`; the same holds for every operation. The names at a glance; "
                    + "each has a row with its options further down:"
            )
            .AppendLine()
            .AppendLine("<!-- operators -->")
            .Append(Names(table))
            .AppendLine("<!-- /operators -->")
            .AppendLine();
        Section(text, "Modules", [.. table.Modules]);
        Section(text, "Operations", [.. table.Operations]);
        text.AppendLine("## Where ONNX Runtime itself differs").AppendLine();
        foreach (var line in Differences)
            text.AppendLine(CultureInfo.InvariantCulture, $"- {line}");
        text.AppendLine().AppendLine("## Refused by name").AppendLine();
        foreach (var (name, reason) in Refusals.Modules.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            text.AppendLine(CultureInfo.InvariantCulture, $"- `{name}`: {reason}");
        foreach (var group in Refusals.Operations.GroupBy(pair => pair.Value, pair => pair.Key))
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"- {string.Join(", ", group.Order(StringComparer.Ordinal).Select(name => $"`{name}`"))}: {group.Key}"
            );
        return text.ToString().ReplaceLineEndings("\n").TrimEnd() + "\n";
    }

    /// <summary>The names alone: what stands at the head of the document.</summary>
    /// <param name="table">The table.</param>
    /// <returns>A table of two rows: modules and operations.</returns>
    public static string Names(OperatorTable table)
    {
        ArgumentNullException.ThrowIfNull(table);
        static string List(IEnumerable<OperatorRow> rows) => string.Join(", ", rows.Select(row => $"`{row.Name}`"));
        return $"| | |\n|---|---|\n| {table.Modules.Count()} modules | {List(table.Modules)} |\n| "
            + $"{table.Operations.Count()} operations | {List(table.Operations)} |\n";
    }

    /// <summary>What no graph can mend, or only at a price that nobody should pay. Verification notes it in the
    /// report where it shows.</summary>
    private static readonly string[] Differences =
    [
        "NaN and infinities in sums of products (Conv, MatMul, Gemm, Einsum, LSTM, GRU, RNN), averages "
            + "(AveragePool, GlobalAveragePool), LRN, Resize, GridSample and the norms: "
            + "a product of zero and infinity may or may not be formed, so that NaN can stand in more or in fewer elements.",
        "The GELU of +infinity is infinite; TorchSharp's is NaN.",
        "MaxPool passes over NaN, and of a window of nothing but -infinity it is the lowest finite "
            + "number. Places of NaN in the indices of poolings are those of the largest number.",
        "Which of equal elements `sort`, `argsort` and `topk` name first is not defined in TorchSharp "
            + "(`stable: true` is); the file names the first.",
        "A conversion of NaN, or of a number out of an integer's range, to that integer is not defined in C++, and differs by processor.",
        "A reshape of an empty batch in which another free size is left to be inferred fails in ONNX Runtime.",
        "ONNX Runtime merges a number into a product of float64 matrices as a float32: 1e-8 of the result.",
        "float64 has no kernel for Conv, ConvTranspose, AveragePool, InstanceNormalization, GridSample, "
            + "LSTM, GRU and RNN: refused. float16, bfloat16 and small integers without a kernel are computed in "
            + "float32 or int32, and rounded to their dtype after each operation.",
    ];

    /// <summary>One table of rows.</summary>
    private static void Section(StringBuilder text, string title, OperatorRow[] rows)
    {
        text.AppendLine(CultureInfo.InvariantCulture, $"## {title} ({rows.Length})")
            .AppendLine()
            .AppendLine("| TorchSharp | ONNX | options |")
            .AppendLine("|---|---|---|");
        foreach (var row in rows)
            text.AppendLine(CultureInfo.InvariantCulture, $"| `{row.Name}` | {row.Onnx} | {row.Options} |");
        text.AppendLine();
    }
}
