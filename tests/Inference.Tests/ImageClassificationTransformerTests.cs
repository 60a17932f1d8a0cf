using Microsoft.ML;
using Microsoft.ML.Data;
using SkiaSharp;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Tests;

/// <summary>ClassifyImages, compared with stock ML.NET where it has an equivalent.</summary>
public sealed class ImageClassificationTransformerTests : IDisposable
{
    private const int Count = 23;
    private readonly TempFolder folder = new();
    private readonly MLContext context = new(seed: 1);
    private readonly string model;
    private readonly Row[] rows;

    public ImageClassificationTransformerTests()
    {
        model = folder["model.onnx"];
        File.WriteAllBytes(model, TestModels.Classifier());
        rows =
        [
            .. TestPictures
                .Write(folder, Count, i =>
                    TestPictures.Encode(8 + (i % 5), 8 + (i % 3), SKEncodedImageFormat.Png, seed: i * 37)
                )
                .Select(
                    (path, i) =>
                        new Row
                        {
                            ImagePath = path,
                            Number = i,
                            Label = TestModels.ClassNames[i % 3],
                        }
                ),
        ];
    }

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    [InlineData(1000)]
    [InlineData(null)]
    public void Scores_labels_and_passing_columns_are_stocks_at_every_batch_size(int? batchSize)
    {
        StockPipeline.Save(model, folder["stock.zip"]);
        var stock = StockPipeline.Score(folder["stock.zip"], rows.Select(row => row.ImagePath)).ToArray();
        using var transformer = Fit(new ImageClassificationOptions { BatchSize = batchSize });
        var ours = Read<Scored>(transformer.Transform(Data(rows)));
        Assert.Equal(Count, ours.Length);
        for (var i = 0; i < Count; i++)
        {
            Assert.Equal(
                (i, rows[i].ImagePath, stock[i].Label),
                (ours[i].Number, ours[i].ImagePath, ours[i].PredictedLabel)
            );
            Close.To(stock[i].Scores, ours[i].Score!, 1e-6, 0, "the same float32 kernels at another batch size");
        }

        Assert.True(ours.Select(row => row.PredictedLabel).Distinct().Count() > 1);
    }

    [Fact]
    public void Columns_have_ML_NETs_types_and_slot_names()
    {
        using var transformer = Fit();
        var schema = transformer.GetOutputSchema(Data(rows).Schema);
        VBuffer<ReadOnlyMemory<char>> names = default;
        schema["Score"].GetSlotNames(ref names);
        Assert.Equal(TestModels.ClassNames, names.DenseValues().Select(name => name.ToString()));
        Assert.Equal(new VectorDataViewType(NumberDataViewType.Single, 3), schema["Score"].Type);
        Assert.Equal(TextDataViewType.Instance, schema["PredictedLabel"].Type);
        var preview = transformer.Transform(Data(rows)).Preview(5);
        Assert.Equal(5, preview.RowView.Length);
        Assert.Equal(
            ["ImagePath", "Number", "Label", "Score", "PredictedLabel"],
            preview.Schema.Select(column => column.Name)
        );
        var shape = context.Transforms.ClassifyImages(model).GetOutputSchema(Shape());
        Assert.Equal(
            ["Score", "PredictedLabel"],
            shape.Select(column => column.Name).Except(["ImagePath", "Number", "Label"])
        );
        Assert.Equal(SchemaShape.Column.VectorKind.Vector, shape.First(column => column.Name == "Score").Kind);
        Assert.Equal(SchemaShape.Column.VectorKind.Scalar, shape.First(column => column.Name == "PredictedLabel").Kind);
    }

