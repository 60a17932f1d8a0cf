using System.Globalization;
using System.Net;
using System.Text;
using OxyPlot;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Parity;

namespace TorchBridge.Training.Reports;

/// <summary>One page on a run, self-contained: inline SVG, no script, nothing external.</summary>
internal static class HtmlReport
{
    private const string Style = "body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}table{border-collapse:collapse;margin:1rem 0}" +
        "td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}svg{max-width:100%;height:auto}pre{background:#f5f5f5;padding:1rem;overflow:auto}";

    /// <summary>Writes the page.</summary>
    public static void Write(ModelFolder folder, ModelSettings settings, string data, TrainingResult training, TestFigures test, IReadOnlyList<ParityRow> parity)
    {
        var html = new StringBuilder();
        html.Append(CultureInfo.InvariantCulture, $"<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>ModernCNN on {Text(data)}</title><style>{Style}</style></head><body>");
        html.Append(CultureInfo.InvariantCulture, $"<h1>ModernCNN on {Text(data)}</h1><p>Test accuracy <b>{test.Accuracy:P2}</b> on {test.Count:N0} pictures that no choice has looked at; top-5 {test.TopFive:P2}, loss {test.Loss:F4}, expected calibration error {test.CalibrationError:P2}.</p>");
        html.Append(CultureInfo.InvariantCulture, $"<h2>Training</h2><p>{training.History.Count} epochs ({Text(training.Ending)}), {training.History.Sum(record => record.Seconds) / 60:F1} minutes, {training.History.Average(record => record.ImagesPerSecond):F0} images/s; the weights are those of epoch {training.BestEpoch}.</p>");
        html.Append(Svg(LearningCurves.Plot(training.History, training.BestEpoch), 900, 640));
        Table(html, ["epoch", "training loss", "validation loss", "training accuracy", "validation accuracy", "learning rate", "images/s"], training.History.Select(record => (string[])
            [N(record.Epoch), F(record.TrainingLoss), F(record.ValidationLoss), P(record.TrainingAccuracy), P(record.ValidationAccuracy), record.LearningRate.ToString("E1", CultureInfo.InvariantCulture), record.ImagesPerSecond.ToString("F0", CultureInfo.InvariantCulture)]));
        html.Append("<h2>Classes</h2>").Append(Svg(TestPlots.Confusion(test), 760, 700));
        Table(html, ["class", "accuracy", "pictures"], test.Classes.Select(item => (string[])[item.Name, P(item.Accuracy), N(item.Count)]));
        html.Append("<h2>Confidence</h2>").Append(Svg(TestPlots.Reliability(test), 560, 520));
        html.Append("<h2>The same network everywhere</h2>");
        Table(html, ["route", "agreement", "largest difference", "allowed"], parity.Select(row => (string[])
            [row.Name, string.Create(CultureInfo.InvariantCulture, $"{row.Agree:N0} of {row.Count:N0}"), row.LargestAbsolute.ToString("G3", CultureInfo.InvariantCulture), row.Tolerance.ToString("G3", CultureInfo.InvariantCulture)]));
        html.Append(CultureInfo.InvariantCulture, $"<h2>To repeat it</h2><pre>{Text(Json.Text(settings))}</pre><pre>{Text(Json.Text(Versions.All))}</pre></body></html>\n");
        AtomicWrite.Text(folder.Report, html.ToString());
    }

    /// <summary>A plot as an element of the page.</summary>
    private static string Svg(PlotModel plot, int width, int height)
    {
        var document = new SvgExporter { Width = width, Height = height }.ExportToString(plot);
        return document[document.IndexOf("<svg", StringComparison.Ordinal)..];
    }

    private static void Table(StringBuilder html, string[] head, IEnumerable<string[]> rows)
    {
        html.Append("<table><tr>").AppendJoin("", head.Select(cell => $"<th>{Text(cell)}</th>")).Append("</tr>");
        foreach (var row in rows) html.Append("<tr>").AppendJoin("", row.Select(cell => $"<td>{Text(cell)}</td>")).Append("</tr>");
        html.Append("</table>");
    }

    private static string Text(string text) => WebUtility.HtmlEncode(text);

    private static string N(int value) => value.ToString("N0", CultureInfo.InvariantCulture);

    private static string F(double value) => value.ToString("F4", CultureInfo.InvariantCulture);

    private static string P(double value) => value.ToString("P2", CultureInfo.InvariantCulture);
}
