using Microsoft.ML;
using Microsoft.ML.Data;
using SkiaSharp;

namespace TorchBridge.Inference.Tests;

/// <summary>Labels as ML.NET's evaluators compare them, and labels that are missing.</summary>
public sealed class LabelKindTests : IDisposable
{
    private static readonly string[] FileOrder = ["frog", "cat", "dog"];
    private readonly TempFolder folder = new();
    private readonly MLContext context = new(seed: 1);
    private readonly string model;
    private readonly Row[] rows;

    public LabelKindTests()
    {
        model = folder["model.onnx"];
        File.WriteAllBytes(model, TestModels.Classifier());
        rows =
        [
            .. Enumerable
                .Range(0, 12)
                .Select(i =>
                {
                    var path = folder[$"{i:D2}.png"];
                    File.WriteAllBytes(path, TestPictures.Encode(8, 8, SKEncodedImageFormat.Png, seed: i));
                    return new Row { ImagePath = path, Label = FileOrder[i % 3] };
                }),
        ];
    }

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Keys_in_the_order_of_the_file_are_an_error_that_says_what_to_do()
    {
        var keys = context.Transforms.Conversion.MapValueToKey("Label");
        var error = Assert.Throws<ArgumentException>(() => keys.Append(Classify()).Fit(Data()));
        Assert.Contains("'Label' has the keys frog, cat, dog", error.Message, StringComparison.Ordinal);
        Assert.Contains("keyData", error.Message, StringComparison.Ordinal);
        // Other keys are not checked, and a part of the classes in the right order is allowed.
        context.Transforms.Conversion.MapValueToKey("Key", "ImagePath").Append(Classify()).Fit(Data()).Dispose();
        var two = context.Data.LoadFromEnumerable(rows.Where(row => row.Label != "frog").ToArray());
        context.Transforms.Conversion.MapValueToKey("Label").Append(Classify()).Fit(two).Dispose();
    }

    [Fact]
    public void The_documented_way_compares_by_name()
    {
        var classes = context.Data.LoadFromEnumerable(TestModels.ClassNames.Select(name => new Class { Label = name }));
        using var fitted = context
            .Transforms.Conversion.MapValueToKey("Label", keyData: classes)
            .Append(Classify())
            .Fit(Data());
        var metrics = context.MulticlassClassification.Evaluate(fitted.Transform(Data()));
        using var classifier = ImageClassifier.Load(model);
        Assert.Equal(
            rows.Count(row => classifier.Classify(row.ImagePath).Label == row.Label) / 12.0,
            metrics.MicroAccuracy,
            9
        );
    }

    [Fact]
    public void A_key_is_mapped_back_to_its_name_in_the_same_chain()
    {
        using var fitted = Classify().Append(context.Transforms.Conversion.MapKeyToValue("PredictedLabel")).Fit(Data());
        using var classifier = ImageClassifier.Load(model);
        Assert.Equal(
            rows.Select(row => classifier.Classify(row.ImagePath).Label),
            context.Data.CreateEnumerable<Named>(fitted.Transform(Data()), false).Select(row => row.PredictedLabel)
        );
    }

    [Fact]
    public void Pixels_of_NaN_have_no_label()
    {
        var pixels = Enumerable.Repeat(1f, 192).ToArray();
        var data = context.Data.LoadFromEnumerable(
            new[]
            {
                new Pixels { P = pixels },
                new Pixels { P = [.. pixels[..191], float.NaN] },
            }
        );
        using var text = context
            .Transforms.ClassifyImages(model, "P", new ImageClassificationOptions { TopK = 2 })
            .Fit(data);
        var named = context.Data.CreateEnumerable<Topped>(text.Transform(data), false).ToArray();
        Assert.Contains(named[0].PredictedLabel, TestModels.ClassNames);
        Assert.True(string.IsNullOrEmpty(named[1].PredictedLabel));
        Assert.All(named[1].TopLabels!, label => Assert.True(string.IsNullOrEmpty(label)));
        Assert.All(named[1].Score!, score => Assert.True(float.IsNaN(score)));
        using var key = context
            .Transforms.ClassifyImages(model, "P", new ImageClassificationOptions { Label = LabelKind.Key })
            .Fit(data);
        Assert.Equal(0u, context.Data.CreateEnumerable<Keyed>(key.Transform(data), false).Last().PredictedLabel);
    }

    [Fact]
    public void The_column_is_the_one_that_was_named_and_saving_keeps_what_was_fitted()
    {
        using var fitted = context
            .Transforms.ClassifyImages(model, options: new ImageClassificationOptions { ImageColumn = "Path" })
            .Fit(context.Data.LoadFromEnumerable(rows.Select(row => new PathRow { Path = row.ImagePath }).ToArray()));
        Assert.Throws<ArgumentException>(() =>
            context.Transforms.ClassifyImages(model, "Other", new ImageClassificationOptions { ImageColumn = "Path" })
        );
        Assert.Throws<ArgumentException>(() => fitted.Transform(Data()));
        // Looking at another schema does not change what is saved.
        var pixels = context.Data.LoadFromEnumerable(new[] { new PathPixels { Path = new float[192] } });
        fitted.GetOutputSchema(pixels.Schema);
        var paths = context.Data.LoadFromEnumerable(rows.Select(row => new PathRow { Path = row.ImagePath }).ToArray());
        context.Model.Save(fitted, paths.Schema, folder["m.zip"]);
        Assert.Equal(
            12,
            context
                .Data.CreateEnumerable<Stock>(context.Model.Load(folder["m.zip"], out _).Transform(paths), false)
                .Count()
        );
    }

    private ImageClassificationEstimator Classify() =>
        context.Transforms.ClassifyImages(model, options: new ImageClassificationOptions { Label = LabelKind.Key });

    private IDataView Data() => context.Data.LoadFromEnumerable(rows);

    private sealed class Row
    {
        public string ImagePath { get; set; } = "";

        public string Label { get; set; } = "";
    }

    private sealed class PathRow
    {
        public string Path { get; set; } = "";
    }

    private sealed class PathPixels
    {
        [VectorType(192)]
        public float[] Path { get; set; } = [];
    }

    private sealed class Class
    {
        public string Label { get; set; } = "";
    }

    private sealed class Pixels
    {
        [VectorType(192)]
        public float[] P { get; set; } = [];
    }

    private sealed class Named
    {
        public string PredictedLabel { get; set; } = "";
    }

    private sealed class Topped
    {
        public string PredictedLabel { get; set; } = "";

        public float[]? Score { get; set; }

        public string[]? TopLabels { get; set; }
    }

    private sealed class Keyed
    {
        [KeyType(3)]
        public uint PredictedLabel { get; set; }
    }

    private sealed class Stock
    {
        public string[]? PredictedLabel { get; set; }
    }
}
