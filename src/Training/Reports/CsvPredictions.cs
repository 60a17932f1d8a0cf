using System.Globalization;
using Microsoft.ML;
using Spectre.Console;
using TorchBridge.Inference;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Reports;

/// <summary>Predictions of many pictures, through ML.NET in batches, as a CSV file.</summary>
internal static class CsvPredictions
{
    /// <summary>
    /// Writes the file; returns the program's exit code: bad pictures are marked and counted, and are no failure.
    /// </summary>
    /// <param name="console">Where progress goes.</param>
    /// <param name="model">The ONNX file.</param>
    /// <param name="pictures">Files, in the order of the rows.</param>
    /// <param name="path">The CSV file, replaced as a whole: path, label, probability; the last two are empty for a
    /// bad picture.</param>
    /// <param name="stop">Ends it; no file is left then.</param>
    /// <returns>0.</returns>
    public static int Write(
        IAnsiConsole console,
        string model,
        IReadOnlyList<string> pictures,
        string path,
        CancellationToken stop
    )
    {
        var context = new MLContext(seed: 0);
        var data = context.Data.LoadFromEnumerable(pictures.Select(picture => new Row { ImagePath = picture }));
        try
        {
            using var transformer = context
                .Transforms.ClassifyImages(
                    model,
                    options: new ImageClassificationOptions
                    {
                        OnInvalidImage = OnInvalidImage.MarkRow,
                        InvalidImage = error => Console.Error.WriteLine(error.Message),
                    }
                )
                .Fit(data);
            AtomicWrite.File(path, stream =>
            {
                using var writer = new StreamWriter(stream, leaveOpen: true);
                writer.Write("path,label,probability\n");
                WithProgress(console, pictures.Count, step =>
                {
                    foreach (
                        var row in context.Data.CreateEnumerable<Prediction>(
                            transformer.Transform(data),
                            reuseRowObject: true
                        )
                    )
                    {
                        stop.ThrowIfCancellationRequested();
                        writer.Write(
                            row.IsValid
                                ? string.Create(
                                    CultureInfo.InvariantCulture,
                                    $"{Quoted(row.ImagePath)},{Quoted(row.PredictedLabel!)},{row.Score!.Max():R}\n"
                                )
                                : $"{Quoted(row.ImagePath)},,\n"
                        );
                        step();
                    }
                });
            });
            console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{path}: {pictures.Count:N0} "
                        + $"pictures{(transformer.InvalidImages == 0 ? "" : $", {transformer.InvalidImages:N0} of them could not be read")}"
                )
            );
            return 0;
        }
        catch (Exception error) when (error is FileNotFoundException or InvalidDataException)
        {
            throw UserException.OfModel(model, error);
        }
    }

    /// <summary>Does work with a progress bar where there is a terminal.</summary>
    /// <param name="console">Where it goes.</param>
    /// <param name="count">Steps in all.</param>
    /// <param name="work">Is given what it calls after each step.</param>
    private static void WithProgress(IAnsiConsole console, int count, Action<Action> work)
    {
        if (!console.Profile.Capabilities.Interactive || Console.IsOutputRedirected)
        {
            work(() => { });
            return;
        }

        console
            .Progress()
            .Start(progress =>
            {
                var bar = progress.AddTask("classifying", maxValue: count);
                work(() => bar.Increment(1));
            });
    }

    /// <summary>
    /// A cell of text. A spreadsheet takes what begins with = + - @, a tab or a carriage return for a formula: an
    /// apostrophe before it keeps it text.
    /// </summary>
    /// <param name="text">A path or a class name.</param>
    /// <returns>The cell in quotes, with quotes inside doubled.</returns>
    internal static string Quoted(string text)
    {
        if (text.Length > 0 && "=+-@\t\r".Contains(text[0], StringComparison.Ordinal))
            text = $"'{text}";
        return text.AsSpan().ContainsAny(",\"\r\n")
            ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\""
            : text;
    }

    private sealed class Row
    {
        public string ImagePath { get; set; } = "";
    }

    private sealed class Prediction
    {
        public string ImagePath { get; set; } = "";

        public string? PredictedLabel { get; set; }

        public float[]? Score { get; set; }

        public bool IsValid { get; set; }
    }
}
