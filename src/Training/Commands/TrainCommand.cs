using System.CommandLine;
using Spectre.Console;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Commands;

/// <summary><c>train</c>, the default: trains, exports, packages, proves.</summary>
internal sealed class TrainCommand
{
    private readonly Option<string> outFolder = CommonOptions.Out();
    private readonly Option<int?> seed = CommonOptions.Seed();
    private readonly Option<string?> json = CommonOptions.JsonFile();
    private readonly Option<string?> data = CommonOptions.DataSet("drawn");
    private readonly Option<int> epochs = new("--epochs") { Description = "Passes over the training pictures.", DefaultValueFactory = _ => new Recipe().Epochs, HelpName = "N" };
    private readonly Option<int> batch = new("--batch") { Description = "Pictures a step.", DefaultValueFactory = _ => new Recipe().BatchSize, HelpName = "N" };
    private readonly Option<double> learningRate = new("--lr") { Description = "Peak learning rate; it decays as a cosine.", DefaultValueFactory = _ => new Recipe().LearningRate, HelpName = "X" };
    private readonly Option<BlockForm> form = new("--form") { Description = "Whether blocks have shortcuts: residual, or plain as the lesson's code.", DefaultValueFactory = _ => BlockForm.Residual, HelpName = "residual|plain" };
    private readonly Option<NormKind> norm = new("--norm") { Description = "Normalization after each convolution.", DefaultValueFactory = _ => NormKind.Batch, HelpName = "batch|layer|group|instance|none" };
    private readonly Option<int> width = new("--width") { Description = "Channels of the first convolution; 64 is the lesson's.", DefaultValueFactory = _ => 64, HelpName = "N" };
    private readonly Option<int> size = new("--size") { Description = "Height and width in pixels that pictures are read at.", DefaultValueFactory = _ => 32, HelpName = "N" };
    private readonly Option<double> dropout = new("--dropout") { Description = "Share of features dropped before the classifier.", DefaultValueFactory = _ => 0.5, HelpName = "P" };
    private readonly Option<bool> bare = new("--no-regularization") { Description = "Without augmentation, dropout, label smoothing and weight decay: see what they are for." };
    private readonly Option<int> pictures = new("--pictures") { Description = "Training pictures to draw (built-in data only); a sixth of it for validation, a third for test.", DefaultValueFactory = _ => 3000, HelpName = "N" };

    public Command Build()
    {
        var command = new Command("train", "Train on pictures, export to ONNX, package for ML.NET, and prove that all say the same.\nExample: train --data ./my-pictures --epochs 20 --out models");
        foreach (var option in Options) command.Options.Add(option);
        command.SetAction(Run);
        return command;
    }

    /// <summary>The options, which the bare program takes too.</summary>
    public IEnumerable<Option> Options => [data, epochs, outFolder, seed, json, batch, learningRate, form, norm, width, size, dropout, bare, pictures];

    public Task<int> Run(ParseResult parsed, CancellationToken stop) => CommandRunner.Run(() => Train(parsed, stop));

