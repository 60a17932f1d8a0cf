using System.CommandLine;
using System.Globalization;
using Spectre.Console;
using TorchBridge.Inference.Pictures;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Reports;
using TorchBridge.Training.Weights;

namespace TorchBridge.Training.Commands;

/// <summary>The <c>train</c> command, which is the default: trains, exports, packages and verifies a model.</summary>
internal sealed class TrainCommand
{
    private readonly Option<string> outFolder = CommonOptions.Out();
    private readonly NumberOption seed = CommonOptions.Seed();
    private readonly OutputFileOption json = CommonOptions.JsonFile();
    private readonly Option<string?> data = CommonOptions.DataSet("drawn");
    private readonly Option<bool> resume = new("--resume")
    {
        Description = "Continue the unfinished run in --out after its last complete epoch, with its own options.",
    };
    private readonly NumberOption size = new("--size", new AllowedAttribute(8, 512))
    {
        Description =
            "Height and width in pixels at which pictures are read. Default: 32; 224 for networks with torchvision's "
            + "architecture; 256 with the recipes for photos; with --weights, the size of the earlier model.",
        HelpName = "N",
    };
    private readonly Option<bool?> antialias = new("--antialias")
    {
        Description =
            "Downscale pictures with antialiasing, which is better than stock ML.NET's resizing, "
            + "so no ML.NET zip is written. Default: true for networks with torchvision's architecture.",
    };
    private readonly Option<bool> orient = new("--orient")
    {
        Description =
            "Rotate photos according to their EXIF orientation. Stock ML.NET does not, so no ML.NET zip is written.",
    };
    private readonly WholeOption pictures = new("--pictures", new AllowedAttribute(100, 500_000), 3000)
    {
        Description =
            "Number of training pictures to draw (built-in data only); in addition a sixth of that for "
            + "validation and a third for test.",
    };
    private readonly Option<string> precision = new("--precision")
    {
        Description =
            "Precision of training; auto is bfloat16 if the processor supports it in hardware. Weights are "
            + "always float32.",
        DefaultValueFactory = _ => "auto",
        HelpName = "auto|float32|bfloat16",
    };
    private readonly NumberOption threads = new("--threads", new AllowedAttribute(1, 1024))
    {
        Description = "Number of libtorch threads, for several runs beside each other. Default: one per core.",
        HelpName = "N",
    };
    private readonly Option<string> device = new("--device")
    {
        Description = "Device to train on.",
        DefaultValueFactory = _ => "cpu",
        HelpName = "cpu|cuda|mps",
    };
    private readonly NumberOption folds = new("--folds", new AllowedAttribute(2, 100))
    {
        Description =
            "Instead of a single run: K-fold cross-validation over the training and validation parts, with mean "
            + "and standard deviation. Writes no model.",
        HelpName = "K",
    };
    private readonly RecipeOptions recipe = new();

    /// <summary>Builds the command with its options.</summary>
    /// <returns>The command, to be added to the root command.</returns>
    public Command Build()
    {
        var command = new Command(
            "train",
            "Train on pictures, export to ONNX, package for ML.NET, and verify that all of them give the "
                + "same predictions.\nExample: train --data ./my-pictures --epochs 20 --out models\nExample: "
                + "train --data cifar10 --recipe fast\nExample: train --data ./my-photos --recipe photos"
        );
        foreach (var option in Options)
            command.Options.Add(option);
        command.SetAction(Run);
        return command;
    }

    /// <summary>The options, which the root command accepts too.</summary>
    public IEnumerable<Option> Options =>
        [
            data,
            outFolder,
            seed,
            json,
            resume,
            precision,
            threads,
            device,
            size,
            antialias,
            orient,
            pictures,
            folds,
            .. recipe.All,
        ];

    /// <summary>Runs the command.</summary>
    /// <param name="parsed">The command line, of <c>train</c> or of the root command.</param>
    /// <param name="stop">Ctrl-C: stops the run after the current step; the checkpoint of the last complete epoch is
    /// kept.</param>
    /// <returns>The program's exit code.</returns>
    public Task<int> Run(ParseResult parsed, CancellationToken stop) => CommandRunner.Run(() => Train(parsed, stop));