    [Fact]
    public void No_picture_is_touched_where_no_column_of_pictures_is_asked_for()
    {
        using var transformer = Fit();
        var nowhere = rows.Select(row => new Row
            {
                ImagePath = "/nowhere/" + row.Number,
                Number = row.Number,
                Label = row.Label,
            })
            .ToArray();
        var scored = transformer.Transform(Data(nowhere));
        using var cursor = scored.GetRowCursor([scored.Schema["Number"]]);
        var getter = cursor.GetGetter<int>(scored.Schema["Number"]);
        var seen = new List<int>();
        while (cursor.MoveNext())
        {
            var number = -1;
            getter(ref number);
            seen.Add(number);
        }

        Assert.Equal(Enumerable.Range(0, Count), seen);
        Assert.False(cursor.IsColumnActive(scored.Schema["Score"]));
        Assert.Contains(
            "/nowhere/0",
            Assert.ThrowsAny<Exception>(() => Read<Scored>(scored)).ToString(),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Shuffled_rows_keep_their_scores()
    {
        using var transformer = Fit(new ImageClassificationOptions { BatchSize = 4 });
        var straight = Read<Scored>(transformer.Transform(Data(rows)))
            .ToDictionary(row => row.Number, row => row.Score!);
        var view = transformer.Transform(context.Data.ShuffleRows(Data(rows), seed: 5));
        var shuffled = Read<Scored>(view);
        Assert.NotEqual(Enumerable.Range(0, Count), shuffled.Select(row => row.Number));
        Assert.All(shuffled, row => Close.To(straight[row.Number], row.Score!, 1e-6, 0, "the same picture"));

        var direct = transformer.Transform(Data(rows));
        using var cursor = direct.GetRowCursor(direct.Schema, new Random(3));
        var (number, score) = (
            cursor.GetGetter<int>(direct.Schema["Number"]),
            cursor.GetGetter<VBuffer<float>>(direct.Schema["Score"])
        );
        var seen = 0;
        VBuffer<float> values = default;
        for (var n = 0; cursor.MoveNext(); seen++)
        {
            number(ref n);
            score(ref values);
            Close.To(straight[n], [.. values.DenseValues()], 1e-6, 0, "the same picture");
        }

        Assert.Equal(Count, seen);
    }

    [Fact]
    public void Saved_it_is_a_stock_chain_and_batched_again_it_says_the_same()
    {
        using var transformer = Fit();
        var expected = Read<Scored>(transformer.Transform(Data(rows)));
        var ours = $"torchbridge-onnx-{Environment.ProcessId}-*.onnx";
        var before = Directory.GetFiles(Path.GetTempPath(), ours);
        context.Model.Save(transformer, Data(rows).Schema, folder["saved.zip"]);
        Assert.Empty(Directory.GetFiles(Path.GetTempPath(), ours).Except(before));

        var loaded = new MLContext().Model.Load(folder["saved.zip"], out _);
        Assert.DoesNotContain(
            "TorchBridge",
            string.Join(" ", ((IEnumerable<ITransformer>)loaded).Select(stage => stage.GetType().FullName)),
            StringComparison.Ordinal
        );
        var stock = Read<StockScored>(loaded.Transform(Data(rows)));
        var batched = loaded.Batched(batchSize: 5);
        var again = Read<StockScored>(batched.Transform(Data(rows)));
        Assert.Equal(
            loaded.GetOutputSchema(Data(rows).Schema).Select(column => (column.Name, column.Type)),
            batched.GetOutputSchema(Data(rows).Schema).Select(column => (column.Name, column.Type))
        );
        for (var i = 0; i < Count; i++)
        {
            Assert.Equal(expected[i].PredictedLabel, stock[i].PredictedLabel!.Single());
            Assert.Equal(expected[i].PredictedLabel, again[i].PredictedLabel!.Single());
            Close.To(expected[i].Score!, stock[i].Score!, 1e-6, 0, "stock");
            Close.To(expected[i].Score!, again[i].Score!, 1e-6, 0, "batched");
        }

        context.Model.Save(batched, Data(rows).Schema, folder["twice.zip"]);
        Assert.Equal(
            expected[3].PredictedLabel,
            StockPipeline.Score(folder["twice.zip"], [rows[3].ImagePath]).Single().Label
        );
    }

    [Fact]
    public void A_PredictionEngine_says_the_same_and_scores_a_row_once()
    {
        using var transformer = Fit();
        var expected = Read<Scored>(transformer.Transform(Data(rows)));
        using var engine = context.Model.CreatePredictionEngine<Row, Scored>(transformer, ignoreMissingColumns: false);
        for (var i = 0; i < Count; i++)
        {
            var scored = engine.Predict(rows[i]);
            Assert.Equal((expected[i].PredictedLabel, i), (scored.PredictedLabel, scored.Number));
            Close.To(expected[i].Score!, scored.Score!, 1e-6, 0, "one row");
        }
    }

    [Fact]
    public void ML_NETs_evaluator_and_cross_validation_take_it()
    {
        var options = new ImageClassificationOptions { Label = LabelKind.Key };
        var keys = context.Transforms.Conversion.MapValueToKey(
            "Label",
            keyData: context.Data.LoadFromEnumerable(TestModels.ClassNames.Select(name => new Key { Label = name }))
        );
        var pipeline = keys.Append(context.Transforms.ClassifyImages(model, options: options));
        var scored = pipeline.Fit(Data(rows)).Transform(Data(rows));
        var metrics = context.MulticlassClassification.Evaluate(scored);
        var right = Read<KeyScored>(scored).Count(row => row.PredictedLabel == row.Label);
        Assert.Equal((double)right / Count, metrics.MicroAccuracy, 9);
        Assert.Equal(3, metrics.PerClassLogLoss.Count);

        var folds = context.MulticlassClassification.CrossValidate(Data(rows), pipeline, numberOfFolds: 2);
        Assert.Equal(2, folds.Count);
        Assert.All(folds, fold => Assert.InRange(fold.Metrics.MicroAccuracy, 0, 1));
        var named = context.Transforms.Conversion.MapKeyToValue("PredictedLabel").Fit(scored).Transform(scored);
        Assert.Equal(
            Read<Scored>(Fit().Transform(Data(rows))).Select(row => row.PredictedLabel),
            Read<Scored>(named).Select(row => row.PredictedLabel)
        );
    }

    [Fact]
    public void Paths_pictures_bytes_and_pixels_give_the_same()
    {
        using var transformer = Fit();
        var expected = Read<Scored>(transformer.Transform(Data(rows)));
        var others = rows.Select(row =>
            {
                var planes = new byte[192];
                PictureReader.ReadFile(row.ImagePath, 8, 8, planes);
                return new Other
                {
                    Bytes = File.ReadAllBytes(row.ImagePath),
                    Picture = MLImage.CreateFromFile(row.ImagePath),
                    Pixels = [.. planes.Select(value => (float)value)],
                };
            })
            .ToArray();
        var data = context.Data.LoadFromEnumerable(others, Definition());
        foreach (var column in (string[])["Bytes", "Picture", "Pixels"])
        {
            using var other = context.Transforms.ClassifyImages(model, column).Fit(data);
            var scored = Read<ScoreOnly>(other.Transform(data));
            for (var i = 0; i < Count; i++)
                Close.To(expected[i].Score!, scored[i].Score!, 1e-6, 0, column);
            if (column == "Bytes")
            {
                Assert.Contains(
                    "cannot read encoded pictures",
                    Assert
                        .ThrowsAny<Exception>(() => context.Model.Save(other, data.Schema, folder["no.zip"]))
                        .ToString(),
                    StringComparison.Ordinal
                );
                continue;
            }

            context.Model.Save(other, data.Schema, folder[$"{column}.zip"]);
            var loaded = context.Model.Load(folder[$"{column}.zip"], out _);
            Assert.Equal(
                expected.Select(row => row.PredictedLabel),
                Read<StockScored>(loaded.Transform(data)).Select(row => row.PredictedLabel!.Single())
            );
        }
    }

    [Fact]
    public void One_bad_picture_ends_no_job_and_is_counted_and_named()
    {
        File.WriteAllBytes(rows[4].ImagePath, File.ReadAllBytes(rows[4].ImagePath)[..60]);
        File.Delete(rows[9].ImagePath);
        using var strict = Fit();
        Assert.Contains(
            "04.png",
            Assert.ThrowsAny<Exception>(() => Read<Scored>(strict.Transform(Data(rows)))).ToString(),
            StringComparison.Ordinal
        );

        var named = new List<string>();
        using var skipping = Fit(
            new ImageClassificationOptions
            {
                OnInvalidImage = OnInvalidImage.Skip,
                InvalidImage = error => named.Add(error.Message),
                BatchSize = 4,
            }
        );
        var kept = Read<Scored>(skipping.Transform(Data(rows)));
        Assert.Equal(Enumerable.Range(0, Count).Except([4, 9]), kept.Select(row => row.Number));
        Assert.Equal(2, skipping.InvalidImages);
        Assert.Contains("04.png", named[0], StringComparison.Ordinal);
        Assert.Null(skipping.Transform(Data(rows)).GetRowCount());

        using var marking = Fit(
            new ImageClassificationOptions { OnInvalidImage = OnInvalidImage.MarkRow, BatchSize = 4 }
        );
        var marked = Read<Marked>(marking.Transform(Data(rows)));
        Assert.Equal([4, 9], marked.Where(row => !row.IsValid).Select(row => row.Number));
        Assert.All(marked, row => Assert.Equal(row.IsValid, !string.IsNullOrEmpty(row.PredictedLabel)));
        Assert.All(marked, row => Assert.All(row.Score!, score => Assert.Equal(row.IsValid, !float.IsNaN(score))));
        Assert.Equal(
            kept.Select(row => row.PredictedLabel),
            marked.Where(row => row.IsValid).Select(row => row.PredictedLabel)
        );
        Assert.Contains(
            "OnInvalidImage",
            Assert
                .ThrowsAny<Exception>(() => context.Model.Save(marking, Data(rows).Schema, folder["no.zip"]))
                .ToString(),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Logits_and_top_k_are_columns_where_they_are_asked_for()
    {
        using var transformer = Fit(new ImageClassificationOptions { LogitsColumn = "Logits", TopK = 2 });
        using var classifier = ImageClassifier.Load(model);
        foreach (var row in Read<Detailed>(transformer.Transform(Data(rows))))
        {
            var single = classifier.Classify(row.ImagePath);
            Close.To([.. single.Logits], row.Logits!, 1e-5, 1e-6, "one at a time");
            var top = single.Probabilities.Select((p, i) => (p, i)).OrderByDescending(pair => pair.p).Take(2).ToArray();
            Assert.Equal(top.Select(pair => TestModels.ClassNames[pair.i]), row.TopLabels);
            Close.To([.. top.Select(pair => pair.p)], row.TopScores!, 1e-6, 0, "the same");
        }

        Assert.Throws<ArgumentOutOfRangeException>(() =>
            context.Transforms.ClassifyImages(model, options: new ImageClassificationOptions { TopK = 4 })
        );
    }

    [Fact]
    public void Wrong_columns_and_files_are_named()
    {
        Assert.Contains(
            "Nope",
            Assert
                .Throws<ArgumentException>(() => context.Transforms.ClassifyImages(model, "Nope").Fit(Data(rows)))
                .Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "Number",
            Assert
                .Throws<ArgumentException>(() => context.Transforms.ClassifyImages(model, "Number").Fit(Data(rows)))
                .Message,
            StringComparison.Ordinal
        );
        Assert.Throws<FileNotFoundException>(() => context.Transforms.ClassifyImages(folder["none.onnx"]));
        File.WriteAllBytes(folder["mixed.onnx"], TestModels.Mixed());
        Assert.Contains(
            "metadata",
            Assert.Throws<InvalidDataException>(() => context.Transforms.ClassifyImages(folder["mixed.onnx"])).Message,
            StringComparison.Ordinal
        );
    }

    private ImageClassificationTransformer Fit(ImageClassificationOptions? options = null) =>
        context.Transforms.ClassifyImages(model, options: options).Fit(Data(rows));

    private IDataView Data(Row[] data) => context.Data.LoadFromEnumerable(data);

    private T[] Read<T>(IDataView view)
        where T : class, new() => [.. context.Data.CreateEnumerable<T>(view, reuseRowObject: false)];

    private SchemaShape Shape() =>
        context
            .Transforms.CustomMapping<Nothing, Row>((_, _) => { }, contractName: null)
            .GetOutputSchema(new SchemaShape([]));

    private static SchemaDefinition Definition()
    {
        var definition = SchemaDefinition.Create(typeof(Other));
        definition["Pixels"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, 192);
        return definition;
    }

    private sealed class Nothing;

    private sealed class Row
    {
        public string ImagePath { get; set; } = "";

        public int Number { get; set; }

        public string Label { get; set; } = "";
    }

    private class Scored
    {
        public string ImagePath { get; set; } = "";

        public int Number { get; set; }

        public float[]? Score { get; set; }

        public string? PredictedLabel { get; set; }
    }

    private sealed class Marked : Scored
    {
        public bool IsValid { get; set; }
    }

    private sealed class Detailed : Scored
    {
        public float[]? Logits { get; set; }

        public string[]? TopLabels { get; set; }

        public float[]? TopScores { get; set; }
    }

    private sealed class StockScored
    {
        public float[]? Score { get; set; }

        public string[]? PredictedLabel { get; set; }
    }

    private sealed class ScoreOnly
    {
        public float[]? Score { get; set; }
    }

    private sealed class Key
    {
        public string Label { get; set; } = "";
    }

    private sealed class KeyScored
    {
        public uint Label { get; set; }

        public uint PredictedLabel { get; set; }
    }

    private sealed class Other
    {
        public byte[]? Bytes { get; set; }

        [Microsoft.ML.Transforms.Image.ImageType(8, 8)]
        public MLImage? Picture { get; set; }

        public float[]? Pixels { get; set; }
    }
}
