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

/// <summary><c>train</c>, the default: trains, exports, packages, proves.</summary>
internal sealed class TrainCommand
{
    private readonly Option<string> outFolder = CommonOptions.Out();
    private readonly NumberOption seed = CommonOptions.Seed();
    private readonly OutputFileOption json = CommonOptions.JsonFile();
    private readonly Option<string?> data = CommonOptions.DataSet("drawn");
    private readonly Option<bool> resume = new("--resume")
    {
        Description = "Go on with the unfinished run in --out, after its last whole epoch, with its own options.",
    };
    private readonly NumberOption size = new("--size", new AllowedAttribute(8, 512))
    {
        Description =
            "Height and width in pixels that pictures are read at. Default: 32; 224 for the networks "
            + "with torchvision's shape, 256 with the recipes for photos; an earlier model's own for --weights.",
        HelpName = "N",
    };
    private readonly Option<bool?> antialias = new("--antialias")
    {
        Description =
            "Let every pixel count when pictures are made smaller: better than stock ML.NET's resizing, "
            + "so the model gets no ML.NET zip. Default: true for the networks with torchvision's shape.",
    };
    private readonly Option<bool> orient = new("--orient")
    {
        Description =
            "Turn photos as their EXIF orientation says. Stock ML.NET does not, so the model gets no ML.NET zip.",
    };
    private readonly WholeOption pictures = new("--pictures", new AllowedAttribute(100, 500_000), 3000)
    {
        Description = "Training pictures to draw (built-in data only); a sixth of it for validation, a third for test.",
    };
    private readonly Option<string> precision = new("--precision")
    {
        Description =
            "What training computes in; auto is bfloat16 where the processor has it in hardware. Weights stay float32.",
        DefaultValueFactory = _ => "auto",
        HelpName = "auto|float32|bfloat16",
    };
    private readonly NumberOption threads = new("--threads", new AllowedAttribute(1, 1024))
    {
        Description = "Threads of libtorch. Default: one a core.",
        HelpName = "N",
    };
    private readonly Option<string> device = new("--device")
    {
        Description = "Where to train.",
        DefaultValueFactory = _ => "cpu",
        HelpName = "cpu|cuda|mps",
    };
    private readonly NumberOption folds = new("--folds", new AllowedAttribute(2, 100))
    {
        Description =
            "Instead of one run: K-fold cross-validation over the training and validation parts, with mean and spread. Writes no model.",
        HelpName = "K",
    };
    private readonly RecipeOptions recipe = new();

    /// <summary>The command with its options.</summary>
    /// <returns>For the program's root command.</returns>
    public Command Build()
    {
        var command = new Command(
            "train",
            "Train on pictures, export to ONNX, package for ML.NET, and prove that all say the "
                + "same.\nExample: train --data ./my-pictures --epochs 20 --out models\nExample: train --data "
                + "cifar10 --recipe fast\nExample: train --data ./my-photos --recipe photos"
        );
        foreach (var option in Options)
            command.Options.Add(option);
        command.SetAction(Run);
        return command;
    }

    /// <summary>The options, which the bare program takes too.</summary>
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

    /// <summary>Does the command's work.</summary>
    /// <param name="parsed">The command line, of <c>train</c> or of the bare program.</param>
    /// <param name="stop">Ctrl-C: ends the run after the step, with the checkpoint of the last whole epoch in
    /// place.</param>
    /// <returns>The program's exit code.</returns>
    public Task<int> Run(ParseResult parsed, CancellationToken stop) => CommandRunner.Run(() => Train(parsed, stop));

    /// <summary>Loads pictures, trains or goes on, tests, packages and proves.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="stop">Ends it between two steps.</param>
    /// <returns>The program's exit code; <see cref="ExitCodes.Stopped"/> where Ctrl-C ended it.</returns>
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
        if (folds.Whole(parsed) is { } count)
        {
            if (resumed is not null)
                throw new UserException("--folds and --resume do not go together; leave one of them out.");
            CommonOptions.WriteJson(parsed.GetValue(json), FoldedRun.Of(console, settings, pictureData, count, stop));
            return 0;
        }

        if (resumed is not null)
            console.WriteLine(
                FormattableString.Invariant($"Going on after epoch {resumed.Epochs} of {settings.Recipe.Epochs}.")
            );
        else if (File.Exists(folder.Checkpoint))
            console.WriteLine(
                $"An unfinished run is in {folder.Checkpoint}; it is replaced after the first epoch. "
                    + $"`train --resume --out {folder.Path}` would go on with it."
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
            Console.Error.WriteLine(
                "Stopped before the first epoch was over: nothing was learned, nothing is written."
            );
            return ExitCodes.Stopped;
        }