    private int Train(ParseResult parsed, CancellationToken stop)
    {
        Validate(parsed);
        var folder = new ModelFolder(parsed.GetValue(outFolder)!);
        folder.EnsureWritable();
        var console = AnsiConsole.Console;
        var dataName = parsed.GetValue(data) ?? DataSource.Drawn;
        var seedValue = parsed.GetValue(seed) ?? 1;
        int[]? limits = dataName == DataSource.Drawn ? [parsed.GetValue(pictures), Math.Max(10, parsed.GetValue(pictures) / 6), Math.Max(10, parsed.GetValue(pictures) / 3)] : null;
        var loaded = DataLoading.Load(console, dataName, parsed.GetValue(size), seedValue, limits is [var a, var b, var c] ? (a, b, c) : null);
        var pictureData = loaded.Data;
        console.WriteLine(FormattableString.Invariant($"{pictureData.Name}: {pictureData.Training.Count:N0} training, {pictureData.Validation.Count:N0} validation, {pictureData.Test.Count:N0} test pictures in {pictureData.ClassNames.Count} classes"));

        using var model = new TrainedModel(Settings(parsed, pictureData, dataName, limits, seedValue));
        var recipe = model.Settings.Recipe;
        console.WriteLine(FormattableString.Invariant($"ModernCNN, {model.Settings.Network.Form}, {model.Network.parameters().Sum(parameter => parameter.numel()):N0} parameters; loss and accuracy: training / validation, * best so far"));
        var result = TrainingProgress.Run(console, recipe.Epochs, observer => new Trainer(model.Classifier, recipe, seedValue, observer).Train(pictureData, stop));
        if (result.History.Count == 0)
        {
            Console.Error.WriteLine("Stopped before the first epoch was over: nothing was learned, nothing is written.");
            return ExitCodes.Stopped;
        }

        model.Save(folder.Weights);
        LearningCurves.Write(folder, result.History, result.BestEpoch);
        if (result.Ending == TrainingResult.StoppedByUser)
        {
            console.WriteLine($"Stopped. The best weights (epoch {result.BestEpoch}) are in {folder.Weights}; `export --out {folder.Path}` makes the other files from them.");
            return ExitCodes.Stopped;
        }

        // Read once, now that every choice is made.
        var test = Evaluation.Of(model.Classifier, pictureData.Test, stop);
        console.WriteLine(FormattableString.Invariant($"{result.Ending}; best weights of epoch {result.BestEpoch}. Test accuracy {test.Accuracy:P2} (top-5 {test.TopFive:P2}), loss {test.Loss:F4}"));
        Packaging.PackageAndReport(console, model, folder, loaded, result, test);
        CommonOptions.WriteJson(parsed.GetValue(json), new { Test = ModelCardFile.Figures(test, pictureData.Test.Count), Training = result, Card = folder.Card });
        return 0;
    }

    private ModelSettings Settings(ParseResult parsed, PictureData pictureData, string dataName, int[]? limits, int seedValue)
    {
        var regularized = !parsed.GetValue(bare);
        var network = new NetworkOptions
        {
            Classes = pictureData.ClassNames.Count,
            Height = pictureData.Training.Height,
            Width = pictureData.Training.Width,
            Channels = parsed.GetValue(width),
            Form = parsed.GetValue(form),
            Norm = parsed.GetValue(norm),
            Dropout = regularized ? parsed.GetValue(dropout) : 0,
        };
        var recipe = new Recipe { Epochs = parsed.GetValue(epochs), BatchSize = parsed.GetValue(batch), LearningRate = parsed.GetValue(learningRate) };
        if (!regularized) recipe = recipe with { Augmentation = AugmentationOptions.None, LabelSmoothing = 0, WeightDecay = 0 };
        return new ModelSettings(network, recipe, seedValue, dataName, limits, pictureData.ClassNames, ChannelStatistics.Of(pictureData.Training));
    }

    private void Validate(ParseResult parsed)
    {
        Require(parsed.GetValue(epochs) >= 1, "--epochs", parsed.GetValue(epochs), "at least 1");
        Require(parsed.GetValue(batch) >= 2, "--batch", parsed.GetValue(batch), "at least 2 (BatchNorm needs more than one value a channel)");
        Require(parsed.GetValue(learningRate) is > 0 and < 10, "--lr", parsed.GetValue(learningRate), "above 0 and below 10");
        Require(parsed.GetValue(width) is >= 8 and <= 512 && parsed.GetValue(width) % 8 == 0, "--width", parsed.GetValue(width), "a multiple of 8 from 8 to 512");
        Require(parsed.GetValue(size) is >= 8 and <= 512, "--size", parsed.GetValue(size), "8 to 512");
        Require(parsed.GetValue(dropout) is >= 0 and < 1, "--dropout", parsed.GetValue(dropout), "0 to below 1");
        Require(parsed.GetValue(pictures) is >= 100 and <= 1_000_000, "--pictures", parsed.GetValue(pictures), "100 to 1,000,000");
    }

    private static void Require<T>(bool isRight, string option, T value, string allowed)
    {
        if (!isRight) throw new UserException(FormattableString.Invariant($"{option} is {value}; allowed is {allowed}."));
    }
}
