using Spectre.Console;
using TorchBridge.Training.Data;
using TorchBridge.Training.Explanation;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Parity;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Commands;

/// <summary>Packages a model and prints the result of its verification; shared by <c>train</c> and
/// <c>export</c>.</summary>
internal static class PackageStep
{
    /// <summary>
    /// Exports, packages and verifies the model, then writes the card, the report and the plots beside it; all files
    /// become visible together.
    /// </summary>
    /// <param name="console">Console for the results.</param>
    /// <param name="model">The trained model.</param>
    /// <param name="folder">Folder of the files.</param>
    /// <param name="data">The data; the verification uses its test part.</param>
    /// <param name="training">The history of the run; null if the model was trained earlier, in which case the
    /// history in the card or checkpoint is used.</param>
    /// <param name="test">Results of the model on the test part.</param>
    /// <param name="stop">Cancels between two steps; the folder is then not changed.</param>
    /// <param name="explain">Whether every intermediate value of the network is compared too.</param>
    /// <param name="activationMap">Whether the file has a class-activation map as a third output.</param>
    /// <returns>The report of the export and the rows of the comparison.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static PackagingResult PackageAndReport(
        IAnsiConsole console,
        TrainedModel model,
        ModelFolder folder,
        LoadedData data,
        TrainingResult? training,
        Evaluation test,
        CancellationToken stop,
        bool explain = false,
        bool activationMap = false
    )
    {
        training ??= ModelCardFile.TrainingOf(folder.Card, model.Settings.RunId)
            ?? Checkpoint.TrainingOf(folder.Checkpoint, model);
        var figures = TestFigures.Of(test, data.Data.Test, model.Settings.ClassNames);
        var result = ModelPackager.Package(
            model,
            folder,
            data,
            test,
            explain: explain,
            activationMap: activationMap,
            stop: stop,
            alongside: (staged, packaged) =>
            {
                // Either all files of one run are written, or the existing files are kept.
                model.Save(staged.Weights);
                TestPlots.Confusion(figures).WriteTo(staged);
                TestPlots.Reliability(figures).WriteTo(staged);
                if (training is not null)
                {
                    LearningCurves.Of(training, model.Settings.RunId).WriteTo(staged);
                    HtmlReport.Write(
                        staged,
                        model.Settings,
                        data.Data.Name,
                        training,
                        figures,
                        packaged.Parity,
                        Mistake.Worst(model, data.Data.Test, test)
                    );
                }

                ModelCardFile.Write(staged, model, data.Data, training, figures, packaged);
            }
        );
        console.WriteLine(
            result.Export.ToString().Replace(result.Export.Path, folder.Onnx, StringComparison.Ordinal).TrimEnd()
        );
        PrintParity(console, result.Parity);
        if (model.Settings.Reading.WithoutStockTwin is { } reading)
            console.WriteLine(
                $"No ML.NET zip: the model reads its pictures with {reading}, which stock ML.NET does not support. "
                    + "Use the .onnx file with ClassifyImages or ImageClassifier instead."
            );
        foreach (
            var file in (string[])
                [folder.Onnx, folder.Zip, folder.Weights, folder.Card, folder.Report, .. Pictures(folder)]
        )
        {
            if (File.Exists(file))
                console.WriteLine(FormattableString.Invariant($"  {file} ({new FileInfo(file).Length:N0} bytes)"));
        }

        return result;
    }

    /// <summary>The files of the report's plots, which are replaced together with it.</summary>
    /// <param name="folder">Folder of the model.</param>
    private static IEnumerable<string> Pictures(ModelFolder folder) =>
        ((string[])["curves", "confusion", "reliability"]).SelectMany(name =>
            (string[])[$"{folder.Picture(name)}.svg", $"{folder.Picture(name)}.png"]
        );

    /// <summary>Prints the rows of the comparison.</summary>
    /// <param name="console">The console.</param>
    /// <param name="rows">One row per way of running the model.</param>
    public static void PrintParity(IAnsiConsole console, IReadOnlyList<ParityRow> rows)
    {
        console.WriteLine("Parity with TorchSharp in eval mode, on the test pictures:");
        foreach (var row in rows)
            console.WriteLine($"  {ModelPackager.Describe(row)}");
    }
}
