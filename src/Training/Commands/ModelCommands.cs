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
    /// <summary><c>evaluate</c>: figures on the test part, in eval mode.</summary>
    /// <returns>For the program's root command.</returns>
    public static Command Evaluate()
    {
        var views = Views("Also known as test-time augmentation: what it says is said of these views.");
        return ModelContext.Command(
            "evaluate",
            "Accuracy, loss and calibration of a trained model on its test pictures, by class, in eval "
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
                        $"{data.Name}: test accuracy {figures.Accuracy:P2} (top-5 {figures.TopFive:P2}), "
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
                "Which views of a picture the answer is the mean of: none is the picture as it is; mirror, its mirror "
                + "image too; mirror_shifts, both moved by a pixel each way too, at six times the work. "
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
    /// <c>export</c>: the ONNX file and the ML.NET zip anew from the weights, proved as <c>train</c> proves them.
    /// </summary>
    /// <returns>For the program's root command.</returns>
    public static Command Export()
    {
        Option<bool> explain = new("--explain")
        {
            Description = "Compare every value inside the network too, operation by operation.",
        };
        Option<bool> map = new("--activation-map")
        {
            Description =
                "Give the file the class-activation maps as a third output, activation_map: where in the "
                + "picture the evidence for each class lies.",
        };
        var views = Views("The file holds them, and says so in its metadata.");
        return ModelContext.Command(
            "export",
            "Write the ONNX file, the ML.NET zip and the card from the trained weights, and prove them.\nExample: export --out models",
            (context, stop) =>
            {
                context.Model.Classifier.Views = Read(views, context.Parsed);
                if (context.Parsed.GetValue(map) && context.Model.Classifier.Views != ViewKind.None)
                    throw new UserException(
                        "--activation-map and --views do not go together: a map is of one view. Leave one of them out."
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
    /// <c>parity</c>: every way of running the model against TorchSharp; with <c>--modes</c>, train mode against eval
    /// mode.
    /// </summary>
    /// <returns>For the program's root command; it exits with 1 where something disagrees.</returns>
    public static Command Parity()
    {
        Option<bool> modes = new("--modes")
        {
            Description =
                "Compare train mode with eval mode instead: how far the running statistics are from the "
                + "data's, layer by layer, and what small batches do. Leaves the model as it is.",
        };
        Option<bool> recalibrate = new("--recalibrate")
        {
            Description =
                "Compute the running statistics anew over the training pictures, keep them where the "
                + "validation loss is not worse, and export anew.",
        };
        return ModelContext.Command(
            "parity",
            "Compare TorchSharp, ONNX (folded and not), the ML.NET zip and every other way of serving "
                + "over the test pictures; and 64 threads with one. Exit code 1 where they differ.\nExample: "
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
    /// Compares ONNX Runtime, ML.NET and the batched routes with TorchSharp over the test pictures.
    /// </summary>
    /// <param name="context">The model with its data.</param>
    /// <param name="stop">Ends it.</param>
    /// <returns>1 where one disagrees, and the rows.</returns>
    private static (int ExitCode, object Result) Routes(ModelContext context, CancellationToken stop)
    {
        foreach (
            var file in context.Model.Settings.Reading.WithoutStockTwin is null
                ? (string[])[context.Folder.Onnx, context.Folder.Zip]
                : [context.Folder.Onnx]
        )
        {
            if (!File.Exists(file))
                throw new UserException($"{file} is not there. `export --out {context.Folder.Path}` makes it.");
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
                    "Parity failed: the files do not say what the weights say. `export` makes them anew."
                );
            return (passed ? 0 : ExitCodes.Failed, new { Passed = passed, Rows = rows });
        }
        finally
        {
            scratch.Delete(recursive: true);
        }
    }

    /// <summary>
    /// Measures the running statistics anew over the training pictures, and writes the model where that makes it
    /// better.
    /// </summary>
    /// <param name="context">The model with its data; its weights are changed.</param>
    /// <param name="before">The comparison of modes before.</param>
    /// <param name="stop">Ends it; the file is then as it was.</param>
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
    /// <c>predict</c>: classes of pictures, on the terminal, as CSV or JSON, or with maps of what they were told by.
    /// </summary>
    /// <returns>For the program's root command.</returns>
    public static Command Predict()
    {
        Argument<string[]> files = new("FILE")
        {
            Description = "Pictures (JPEG, PNG, BMP or WebP of any size), or folders of them, sub-folders included.",
            Arity = ArgumentArity.OneOrMore,
        };
        OutputFileOption csv = new("--csv")
        {
            Description =
                "Write path, label, probability of every picture to this file; a picture that cannot be read is marked, and ends nothing.",
            HelpName = "FILE",
        };
        Option<string?> variant = new("--variant")
        {
            Description = "Use a quantized copy of the model, as `quantize` makes it: int8, weights-int8 or float16.",
            HelpName = "int8|weights-int8|float16",
        };
        Option<string?> explain = new("--explain")
        {
            Description =
                "Write each picture into this folder, with the evidence for its class laid over it. Needs the weights beside the model.",
            HelpName = "DIR",
        };
        variant.AcceptOnlyFromAmong("int8", "weights-int8", "float16");
        var (outFolder, seed, json) = (CommonOptions.Out(), CommonOptions.Seed(), CommonOptions.JsonFile());
        var command = new Command(
            "predict",
            "Classify pictures with the exported model: the three most probable classes, or a file of "
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
    /// <exception cref="UserException">It is missing, or no model of ours.</exception>
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
