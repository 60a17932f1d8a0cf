using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using SkiaSharp;
using TorchBridge.Inference.Pictures;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Inference.Tests;

/// <summary>An error ends its row and not the object, and the rows before it are returned.</summary>
public sealed class RowErrorTests : IDisposable
{
    private const int Count = 20,
        Bad = 13;
    private readonly TempFolder folder = new();
    private readonly MLContext context = new(seed: 1);
    private readonly string model;
    private readonly Row[] rows;

    public RowErrorTests()
    {
        model = folder["model.onnx"];
        File.WriteAllBytes(model, TestModels.Classifier());
        rows =
        [
            .. TestPictures
                .Write(folder, Count, i => TestPictures.Encode(8, 8, SKEncodedImageFormat.Png, seed: i))
                .Select((path, i) => new Row { ImagePath = path, Number = i }),
        ];
        File.WriteAllText(rows[Bad].ImagePath, "no picture");
    }

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(100)]
    public void Good_rows_before_a_bad_one_are_given_out_and_a_cursor_that_failed_stays_failed(int batchSize)
    {
        using var transformer = context
            .Transforms.ClassifyImages(model, options: new ImageClassificationOptions { BatchSize = batchSize })
            .Fit(Data());
        var view = transformer.Transform(Data());
        using var cursor = view.GetRowCursor(view.Schema);
        var number = cursor.GetGetter<int>(view.Schema["Number"]);
        var seen = new List<int>();
        var error = Assert.Throws<InvalidPictureException>(() =>
        {
            while (cursor.MoveNext())
            {
                var value = -1;
                number(ref value);
                seen.Add(value);
            }
        });
        Assert.Contains($"{Bad}.png", error.Message, StringComparison.Ordinal);
        Assert.Equal(Enumerable.Range(0, Bad), seen);
        Assert.Same(error, Assert.Throws<InvalidPictureException>(() => cursor.MoveNext()));
        Assert.Equal(-1, cursor.Position);
        var any = 0;
        Assert.Throws<InvalidOperationException>(() => number(ref any));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(100)]
    public async Task A_classifier_gives_out_what_stands_before_a_bad_picture(int batchSize)
    {
        using var classifier = ImageClassifier.Load(model);
        var seen = 0;
        Assert.Throws<InvalidPictureException>(() =>
        {
            foreach (var _ in classifier.ClassifyBatch(rows.Select(row => row.ImagePath), batchSize))
                seen++;
        });
        Assert.Equal(Bad, seen);
        seen = 0;
        await Assert.ThrowsAsync<InvalidPictureException>(async () =>
        {
            await foreach (
                var _ in classifier.ClassifyAsync(
                    rows.Select(row => row.ImagePath).ToAsyncEnumerable(),
                    batchSize,
                    TestContext.Current.CancellationToken
                )
            )
                seen++;
        });
        Assert.Equal(Bad, seen);
        Assert.Throws<InvalidPictureException>(() => classifier.ClassifyBatch([rows[0].ImagePath, null!]).ToArray());
    }

    [Fact]
    public void A_prediction_engine_recovers()
    {
        using var transformer = context.Transforms.ClassifyImages(model).Fit(Data());
        using var engine = context.Model.CreatePredictionEngine<Row, Scored>(transformer);
        var expected = engine.Predict(rows[2]).Score;
        Assert.Throws<InvalidPictureException>(() => engine.Predict(rows[Bad]));
        Assert.Equal(expected, engine.Predict(rows[2]).Score);
        Assert.Throws<InvalidPictureException>(() => engine.Predict(rows[Bad]));
        Assert.Throws<InvalidPictureException>(() => engine.Predict(rows[Bad]));
        Assert.Equal(expected, engine.Predict(rows[2]).Score);
    }

    [Fact]
    public void An_engine_of_any_model_recovers_from_a_bad_length_and_from_an_error_inside()
    {
        var path = TestModels.Write(folder["lookup.onnx"], Lookup());
        var data = context.Data.LoadFromEnumerable(new[] { new Index { i = [1] } }, IndexDefinition());
        using var transformer = context.Transforms.ScoreOnnx(path, ["i"], ["y"]).Fit(data);
        using var engine = context.Model.CreatePredictionEngine<Index, Found>(
            transformer,
            inputSchemaDefinition: IndexDefinition()
        );
        Assert.Equal([20f], engine.Predict(new Index { i = [2] }).y);
        Assert.Throws<OnnxRuntimeException>(() => engine.Predict(new Index { i = [77] }));
        Assert.Equal([10f], engine.Predict(new Index { i = [1] }).y);
        Assert.Contains(
            "'i' has 2 values",
            Assert.Throws<InvalidOperationException>(() => engine.Predict(new Index { i = [1, 2] })).Message,
            StringComparison.Ordinal
        );
        Assert.Equal([0f], engine.Predict(new Index { i = [0] }).y);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(64)]
    [InlineData(null)]
    public void An_error_of_the_network_is_of_one_kind_whatever_the_batch(int? batchSize)
    {
        var path = TestModels.Write(folder["lookup.onnx"], Lookup());
        var data = context.Data.LoadFromEnumerable(
            Enumerable.Range(0, 100).Select(i => new Index { i = [i == 90 ? 77 : i % 3] }).ToArray()
        );
        using var transformer = context.Transforms.ScoreOnnx(path, ["i"], ["y"], batchSize).Fit(data);
        var view = transformer.Transform(data);
        using var cursor = view.GetRowCursor(view.Schema);
        var getter = cursor.GetGetter<VBuffer<float>>(view.Schema["y"]);
        VBuffer<float> value = default;
        var seen = 0;
        Assert.Throws<OnnxRuntimeException>(() =>
        {
            for (; cursor.MoveNext(); seen++)
            {
                getter(ref value);
                Assert.Equal(10f * (seen % 3), value.GetValues()[0]);
            }
        });
        Assert.Equal(90, seen);
        Assert.Null(transformer.RowByRow); // the row's fault, not the model's
    }

    [Fact]
    public void A_callback_that_throws_is_heard()
    {
        foreach (var what in (OnInvalidImage[])[OnInvalidImage.Skip, OnInvalidImage.MarkRow])
        {
            using var transformer = context
                .Transforms.ClassifyImages(
                    model,
                    options: new ImageClassificationOptions
                    {
                        OnInvalidImage = what,
                        InvalidImage = _ => throw new TimeoutException("the log is full"),
                    }
                )
                .Fit(Data());
            Assert.Equal(
                "the log is full",
                Assert.Throws<TimeoutException>(() => Read<Scored>(transformer.Transform(Data()))).Message
            );
        }
    }

    [Fact]
    public void An_input_is_read_once_and_to_its_end()
    {
        var opened = 0;
        var closed = 0;
        IEnumerable<Row> Once()
        {
            if (++opened > 1)
                throw new InvalidOperationException("read twice");
            try
            {
                foreach (var row in rows.Where(row => row.Number != Bad))
                    yield return row;
            }
            finally
            {
                closed++;
            }
        }

        using var transformer = context.Transforms.ClassifyImages(model).Fit(Data());
        var scored = Read<Scored>(transformer.Transform(context.Data.LoadFromEnumerable(Once())));
        Assert.Equal(Enumerable.Range(0, Count).Except([Bad]), scored.Select(row => row.Number));
        Assert.Equal((1, 1), (opened, closed));
    }

    [Fact]
    public void An_input_of_another_order_at_each_reading_keeps_its_rows_together()
    {
        var shuffles = new Random(5);
        using var transformer = context.Transforms.ClassifyImages(model).Fit(Data());
        var good = rows.Where(row => row.Number != Bad).ToArray();
        var expected = Read<Scored>(transformer.Transform(context.Data.LoadFromEnumerable(good)))
            .ToDictionary(row => row.Number, row => row.Score!);
        var unordered = context.Data.LoadFromEnumerable(
            Enumerable.Range(0, 1).SelectMany(_ => good.OrderBy(_ => shuffles.Next()))
        );
        for (var i = 0; i < 3; i++)
            Assert.All(Read<Scored>(transformer.Transform(unordered)), row =>
                Assert.Equal(expected[row.Number], row.Score)
            );
    }

    [Fact]
    public void An_error_in_a_column_that_nobody_reads_is_not_heard()
    {
        using var transformer = context.Transforms.ClassifyImages(model).Fit(Data());
        var failing = context.Transforms.CustomMapping<Row, Other>(
            (row, other) => other.Value = row.Number < 100 ? throw new TimeoutException() : 1,
            null
        );
        var good = context.Data.LoadFromEnumerable(rows.Where(row => row.Number != Bad).ToArray());
        var view = transformer.Transform(failing.Fit(good).Transform(good));
        Assert.Equal(Count - 1, Read<Scored>(view).Length);
        Assert.Contains(
            nameof(TimeoutException),
            Assert.ThrowsAny<Exception>(() => Read<Other>(view)).ToString(),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Pictures_that_pass_through_stay_readable_for_their_row()
    {
        var good = context.Data.LoadFromEnumerable(rows.Where(row => row.Number != Bad).ToArray());
        var loaded = context.Transforms.LoadImages("Picture", null, "ImagePath").Fit(good).Transform(good);
        using var transformer = context.Transforms.ClassifyImages(model, "Picture").Fit(loaded);
        var view = transformer.Transform(loaded);
        foreach (var reuse in (bool[])[false, true])
        {
            using var cursor = view.GetRowCursor(view.Schema);
            var getter = cursor.GetGetter<MLImage>(view.Schema["Picture"]);
            MLImage? picture = null;
            var seen = 0;
            for (; cursor.MoveNext(); seen++)
            {
                if (!reuse)
                    picture = null;
                getter(ref picture!);
                var first = picture;
                getter(ref picture!); // again: the same one
                Assert.Same(first, picture);
                Assert.Equal((8, 8), (picture.Width, picture.Height));
                Assert.Equal(rows.Where(row => row.Number != Bad).ElementAt(seen).ImagePath, picture.Tag);
                Assert.False(picture.Pixels.IsEmpty);
            }

            Assert.Equal(Count - 1, seen);
        }
    }

    /// <summary>y = table[i], a table of three: another index is an error of the network.</summary>
    private static byte[] Lookup() =>
        TestModels.Build(
            [("i", TensorProto.Types.DataType.Int64, ["N", 1])],
            [("y", TensorProto.Types.DataType.Float, ["N", 1])],
            graph =>
            {
                graph.Graph.Initializer.Add(TestModels.Floats("table", [3], [0, 10, 20]));
                TestModels.Add(graph, "Gather", ["table", "i"], ["y"]);
            }
        );

    private static SchemaDefinition IndexDefinition()
    {
        var definition = SchemaDefinition.Create(typeof(Index));
        definition["i"].ColumnType = new VectorDataViewType(NumberDataViewType.Int64);
        return definition;
    }

    private IDataView Data() => context.Data.LoadFromEnumerable(rows);

    private T[] Read<T>(IDataView view)
        where T : class, new() => [.. context.Data.CreateEnumerable<T>(view, reuseRowObject: false)];

    private sealed class Row
    {
        public string ImagePath { get; set; } = "";

        public int Number { get; set; }
    }

    private sealed class Scored
    {
        public float[]? Score { get; set; }

        public int Number { get; set; }
    }

    private sealed class Other
    {
        public int Value { get; set; }
    }

    private sealed class Index
    {
        [VectorType(1)]
        public long[] i { get; set; } = [];
    }

    private sealed class Found
    {
        public float[] y { get; set; } = [];
    }
}
