using Spectre.Console;
using TorchBridge.Training.Data;
using TorchBridge.Training.Explanation;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Parity;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Commands;

/// <summary>Packages a model and prints what was proved: shared by <c>train</c> and <c>export</c>.</summary>
internal static class PackageStep
{
    /// <summary>
    /// Exports, packages and proves; then writes the card, the report and the pictures beside the model, all at once.
    /// </summary>
    /// <param name="console">Where it is told.</param>
    /// <param name="model">The trained model.</param>
    /// <param name="folder">Where the files go.</param>
    /// <param name="data">Its test part is what is proved over.</param>
    /// <param name="training">The run's history; null where the model was trained before: then the card's or the
    /// checkpoint's.</param>
    /// <param name="test">Figures of the model on the test part.</param>
    /// <param name="stop">Ends it between two steps; what was in the folder stays as it was.</param>
    /// <param name="explain">Whether every value inside the network is compared too.</param>
    /// <param name="activationMap">Whether the file gives a class-activation map as a third output.</param>
    /// <returns>The export's report and the rows of the proof.</returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
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
                // All of one run, or what is there stays.
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
                $"No ML.NET zip: the model reads its pictures with {reading}, which stock ML.NET has not. "
                    + "Serve the .onnx file with ClassifyImages or ImageClassifier."
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
    /// <param name="folder">The model's.</param>
    private static IEnumerable<string> Pictures(ModelFolder folder) =>
        ((string[])["curves", "confusion", "reliability"]).SelectMany(name =>
            (string[])[$"{folder.Picture(name)}.svg", $"{folder.Picture(name)}.png"]
        );

    /// <summary>Prints the rows of the proof.</summary>
    /// <param name="console">Where they go.</param>
    /// <param name="rows">A way of running the model each.</param>
    public static void PrintParity(IAnsiConsole console, IReadOnlyList<ParityRow> rows)
    {
        console.WriteLine("Parity with TorchSharp in eval mode, over the test pictures:");
        foreach (var row in rows)
            console.WriteLine($"  {ModelPackager.Describe(row)}");
    }
}