    /// <summary>Loads pictures, trains or resumes, tests, packages and verifies.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="stop">Cancels between two steps.</param>
    /// <returns>The program's exit code; <see cref="ExitCodes.Stopped"/> if Ctrl-C stopped it.</returns>
    private int Train(ParseResult parsed, CancellationToken stop)
    {
        var folder = new ModelFolder(parsed.GetValue(outFolder)!);
        using var claim = folder.Claim();
        var console = AnsiConsole.Console;
        using var resumed = parsed.GetValue(resume) ? Checkpoint.Read(folder.Checkpoint) : null;
        var (settings, loaded) = resumed is null ? Start(parsed, console) : Resume(parsed, console, resumed.Settings);
        var pictureData = loaded.Data;
        console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{pictureData.Name}: {pictureData.Training.Count:N0} training, "
                    + $"{pictureData.Validation.Count:N0} validation, {pictureData.Test.Count:N0} test pictures "
                    + $"in {pictureData.ClassNames.Count} classes"
            )
        );
        if (pictureData.Note is { } note)
            console.WriteLine(note);
        if (pictureData.Overlap is { } overlap)
            console.WriteLine(overlap);
        if (resumed is null && (parsed.GetValue(data) ?? DataSource.Drawn) != DataSource.Drawn)
        {
            foreach (var hint in TrainingHints.Of(settings, pictureData.Training.Count))
                console.WriteLine(hint);
        }

        if (folds.Whole(parsed) is { } count)
        {
            if (resumed is not null)
                throw new UserException("--folds and --resume cannot be combined; omit one of them.");
            CommonOptions.WriteJson(parsed.GetValue(json), FoldedRun.Of(console, settings, pictureData, count, stop));
            return 0;
        }

        if (resumed is not null)
            console.WriteLine(
                FormattableString.Invariant($"Resuming after epoch {resumed.Epochs} of {settings.Recipe.Epochs}.")
            );
        else if (File.Exists(folder.Checkpoint))
            console.WriteLine(
                $"There is an unfinished run in {folder.Checkpoint}, which will be replaced after the first epoch. "
                    + $"`train --resume --out {folder.Path}` would continue it instead."
            );

        using var model = new TrainedModel(settings);
        LoadWeights(console, model, resumed, pictureData);
        console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{model.Description}, {model.Network.parameters().Sum(parameter => parameter.numel()):N0}"
                    + $" parameters, {settings.Compute.Precision}, {settings.Compute.Threads} threads; loss and "
                    + $"accuracy: training / validation, * best so far"
            )
        );
        var result = TrainingProgress.Run(console, settings, observer =>
            new Trainer(model, observer, folder.Checkpoint).Train(pictureData, resumed, stop)
        );
        if (result.History.Count == 0)
        {
            Console.Error.WriteLine("Stopped before the end of the first epoch: nothing was written.");
            return ExitCodes.Stopped;
        }

        if (result.Ending == TrainingResult.StoppedByUser)
        {
            console.WriteLine(
                $"Stopped. `train --resume --out {folder.Path}` continues after epoch {result.History.Count}. "
                    + KeepBest(model, folder, result)
            );
            return ExitCodes.Stopped;
        }

        // The test part is used only once, after all decisions have been made.
        var test = Evaluation.Of(model.Classifier, pictureData.Test, stop);
        console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{result.Ending}; the best weights are those of epoch {result.BestEpoch}. Test accuracy "
                    + $"{test.Accuracy:P2}, {Evaluation.TopFiveText(test.TopFive, pictureData.ClassNames.Count)}"
                    + $"loss {test.Loss:F4}"
            )
        );
        try
        {
            PackageStep.PackageAndReport(console, model, folder, loaded, result, test, stop);
        }
        catch (OperationCanceledException)
        {
            console.WriteLine(
                $"Stopped. The trained weights are in {folder.Checkpoint}: `train --resume --out {folder.Path}` "
                    + "creates the files from them."
            );
            return ExitCodes.Stopped;
        }
        catch (UserException error)
        {
            throw new UserException(
                $"{error.Message.TrimEnd('.')}. The trained weights are in {folder.Checkpoint}: `train --resume "
                    + $"--out {folder.Path}` creates the files from them.",
                error
            );
        }

        CommonOptions.WriteJson(
            parsed.GetValue(json),
            new
            {
                Test = TestFigures.Of(test, pictureData.Test, pictureData.ClassNames),
                Training = result,
                Card = folder.Card,
            }
        );
        // The run is finished and all of its files are in place.
        File.Delete(folder.Checkpoint);
        return 0;
    }

    /// <summary>
    /// Keeps the best weights of a stopped run, unless there is a finished model in the folder, whose other files
    /// would then belong to a different run.
    /// </summary>
    /// <param name="model">The network, with the best epoch's weights.</param>
    /// <param name="folder">The run's folder.</param>
    /// <param name="result">The history until it was stopped.</param>
    /// <returns>A sentence for the user.</returns>
    private static string KeepBest(TrainedModel model, ModelFolder folder, TrainingResult result)
    {
        if (File.Exists(folder.Onnx) || File.Exists(folder.Card))
            return $"The finished model in {folder.Path} is not changed; the best weights so far "
                + $"(epoch {result.BestEpoch}) are in the checkpoint.";
        ModelFileSet.Publish(folder, [], staged =>
        {
            model.Save(staged.Weights);
            LearningCurves.Of(result, model.Settings.RunId).WriteTo(staged);
            return true;
        });
        return $"The best weights so far (epoch {result.BestEpoch}) are in {folder.Weights}; `export "
            + $"--out {folder.Path}` creates the other files from them.";
    }

    /// <summary>Loads an unfinished run with its own options; changed options would make it a different
    /// run.</summary>
    /// <param name="parsed">The command line; the options that it names must match the run.</param>
    /// <param name="console">Where progress goes.</param>
    /// <param name="settings">Settings of the run, from its checkpoint.</param>
    /// <returns>The run's settings and its pictures.</returns>
    /// <exception cref="UserException">An option or the pictures differ.</exception>
    private (ModelSettings Settings, LoadedData Data) Resume(
        ParseResult parsed,
        IAnsiConsole console,
        ModelSettings settings
    )
    {
        var differences = OtherOptions(parsed, settings).Concat(recipe.Differences(parsed, settings)).ToArray();
        if (differences.Length > 0)
            throw new UserException(
                $"--resume continues with the run's own options, but these differ: {string.Join("; ", differences)}. "
                    + "Omit them, or start a new run without --resume."
            );
        if (settings.Program != Versions.Program)
            throw new UserException(
                $"The run was started by version {settings.Program ?? "unknown"} of this program, but this is "
                    + "version "
                    + $"{Versions.Program}, which may continue it differently. Use that version, or start a new "
                    + "run without --resume."
            );
        // Loaded as if the data were named explicitly, because the refusal below suggests a different remedy.
        var loaded = DataLoading.Load(console, settings, settings.Data);
        DataLoading.RefuseOtherPictures(settings, loaded.Data, "Restore them, or start a new run without --resume.");
        return (settings, loaded);
    }

    /// <summary>The options on the command line, other than those of the recipe, that differ from the run.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="run">The run's settings.</param>
    /// <returns>A phrase for each option that differs: the requested value and the run's value.</returns>
    private IEnumerable<string> OtherOptions(ParseResult parsed, ModelSettings run)
    {
        bool IsGiven(Option option) => parsed.GetResult(option) is { Implicit: false };
        (Option Option, string Now, string Was)[] all =
        [
            (data, parsed.GetValue(data) ?? "", run.Data),
            (seed, Text(seed.Whole(parsed)), Text(run.Seed)),
            (size, Text(size.Whole(parsed)), Text(run.Network.Height)),
            (pictures, Text(pictures.Read(parsed)), Text(run.DataLimits is [var count, ..] ? count : null)),
            (threads, Text(threads.Whole(parsed)), Text(run.Compute.Threads)),
            (device, parsed.GetValue(device)!, run.Compute.Device),
            (precision, parsed.GetValue(precision)!, Naming.Of(run.Compute.Precision)),
            (antialias, $"{parsed.GetValue(antialias)}", $"{run.Reading.Antialias}"),
            (orient, $"{parsed.GetValue(orient)}", $"{run.Reading.ApplyOrientation}"),
        ];
        return all.Where(item => IsGiven(item.Option) && item.Now != item.Was && item.Now != "auto")
            .Select(item => $"{item.Option.Name} is {item.Now}, but was {item.Was}");

        static string Text(int? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "not given";
    }

    /// <summary>Loads trained weights. The checkpoint of a run that trains only the classifier contains no backbone,
    /// which is loaded from its original source.</summary>
    /// <param name="console">Where progress goes.</param>
    /// <param name="model">The network to train.</param>
    /// <param name="resumed">The checkpoint of the resumed run; null for a new run.</param>
    /// <param name="pictures">Pictures on which imported weights are verified.</param>
    private static void LoadWeights(IAnsiConsole console, TrainedModel model, Checkpoint? resumed, PictureData pictures)
    {
        if (
            model.Settings.Start is not { } start
            || (resumed is not null && model.Settings.Recipe.Tuning.What != TuneKind.Head)
        )
            return;
        using var weights = PretrainedWeights.Open(start);
        console.WriteLine(weights.LoadInto(model.Network, model.Settings.ClassNames, pictures.Training));
    }

    /// <summary>Creates the settings and loads the pictures of a new run.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="console">Where progress goes.</param>
    private (ModelSettings Settings, LoadedData Data) Start(ParseResult parsed, IAnsiConsole console)
    {
        var configuration = recipe.Read(parsed);
        using var weights = configuration.Weights is { } source ? PretrainedWeights.Open(source) : null;
        var shape = weights?.Shape(configuration.Network, recipe.IsNetworkNamed(parsed)) ?? configuration.Network;
        var isBackbone = shape.Kind != NetworkKind.ModernCnn;
        int sizeValue =
                size.Whole(parsed)
                ?? weights?.Side
                ?? configuration.Size
                ?? (isBackbone ? PackagedResNet18.InputSide : 32),
            count = pictures.Read(parsed);
        var compute = ComputeOptions.Parse(
            parsed.GetValue(precision)!,
            threads.Whole(parsed),
            parsed.GetValue(device)!
        );

        var dataName = parsed.GetValue(data) ?? DataSource.Drawn;
        var seedValue = seed.Whole(parsed) ?? 1;
        var reading = new PictureReading(parsed.GetValue(antialias) ?? isBackbone, parsed.GetValue(orient));
        int[]? limits = dataName == DataSource.Drawn ? [count, Math.Max(10, count / 6), Math.Max(10, count / 3)] : null;
        var loaded = DataLoading.Load(
            console,
            dataName,
            sizeValue,
            seedValue,
            limits is [var a, var b, var c] ? (a, b, c) : null,
            reading
        );
        var network = shape with
        {
            Classes = loaded.Data.ClassNames.Count,
            Height = loaded.Data.Training.Height,
            Width = loaded.Data.Training.Width,
        };
        return (
            new ModelSettings(
                network,
                configuration.Training,
                compute,
                seedValue,
                dataName,
                limits,
                loaded.Data.ClassNames,
                weights?.Statistics ?? ChannelStatistics.Of(loaded.Data.Training)
            )
            {
                Reading = reading,
                Start = weights?.Origin,
                Pictures = DataFingerprint.Of(loaded.Data),
                Program = Versions.Program,
            },
            loaded
        );
    }
}
