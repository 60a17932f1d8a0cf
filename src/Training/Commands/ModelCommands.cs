using System.CommandLine;
using System.Globalization;
using Spectre.Console;
using TorchBridge.Inference;
using TorchBridge.Inference.Pictures;
using TorchBridge.Onnx.Files;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Parity;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Commands;

/// <summary>Commands that start from a trained model: <c>evaluate</c>, <c>export</c>, <c>parity</c>,
/// <c>predict</c>.</summary>
internal static class ModelCommands
{
    /// <summary>The <c>evaluate</c> command: accuracy, loss and calibration on the test part, in eval mode.</summary>
    /// <returns>For the program's root command.</returns>
    public static Command Evaluate()
    {
        var views = Views("Also known as test-time augmentation; the results then apply to these views.");
        return ModelContext.Command(
            "evaluate",
            "Measure accuracy, loss and calibration of a trained model on its test pictures, by class, in eval "
                + "mode.\nExample: evaluate --out models --json result.json",
            (context, stop) =>
            {
                var data = context.Data.Data;
                context.Model.Classifier.Views = Read(views, context.Parsed);
                var test = Evaluation.Of(context.Model.Classifier, data.Test, stop);
                test.RequireFinite();
                var figures = TestFigures.Of(test, data.Test, data.ClassNames);
                context.Console.WriteLine(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{data.Name}: test accuracy {figures.Accuracy:P2}, "
                            + $"{figures.TopFiveText}"
                            + $"loss {figures.Loss:F4}, calibration error {figures.CalibrationError:P2}, "
                            + $"{figures.Count:N0} pictures{figures.Views.Note()}"
                    )
                );
                foreach (var item in figures.Classes)
                    context.Console.WriteLine(
                        FormattableString.Invariant($"  {item.Name, -16} {item.Accuracy, 8:P2} of {item.Count:N0}")
                    );
                return (0, figures);
            },
            views
        );
    }

    private static Option<string> Views(string use) =>
        new("--views")
        {
            Description =
                "Views of a picture over which the prediction is averaged. none: only the picture itself; "
                + "mirror: also its mirror "
                + "image; mirror_shifts: also both shifted by one pixel in each direction, at six times the cost. "
                + use,
            HelpName = string.Join('|', RecipeOptions.NamesOf<ViewKind>().Keys),
            DefaultValueFactory = _ => Naming.Of(ViewKind.None),
        };

    private static ViewKind Read(Option<string> views, ParseResult parsed)
    {
        var (names, text) = (RecipeOptions.NamesOf<ViewKind>(), parsed.GetValue(views)!);
        RecipeOptions.Require(names.ContainsKey(text), views.Name, text, string.Join(", ", names.Keys));
        return names[text];
    }

    /// <summary>
    /// The <c>export</c> command: writes the ONNX file and the ML.NET zip again from the weights, with the same
    /// verification as <c>train</c>.
    /// </summary>
    /// <returns>For the program's root command.</returns>
    public static Command Export()
    {
        Option<bool> explain = new("--explain")
        {
            Description = "Also compare every intermediate value of the network, operation by operation.",
        };
        Option<bool> map = new("--activation-map")
        {
            Description =
                "Add the class-activation maps to the file as a third output, activation_map: where in the "
                + "picture the evidence for each class is.",
        };
        var views = Views("The file computes them itself, and its metadata says so.");
        return ModelContext.Command(
            "export",
            "Write the ONNX file, the ML.NET zip and the model card from the trained weights, and verify "
                + "them.\nExample: export --out models",
            (context, stop) =>
            {
                context.Model.Classifier.Views = Read(views, context.Parsed);
                if (context.Parsed.GetValue(map) && context.Model.Classifier.Views != ViewKind.None)
                    throw new UserException(
                        "--activation-map and --views cannot be combined, because a map belongs to one view. "
                            + "Omit one of them."
                    );
                using var claim = context.Folder.Claim();
                var test = Evaluation.Of(context.Model.Classifier, context.Data.Data.Test, stop);
                var result = PackageStep.PackageAndReport(
                    context.Console,
                    context.Model,
                    context.Folder,
                    context.Data,
                    null,
                    test,
                    stop,
                    context.Parsed.GetValue(explain),
                    context.Parsed.GetValue(map)
                );
                return (
                    0,
                    new
                    {
                        result.Export.Path,
                        result.Export.Nodes,
                        result.Export.Folded,
                        result.Export.NotFolded,
                        result.Export.Values,
                        result.Parity,
                    }
                );
            },
            explain,
            map,
            views
        );
    }

    /// <summary>
    /// The <c>parity</c> command: compares every way of running the model with TorchSharp; with <c>--modes</c>, train
    /// mode with eval mode.
    /// </summary>
    /// <returns>The command, to be added to the root command. It exits with 1 if anything differs.</returns>
    public static Command Parity()
    {
        Option<bool> modes = new("--modes")
        {
            Description =
                "Compare train mode with eval mode instead: how far the running statistics are from the "
                + "data's, layer by layer, and what small batches do. The model is not changed.",
        };
        Option<bool> recalibrate = new("--recalibrate")
        {
            Description =
                "Recompute the running statistics over the training pictures, keep them if the "
                + "validation loss is not worse, and export again.",
        };
        return ModelContext.Command(
            "parity",
            "Compare TorchSharp, ONNX (folded and unfolded), the ML.NET zip and every other way of serving "
                + "on the test pictures; and 64 threads with one. The exit code is 1 if they differ.\nExample: "
                + "parity --out models --json parity.json\nExample: parity --modes",
            (context, stop) =>
            {
                if (!context.Parsed.GetValue(modes) && !context.Parsed.GetValue(recalibrate))
                    return Routes(context, stop);
                var before = ModeParity.Measure(context.Model, context.Data.Data, stop);
                ModeParityReport.Print(context.Console, before);
                foreach (var figure in ModeParityReport.Figures(before))
                {
                    figure.WriteTo(context.Folder);
                    context.Console.WriteLine($"  {context.Folder.Picture(figure.Name)}.svg, .png");
                }

                return context.Parsed.GetValue(recalibrate) ? Recalibrate(context, before, stop) : (0, before);
            },
            modes,
            recalibrate
        );
    }

    /// <summary>
    /// Compares ONNX Runtime, ML.NET and the batched routes with TorchSharp on the test pictures.
    /// </summary>
    /// <param name="context">The model with its data.</param>
    /// <param name="stop">Cancels the comparison.</param>
    /// <returns>The exit code, 1 if a route differs, and the rows.</returns>
    private static (int ExitCode, object Result) Routes(ModelContext context, CancellationToken stop)
    {
        foreach (
            var file in context.Model.Settings.Reading.WithoutStockTwin is null
                ? (string[])[context.Folder.Onnx, context.Folder.Zip]
                : [context.Folder.Onnx]
        )
        {
            if (!File.Exists(file))
                throw new UserException($"{file} does not exist. Create it with `export --out {context.Folder.Path}`.");
        }

        context.Model.Classifier.Views = ModelPackager.ViewsOf(context.Folder.Onnx);
        var test = Evaluation.Of(context.Model.Classifier, context.Data.Data.Test, stop);
        var scratch = TemporaryFolder.Create("parity");
        try
        {
            var rows = ModelPackager
                .Prove(
                    context.Model,
                    context.Folder.Onnx,
                    context.Folder.Zip,
                    context.Data,
                    test,
                    scratch.FullName,
                    stop
                )
                .ToList();
            PackageStep.PrintParity(context.Console, rows);
            foreach (
                var row in RouteParity.Of(
                    context.Folder.Onnx,
                    ModelPackager.WriteFiles(context.Data, Path.Combine(scratch.FullName, "pictures")),
                    test.Logits,
                    scratch.FullName
                )
            )
            {
                stop.ThrowIfCancellationRequested();
                context.Console.WriteLine($"  {ModelPackager.Describe(row)}");
                rows.Add(row);
            }

            var passed = rows.All(row => row.Passed);
            if (!passed)
                Console.Error.WriteLine(
                    "Parity failed: the exported files do not give the same predictions as the weights. Create "
                        + "them again with `export`."
                );
            return (passed ? 0 : ExitCodes.Failed, new { Passed = passed, Rows = rows });
        }
        finally
        {
            scratch.Delete(recursive: true);
        }
    }

    /// <summary>
    /// Recomputes the running statistics over the training pictures, and writes the model if that improves it.
    /// </summary>
    /// <param name="context">The model with its data; its running statistics are changed.</param>
    /// <param name="before">The comparison of the modes before recalibration.</param>
    /// <param name="stop">Cancels the recalibration; the file is then not changed.</param>
    private static (int ExitCode, object Result) Recalibrate(
        ModelContext context,
        ModeParityResult before,
        CancellationToken stop
    )
    {
        using var claim = context.Folder.Claim();
        var result = ModeParity.Recalibrate(context.Model, context.Data.Data, stop);
        context.Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"Recalibrated: validation loss {result.LossBefore:F4} to {result.LossAfter:F4}, accuracy "
                    + $"{result.AccuracyBefore:P2} to {result.AccuracyAfter:P2}: "
                    + $"{(result.Kept ? "kept" : "worse, so nothing was changed")}."
            )
        );
        if (!result.Kept)
            return (0, new { Before = before, Recalibration = result });
        var after = ModeParity.Measure(context.Model, context.Data.Data, stop);
        ModeParityReport.Print(context.Console, after);
        if (File.Exists(context.Folder.Onnx))
            context.Model.Classifier.Views = ModelPackager.ViewsOf(context.Folder.Onnx);
        var test = Evaluation.Of(context.Model.Classifier, context.Data.Data.Test, stop);
        PackageStep.PackageAndReport(context.Console, context.Model, context.Folder, context.Data, null, test, stop);
        return (
            0,
            new
            {
                Before = before,
                Recalibration = result,
                After = after,
            }
        );
    }

    /// <summary>
    /// The <c>predict</c> command: classifies pictures and writes the result to the terminal, as CSV or JSON, or as
    /// class-activation maps.
    /// </summary>
    /// <returns>For the program's root command.</returns>
    public static Command Predict()
    {
        Argument<string[]> files = new("FILE")
        {
            Description = "Pictures (JPEG, PNG, BMP or WebP of any size), or folders of them, including subfolders.",
            Arity = ArgumentArity.OneOrMore,
        };
        OutputFileOption csv = new("--csv")
        {
            Description =
                "Write path, label and probability of every picture to this CSV file. An unreadable picture is "
                + "marked as such and does not stop the run.",
            HelpName = "FILE",
        };
        Option<string?> variant = new("--variant")
        {
            Description =
                "Use a quantized copy of the model that `quantize` has created: int8, weights-int8 or float16.",
            HelpName = "int8|weights-int8|float16",
        };
        Option<string?> explain = new("--explain")
        {
            Description =
                "Write each picture to this folder, overlaid with the evidence for its class. Needs the weights "
                + "(.safetensors) beside the model.",
            HelpName = "DIR",
        };
        variant.AcceptOnlyFromAmong("int8", "weights-int8", "float16");
        var (outFolder, seed, json) = (CommonOptions.Out(), CommonOptions.Seed(), CommonOptions.JsonFile());
        var command = new Command(
            "predict",
            "Classify pictures with the exported model: print the three most probable classes, or write a file with "
                + "all predictions.\nExample: predict cat.jpg dog.png --out models\nExample: predict "
                + "./pictures --csv predictions.csv\nExample: predict cat.jpg --explain maps"
        )
        {
            files,
            csv,
            variant,
            explain,
            outFolder,
            json,
            seed,
        };
        command.SetAction(
            (parsed, stop) =>
                CommandRunner.Run(() =>
                {
                    var folder = new ModelFolder(parsed.GetValue(outFolder)!);
                    FileSet.Recover(folder.Path);
                    if (parsed.GetValue(variant) is { } name)
                        folder = folder.MadeFrom(name);
                    var pictures = PictureList.Of(AnsiConsole.Console, parsed.GetValue(files)!);
                    if (parsed.GetValue(csv) is { } path)
                        return CsvPredictions.Write(AnsiConsole.Console, folder.Onnx, pictures, path, stop);
                    using var classifier = Load(folder.Onnx);
                    var results = pictures
                        .Zip(TopThree(classifier, pictures), (file, top) => (File: file, Top: top))
                        .ToArray();
                    foreach (var (file, top) in results)
                        AnsiConsole.Console.WriteLine(
                            $"{file}: "
                                + string.Join(
                                    ", ",
                                    top.Select(item =>
                                        FormattableString.Invariant($"{item.Label} {item.Probability:P1}")
                                    )
                                )
                        );
                    if (parsed.GetValue(explain) is { } maps)
                        ExplainedPictures.Write(
                            AnsiConsole.Console,
                            new ModelFolder(parsed.GetValue(outFolder)!).Weights,
                            pictures,
                            maps,
                            stop
                        );
                    CommonOptions.WriteJson(
                        parsed.GetValue(json),
                        results.Select(result => new
                        {
                            result.File,
                            Top = result.Top.Select(item => new { item.Label, item.Probability }),
                        })
                    );
                    return 0;
                })
        );
        return command;
    }

    /// <summary>Opens an exported model.</summary>
    /// <param name="path">The ONNX file.</param>
    /// <exception cref="UserException">It is missing, or it was not written by this program.</exception>
    private static ImageClassifier Load(string path)
    {
        try
        {
            return ImageClassifier.Load(path);
        }
        catch (Exception error) when (error is FileNotFoundException or InvalidDataException)
        {
            throw UserException.OfModel(path, error);
        }
    }

    private static (string Label, float Probability)[][] TopThree(
        ImageClassifier classifier,
        IReadOnlyList<string> files
    )
    {
        try
        {
            return
            [
                .. classifier
                    .ClassifyBatch(files)
                    .Select(prediction =>
                        classifier
                            .ClassNames.Zip(prediction.Probabilities)
                            .OrderByDescending(item => item.Second)
                            .Take(3)
                            .ToArray()
                    ),
            ];
        }
        catch (InvalidPictureException error)
        {
            throw new UserException(error.Message, error);
        }
    }
}
