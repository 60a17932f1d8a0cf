using Microsoft.ML;
using Microsoft.ML.Data;
using SkiaSharp;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Tests;

/// <summary>Pictures are decoded on several threads, with the same results as on one.</summary>
public sealed class DecodingAheadTests : IDisposable
{
    private const int Count = 50;

    /// <summary>Every fifth takes many times as long as its neighbours.</summary>
    private static readonly byte[][] Pictures =
    [
        .. Enumerable
            .Range(0, Count)
            .Select(i => i % 5 == 0 ? 200 : 9)
            .Select((side, i) => TestPictures.Encode(side, side, SKEncodedImageFormat.Png, seed: i)),
    ];
    private readonly TempFolder folder = new();
    private readonly MLContext context = new(seed: 1);
    private readonly string model;
    private readonly Row[] rows;

    public DecodingAheadTests()
    {
        model = folder["model.onnx"];
        File.WriteAllBytes(model, TestModels.Classifier());
        rows =
        [
            .. TestPictures
                .Write(folder, Count, i => Pictures[i])
                .Select(
                    (path, i) =>
                        new Row
                        {
                            ImagePath = path,
                            Encoded = Pictures[i],
                            Number = i,
                        }
                ),
        ];
    }

    public void Dispose() => folder.Dispose();

    public static TheoryData<string, int, int> Ways =>
        new(
            from column in (string[])[nameof(Row.ImagePath), nameof(Row.Encoded)]
            from batch in (int[])[1, 7, 64]
            from threads in (int[])[1, 2, 5]
            select (column, batch, threads)
        );

    [Theory]
    [MemberData(nameof(Ways))]
    public void Every_row_has_its_own_picture(string column, int batch, int threads)
    {
        var scored = Score(column, batch, threads, OnInvalidImage.Throw, out _);
        Assert.Equal(rows.Select(row => row.Number), scored.Select(row => row.Number));
        using var classifier = ImageClassifier.Load(model);
        foreach (var (row, result) in rows.Zip(scored))
            Close(classifier.Classify(row.Encoded).Probabilities, result.Score);
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void What_is_left_out_takes_no_neighbour_along(string column, int batch, int threads)
    {
        // The first, the last, neighbours, and a whole batch of seven.
        int[] bad = [0, 5, 6, .. Enumerable.Range(14, 7), 30, Count - 1];
        Spoil(bad);
        var scored = Score(column, batch, threads, OnInvalidImage.Skip, out var told);
        Assert.Equal(Enumerable.Range(0, Count).Except(bad), scored.Select(row => row.Number));
        Assert.Equal(bad.Length, told.Count);
        using var classifier = ImageClassifier.Load(model);
        foreach (var result in scored)
            Close(classifier.Classify(rows[result.Number].Encoded).Probabilities, result.Score);
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void A_set_of_bad_pictures_has_no_rows(string column, int batch, int threads)
    {
        Spoil([.. Enumerable.Range(0, Count)]);
        Assert.Empty(Score(column, batch, threads, OnInvalidImage.Skip, out var told));
        Assert.Equal(Count, told.Count);
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void What_is_marked_stays_in_its_place_and_is_told_in_order(string column, int batch, int threads)
    {
        int[] bad = [0, 5, 6, 20, Count - 1];
        Spoil(bad);
        var scored = Score(column, batch, threads, OnInvalidImage.MarkRow, out var told);
        Assert.Equal(rows.Select(row => row.Number), scored.Select(row => row.Number));
        foreach (var row in scored)
            Assert.All(row.Score, value => Assert.Equal(bad.Contains(row.Number), float.IsNaN(value)));
        Assert.Equal(bad.Length, told.Count);
        if (column == nameof(Row.ImagePath))
            Assert.All(bad.Zip(told), pair => Assert.Contains($"{pair.First:D2}.png", pair.Second));
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void Of_two_bad_pictures_the_first_one_ends_the_rows(string column, int batch, int threads)
    {
        Spoil([25, 12]);
        var view = Transformer(column, batch, threads, OnInvalidImage.Throw, _ => { }).Transform(Data());
        using var cursor = view.GetRowCursor(view.Schema);
        var seen = 0;
        var error = Assert.Throws<InvalidPictureException>(() =>
        {
            while (cursor.MoveNext())
                seen++;
        });
        Assert.Equal(12, seen);
        Assert.Contains(column == nameof(Row.ImagePath) ? "12.png" : "row 12", error.Message);
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void What_the_callback_throws_ends_the_rows_at_its_picture(string column, int batch, int threads)
    {
        Spoil([9, 12, 25]);
        var calls = 0;
        var view = Transformer(column, batch, threads, OnInvalidImage.Skip, _ =>
            {
                if (++calls == 2)
                    throw new NotSupportedException("enough");
            })
            .Transform(Data());
        using var cursor = view.GetRowCursor(view.Schema);
        var seen = 0;
        Assert.Throws<NotSupportedException>(() =>
        {
            while (cursor.MoveNext())
                seen++;
        });
        Assert.Equal(11, seen);
    }

    private void Spoil(int[] indices)
    {
        foreach (var i in indices)
        {
            rows[i].Encoded = "no picture"u8.ToArray();
            File.WriteAllBytes(rows[i].ImagePath, rows[i].Encoded);
        }
    }

    private ImageClassificationTransformer Transformer(
        string column,
        int batch,
        int threads,
        OnInvalidImage onInvalid,
        Action<InvalidPictureException> told
    ) =>
        context
            .Transforms.ClassifyImages(
                model,
                column,
                new ImageClassificationOptions
                {
                    BatchSize = batch,
                    OnInvalidImage = onInvalid,
                    InvalidImage = told,
                    Session = new SessionSettings { Threads = threads },
                }
            )
            .Fit(Data());

    private Scored[] Score(string column, int batch, int threads, OnInvalidImage onInvalid, out List<string> told)
    {
        var messages = told = [];
        using var transformer = Transformer(column, batch, threads, onInvalid, error => messages.Add(error.Message));
        return [.. context.Data.CreateEnumerable<Scored>(transformer.Transform(Data()), reuseRowObject: false)];
    }

    private IDataView Data() => context.Data.LoadFromEnumerable(rows);

    /// <summary>Batches of other sizes sum in another order; another picture is far away.</summary>
    private static void Close(IEnumerable<float> expected, float[] actual) =>
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, 1e-5));

    private sealed class Row
    {
        public string ImagePath { get; set; } = "";

        public byte[] Encoded { get; set; } = [];

        public int Number { get; set; }
    }

    private sealed class Scored
    {
        public int Number { get; set; }

        public float[] Score { get; set; } = [];
    }
}
