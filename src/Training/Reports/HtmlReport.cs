using System.Globalization;
using TorchBridge.Onnx;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Explanation;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Parity;

namespace TorchBridge.Training.Reports;

/// <summary>The report of a run as a self-contained page: inline SVG, no scripts, nothing external.</summary>
internal static class HtmlReport
{
    /// <summary>Writes the page.</summary>
    public static void Write(
        ModelFolder folder,
        ModelSettings settings,
        string data,
        TrainingResult training,
        TestFigures test,
        IReadOnlyList<ParityRow> parity,
        IReadOnlyList<Mistake> mistakes
    ) =>
        new HtmlPage(
            $"{(settings.Network.Kind == NetworkKind.ModernCnn ? "ModernCNN" : Naming.Of(settings.Network.Kind))} on {data}"
        )
            .Add(
                $"""
                <p>Test accuracy <b>{test.Accuracy:P2}</b> on {test.Count:N0} pictures that were not used for any decision;
                {test.TopFiveText}loss {test.Loss:F4}, expected calibration error {test.CalibrationError:P2}{test.Views.Note()}.</p>
                """
            )
            .Add(
                $"""
                <h2>Training</h2><p>{training.History.Count} epochs ({HtmlPage.Text(training.Ending)}),
                {Duration(training.History.Sum(record => record.Seconds))},
                {training.History.Average(record => record.ImagesPerSecond):F0} images/s;
                the weights are those of epoch {training.BestEpoch}. Run id {settings.RunId}.</p>
                """
            )
            .Picture(LearningCurves.Of(training, settings.RunId).Svg())
            .Table(
                null,
                [
                    "epoch",
                    "training loss",
                    "validation loss",
                    "training accuracy",
                    "validation accuracy",
                    "learning rate",
                    "images/s",
                ],
                training.History.Select(record =>
                    (string[])
                        [
                            N(record.Epoch),
                            F(record.TrainingLoss),
                            F(record.ValidationLoss),
                            P(record.TrainingAccuracy),
                            P(record.ValidationAccuracy),
                            Numbers.Short(record.LearningRate, 2),
                            record.ImagesPerSecond.ToString("F0", CultureInfo.InvariantCulture),
                        ]
                )
            )
            .Add($"<h2>Classes</h2>")
            .Picture(TestPlots.Confusion(test).Svg())
            .Table(
                null,
                ["class", "accuracy", "pictures"],
                test.Classes.Select(item => (string[])[item.Name, P(item.Accuracy), N(item.Count)])
            )
            .Add($"<h2>Confidence</h2>")
            .Picture(TestPlots.Reliability(test).Svg())
            .Add($"<h2>Worst mistakes</h2>")
            .Mistakes(mistakes)
            .Add($"<h2>Parity of all exported files</h2>")
            .Table(
                null,
                ["route", "agreement", "largest difference", "allowed"],
                parity.Select(row =>
                    (string[])
                        [
                            row.Name,
                            string.Create(CultureInfo.InvariantCulture, $"{row.Agree:N0} of {row.Count:N0}"),
                            Numbers.Short(row.LargestAbsolute),
                            Numbers.Short(row.Tolerance),
                        ]
                )
            )
            .Add($"<h2>How to reproduce it</h2><pre>{HtmlPage.Text(Json.Text(settings))}</pre>")
            .Add($"<pre>{HtmlPage.Text(Json.Text(Versions.All))}</pre>")
            .Write(folder.Report);

    /// <summary>Adds the worst mistakes: each picture as the network sees it, and beside it the evidence for the
    /// predicted class.</summary>
    /// <param name="page">The page.</param>
    /// <param name="mistakes">The mistakes with the highest confidence, the highest first.</param>
    private static HtmlPage Mistakes(this HtmlPage page, IReadOnlyList<Mistake> mistakes)
    {
        if (mistakes.Count == 0)
            return page.Add($"<p>No test picture was classified incorrectly.</p>");
        var beside = mistakes[0].Overlay is null
            ? ""
            : "; beside each, the evidence for the predicted class: yellow for some, red for most";
        page.Add(
            $"<p>The misclassified test pictures with the highest confidence, as the network sees them{beside}.</p>"
        );
        page.Add($"<div class=\"cards\">");
        foreach (var mistake in mistakes)
        {
            var about = HtmlPage.Text($"{mistake.Truth}, classified as {mistake.Predicted}");
            page.Add($"<figure>").Image(mistake.Picture, about);
            if (mistake.Overlay is { } overlay)
                page.Image(overlay, $"{about}: evidence");
            page.Add($"<figcaption>{about}, confidence {mistake.Confidence:P1}</figcaption></figure>");
        }

        return page.Add($"</div>");
    }

    /// <summary>Formats a whole number with thousands separators.</summary>
    /// <param name="value">The number.</param>
    private static string N(int value) => value.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>Formats a number with four decimals.</summary>
    /// <param name="value">The number.</param>
    private static string F(double value) => value.ToString("F4", CultureInfo.InvariantCulture);

    /// <summary>Formats a share in percent with two decimals.</summary>
    /// <param name="value">0 to 1.</param>
    private static string P(double value) => value.ToString("P2", CultureInfo.InvariantCulture);

    /// <summary>Formats a duration in a suitable unit.</summary>
    private static string Duration(double seconds) =>
        seconds < 60
            ? string.Create(CultureInfo.InvariantCulture, $"{seconds:F1} seconds")
            : string.Create(CultureInfo.InvariantCulture, $"{seconds / 60:F1} minutes");
}