        if (result.Ending == TrainingResult.StoppedByUser)
        {
            console.WriteLine(
                $"Stopped. `train --resume --out {folder.Path}` goes on after epoch {result.History.Count}. "
                    + KeepBest(model, folder, result)
            );
            return ExitCodes.Stopped;
        }

        // Read once, now that every choice is made.
        var test = Evaluation.Of(model.Classifier, pictureData.Test, stop);
        console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{result.Ending}; best weights of epoch {result.BestEpoch}. Test accuracy "
                    + $"{test.Accuracy:P2} (top-5 {test.TopFive:P2}), loss {test.Loss:F4}"
            )
        );
        try
        {
            PackageStep.PackageAndReport(console, model, folder, loaded, result, test, stop);
        }
        catch (OperationCanceledException)
        {
            console.WriteLine(
                $"Stopped. What was trained is in {folder.Checkpoint}: `train --resume --out {folder.Path}` makes the files from it."
            );
            return ExitCodes.Stopped;
        }
        catch (UserException error)
        {
            throw new UserException(
                $"{error.Message.TrimEnd('.')}. What was trained is in {folder.Checkpoint}: `train --resume --out {folder.Path}` "
                    + "makes the files from it.",
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
        // The run is finished, and all that it made is in place.
        File.Delete(folder.Checkpoint);
        return 0;
    }

    /// <summary>
    /// Keeps the best weights of a run that was stopped, where no finished model is in their place: its other files
    /// would then be another run's.
    /// </summary>
    /// <param name="model">The network, with the best epoch's weights.</param>
    /// <param name="folder">The run's folder.</param>
    /// <param name="result">The history until it was stopped.</param>
    /// <returns>A sentence for people.</returns>
    private static string KeepBest(TrainedModel model, ModelFolder folder, TrainingResult result)
    {
        if (File.Exists(folder.Onnx) || File.Exists(folder.Card))
            return $"The finished model in {folder.Path} is left as it is; the best weights so far "
                + $"(epoch {result.BestEpoch}) are in the checkpoint.";
        ModelFileSet.Publish(folder, [], staged =>
        {
            model.Save(staged.Weights);
            LearningCurves.Of(result, model.Settings.RunId).WriteTo(staged);
            return true;
        });
        return $"The best weights so far (epoch {result.BestEpoch}) are in {folder.Weights}; `export "
            + $"--out {folder.Path}` makes the other files from them.";
    }

    /// <summary>An unfinished run, with its own options: what has changed since would make it another run.</summary>
    /// <param name="parsed">The command line; what it names must be as the run is.</param>
    /// <param name="console">Where progress goes.</param>
    /// <param name="settings">The run's own, from its checkpoint.</param>
    /// <returns>The run's settings and its pictures.</returns>
    /// <exception cref="UserException">An option or the pictures are others.</exception>
    private (ModelSettings Settings, LoadedData Data) Resume(
        ParseResult parsed,
        IAnsiConsole console,
        ModelSettings settings
    )
    {
        var differences = OtherOptions(parsed, settings).Concat(recipe.Differences(parsed, settings)).ToArray();
        if (differences.Length > 0)
            throw new UserException(
                $"--resume goes on with the run's own options, and these are others: {string.Join("; ", differences)}. "
                    + "Leave them out, or start anew without --resume."
            );
        if (settings.Program != Versions.Program)
            throw new UserException(
                $"The run was begun by version {settings.Program ?? "unknown"} of this program, and this is "
                    + $"{Versions.Program}: it would not end as it began. Go on with that version, or start anew without "
                    + "--resume."
            );
        // As if they were named: the refusal below has another way out.
        var loaded = DataLoading.Load(console, settings, settings.Data);
        DataLoading.RefuseOtherPictures(
            settings,
            loaded.Data,
            "Put them back as they were, or start anew without --resume."
        );
        return (settings, loaded);
    }

    /// <summary>What the command line asks otherwise than the run is, recipe aside.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="run">The run's settings.</param>
    /// <returns>A sentence part for each option that differs: what was asked for and what the run has.</returns>
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
            .Select(item => $"{item.Option.Name} is {item.Now}, and was {item.Was}");

        static string Text(int? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "not given";
    }

    /// <summary>A checkpoint of a classifier alone holds no backbone: that comes from where it came from.</summary>
    /// <param name="console">Where progress goes.</param>
    /// <param name="model">The network that is to be trained.</param>
    /// <param name="resumed">The run that goes on; null for a new one.</param>
    /// <param name="pictures">What the weights are proved on when they are imported.</param>
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

    /// <summary>The settings and the pictures of a new run.</summary>
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
