using Microsoft.ML;
using TorchBridge.Inference;
using TorchBridge.Training.Data;
using TorchBridge.Training.Estimators;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Tests.Estimators;

/// <summary>The trainer in ML.NET: trains, evaluates, cross-validates and saves, with a tiny network, so that the
/// tests take seconds.</summary>
public class TuneImagesEstimatorTests
{
    [Fact]
    public void It_cross_validates_as_ML_NETs_own_trainers_do()
    {
        using var folder = new TempFolder();
        var (context, options, data) = Setup(folder);
        var pipeline = context
            .Transforms.Conversion.MapValueToKey("Label")
            .Append(context.MulticlassClassification.Trainers.TuneImages(options))
            .Append(context.Transforms.Conversion.MapKeyToValue("Class", "PredictedLabel"));
        var results = context.MulticlassClassification.CrossValidate(data, pipeline, numberOfFolds: 3);
        Assert.Equal(3, results.Count);
        Assert.All(results, result => Assert.InRange(result.Metrics.MicroAccuracy, 0, 1));
        Assert.All(results, result => Assert.True(double.IsFinite(result.Metrics.LogLoss)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Paths_and_bytes_give_the_same_model_which_saves_as_a_stock_zip(bool bytes)
    {
        using var folder = new TempFolder();
        var (context, options, data) = Setup(folder);
        var heard = new List<string>();
        context.Log += (_, line) => heard.Add(line.Message);
        using var fromPaths = context
            .MulticlassClassification.Trainers.TuneImages(options with { Log = context })
            .Fit(data);
        Assert.Contains(heard, line => line.Contains("epoch 2", StringComparison.Ordinal));
        var expected = Labels(context, fromPaths.Transform(data));
        if (bytes)
        {
            var encoded = context.Data.LoadFromEnumerable(
                Rows(folder)
                    .Select(row => new EncodedRow { Picture = File.ReadAllBytes(row.ImagePath), Label = row.Label })
            );
            using var fromBytes = context
                .MulticlassClassification.Trainers.TuneImages(options with { ImageColumn = "Picture" })
                .Fit(encoded);
            Assert.Equal(expected, Labels(context, fromBytes.Transform(encoded)));
            return;
        }

        context.Model.Save(fromPaths, data.Schema, folder["m.zip"]);
        Assert.Equal(
            expected,
            StockPipeline.Score(folder["m.zip"], Rows(folder).Select(row => row.ImagePath)).Select(item => item.Label)
        );
    }

    [Fact]
    public void A_model_without_a_stock_twin_is_saved_as_its_file()
    {
        using var folder = new TempFolder();
        var (context, options, data) = Setup(folder);
        using var fitted = context
            .MulticlassClassification.Trainers.TuneImages(options with { Antialias = true })
            .Fit(data);
        var refused = Assert.Throws<NotSupportedException>(() =>
            context.Model.Save(fitted, data.Schema, folder["m.zip"])
        );
        Assert.Contains("SaveOnnx", refused.Message, StringComparison.Ordinal);
        fitted.SaveOnnx(folder["m.onnx"]);
        using var loaded = context.Transforms.ClassifyImages(folder["m.onnx"]).Fit(data);
        Assert.Equal(Labels(context, fitted.Transform(data)), Labels(context, loaded.Transform(data)));
    }

    [Fact]
    public async Task It_gives_the_labels_that_the_programs_route_gives()
    {
        using var folder = new TempFolder();
        var (context, options, _) = Setup(folder);
        var rows = Rows(folder);
        // A third each, in the order of the program: by class, then by name.
        Row[] Part(string name, int third)
        {
            var part = rows.Where((_, i) => i % 3 == third).OrderBy(row => row.Label, StringComparer.Ordinal).ToArray();
            foreach (var row in part)
            {
                var path = folder["data", name, row.Label, Path.GetFileName(row.ImagePath)];
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                File.Copy(row.ImagePath, path);
            }

            return part;
        }

        Row[] training = Part("train", 0),
            validation = Part("validation", 1),
            test = Part("test", 2);
        string[] arguments =
        [
            .. (string[])["train", "--data", folder["data"], "--out", folder["out"], "--recipe", "photos"],
            .. (string[])["--weights", options.Weights, "--epochs", "2", "--size", "32", "--antialias", "false"],
            .. (string[])["--network", "modern_cnn", "--seed", "1"],
        ];
        Assert.Equal(
            0,
            await Program.Build().Parse(arguments).InvokeAsync(cancellationToken: TestContext.Current.CancellationToken)
        );
        using var program = ImageClassifier.Load(new ModelFolder(folder["out"]).Onnx);
        using var fitted = context
            .MulticlassClassification.Trainers.TuneImages(options)
            .Fit(context.Data.LoadFromEnumerable(training), context.Data.LoadFromEnumerable(validation));
        var expected = program.ClassifyBatch(test.Select(row => row.ImagePath)).ToArray();
        var actual = context
            .Data.CreateEnumerable<Scored>(
                fitted.Transform(context.Data.LoadFromEnumerable(test)),
                reuseRowObject: false
            )
            .ToArray();
        Assert.Equal(expected.Select(prediction => prediction.Label), actual.Select(row => row.PredictedLabel));
        // The same weights from the same draws: only the order of sums in a batch may differ.
        Assert.All(expected.Zip(actual), pair =>
            Assert.All(pair.First.Probabilities.Zip(pair.Second.Score), both =>
                Assert.Equal(both.First, both.Second, 1e-4)
            )
        );
    }

    [Fact]
    public void What_cannot_be_trained_on_is_said()
    {
        using var folder = new TempFolder();
        var (context, options, data) = Setup(folder);
        var trainers = context.MulticlassClassification.Trainers;
        Assert.Contains(
            "no column 'Nope'",
            Assert
                .Throws<InvalidOperationException>(() =>
                    trainers.TuneImages(options with { LabelColumn = "Nope" }).Fit(data)
                )
                .Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "Size is 8; allowed is 32 to 512",
            Assert.Throws<ArgumentOutOfRangeException>(() => trainers.TuneImages(options with { Size = 8 })).Message,
            StringComparison.Ordinal
        );
        var gone = context.Data.LoadFromEnumerable([
            new Row { ImagePath = folder["gone.png"], Label = "a" },
            new Row { ImagePath = folder["gone.png"], Label = "b" },
        ]);
        Assert.Contains(
            "gone.png",
            Assert.Throws<InvalidOperationException>(() => trainers.TuneImages(options).Fit(gone)).Message,
            StringComparison.Ordinal
        );
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() =>
            trainers.TuneImages(options with { Cancellation = stop.Token }).Fit(data)
        );
    }

    /// <summary>A context with a fixed seed, options that start from a tiny network, and 60 pictures of two
    /// classes.</summary>
    private static (MLContext Context, TuneImagesOptions Options, IDataView Data) Setup(TempFolder folder)
    {
        var settings = new ModelSettings(
            new NetworkOptions { Channels = 8, Classes = 10 },
            new Recipe(),
            ComputeOptions.Default,
            5,
            "drawn",
            null,
            ResumeTests.Pictures.ClassNames,
            ChannelStatistics.Of(ResumeTests.Pictures.Training)
        );
        using (var start = new TrainedModel(settings))
            start.Save(folder["start.safetensors"]);
        var set = DrawnPictures.Make(6, 300, 10, 10).Training;
        var chosen = set.Select([.. Enumerable.Range(0, set.Count).Where(i => set.Labels[i] < 2).Take(60)]);
        foreach (var (picture, i) in DataSource.ToPng(chosen).Select((picture, i) => (picture, i)))
            File.WriteAllBytes(folder[$"{(chosen.Labels[i] == 0 ? "a" : "b")}{i:D3}.png"], picture.Bytes);
        var context = new MLContext(seed: 1);
        return (
            context,
            new TuneImagesOptions
            {
                Weights = folder["start.safetensors"],
                Epochs = 2,
                Size = 32,
                Antialias = false,
                ValidationShare = 0.2,
            },
            context.Data.LoadFromEnumerable(Rows(folder))
        );
    }

    private static Row[] Rows(TempFolder folder) =>
        [
            .. Directory
                .GetFiles(folder.Path, "*.png")
                .Order(StringComparer.Ordinal)
                .Select(path => new Row { ImagePath = path, Label = Path.GetFileName(path)[..1] }),
        ];

    private static string[] Labels(MLContext context, IDataView scored) =>
        [.. context.Data.CreateEnumerable<Scored>(scored, reuseRowObject: false).Select(row => row.PredictedLabel)];

    private sealed class Row
    {
        public string ImagePath { get; set; } = "";

        public string Label { get; set; } = "";
    }

    private sealed class EncodedRow
    {
        public byte[] Picture { get; set; } = [];

        public string Label { get; set; } = "";
    }

    private sealed class Scored
    {
        public string PredictedLabel { get; set; } = "";

        public float[] Score { get; set; } = [];
    }
}
