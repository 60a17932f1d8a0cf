using Microsoft.ML;
using Microsoft.ML.Data;
using SkiaSharp;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Tests;

public sealed class ImageClassifierTests : IDisposable
{
    private readonly TempFolder folder = new();
    private readonly string[] files;
    private readonly ImageClassifier classifier = ImageClassifier.Load(TestModels.Classifier(), "the test's model");

    public ImageClassifierTests() =>
        files = [
            .. Enumerable
                .Range(0, 20)
                .Select(i =>
                {
                    var path = folder[$"{i:D2}.jpg"];
                    File.WriteAllBytes(path, TestPictures.Encode(9 + i, 12, SKEncodedImageFormat.Jpeg, seed: i * 11));
                    return path;
                }),
        ];

    public void Dispose()
    {
        classifier.Dispose();
        folder.Dispose();
    }

    [Fact]
    public void A_path_a_stream_bytes_and_a_picture_are_classified_alike()
    {
        foreach (var file in files)
        {
            var expected = classifier.Classify(file);
            Assert.Equal(1, expected.Probabilities.Sum(), 5);
            using var stream = File.OpenRead(file);
            using var picture = MLImage.CreateFromFile(file);
            foreach (
                var other in (Prediction[])
                    [
                        classifier.Classify(stream),
                        classifier.Classify(File.ReadAllBytes(file)),
                        classifier.Classify(picture),
                    ]
            )
            {
                Assert.Equal(expected.Label, other.Label);
                Assert.Equal(expected.Logits, other.Logits);
            }

            Assert.True(stream.CanRead);
        }
    }

    [Fact]
    public async Task Batches_and_streams_keep_the_order()
    {
        var expected = files.Select(file => classifier.Classify(file).Label).ToArray();
        Assert.Equal(expected, classifier.ClassifyBatch(files, 3).Select(prediction => prediction.Label));
        var streamed = new List<string>();
        await foreach (
            var prediction in classifier.ClassifyAsync(
                Paths(_ => { }),
                batchSize: 3,
                TestContext.Current.CancellationToken
            )
        )
            streamed.Add(prediction.Label);
        Assert.Equal(expected, streamed);
        Assert.Equal(
            expected[5],
            (await classifier.ClassifyAsync(files[5], TestContext.Current.CancellationToken)).Label
        );
    }

    [Fact]
    public async Task A_slow_reader_holds_the_producer_back()
    {
        var read = 0;
        var stream = classifier.ClassifyAsync(
            Paths(_ => Interlocked.Increment(ref read)),
            batchSize: 2,
            TestContext.Current.CancellationToken
        );
        await using var reader = stream.GetAsyncEnumerator(TestContext.Current.CancellationToken);
        await reader.MoveNextAsync();
        // Two batches wait in the channel, one is with the reader, one is being made.
        Assert.InRange(Volatile.Read(ref read), 2, 8);
    }

    [Fact]
    public async Task A_bad_picture_in_a_stream_is_an_error_that_names_it()
    {
        File.WriteAllText(files[7], "no picture");
        var seen = 0;
        var error = await Assert.ThrowsAsync<InvalidPictureException>(async () =>
        {
            await foreach (
                var _ in classifier.ClassifyAsync(Paths(_ => { }), batchSize: 2, TestContext.Current.CancellationToken)
            )
                seen++;
        });
        Assert.Contains("07.jpg", error.Message, StringComparison.Ordinal);
        Assert.Equal(7, seen); // all that stand before it
    }

    [Fact]
    public void Sixty_four_threads_see_what_one_thread_sees()
    {
        var expected = files.Select(classifier.Classify).ToArray();
        var wrong = 0;
        var threads = Enumerable
            .Range(0, 64)
            .Select(t => new Thread(() =>
            {
                for (var i = 0; i < 50; i++)
                {
                    var at = (i + t) % files.Length;
                    if (!classifier.Classify(files[at]).Logits.SequenceEqual(expected[at].Logits))
                        Interlocked.Increment(ref wrong);
                }
            }))
            .ToArray();
        foreach (var thread in threads)
            thread.Start();
        foreach (var thread in threads)
            thread.Join();
        Assert.Equal(0, wrong);
    }

    [Fact]
    public void The_self_check_passes_here_and_fails_where_a_logit_is_another()
    {
        var planes = new byte[4 * 192];
        new Random(1).NextBytes(planes);
        var logits = classifier.ClassifyPlanes(planes, 4).SelectMany(prediction => prediction.Logits).ToArray();
        using (
            var checking = ImageClassifier.Load(
                TestModels.Classifier(check: new SelfCheck(planes, logits, SelfCheck.Float32Tolerance)),
                "m"
            )
        )
        {
            var result = checking.Verify();
            Assert.True(result.Passed);
            Assert.Equal((4, 4), (result.Pictures, result.Agree));
        }

        float[] other = [.. logits];
        other[5] += 0.01f;
        using (
            var failing = ImageClassifier.Load(
                TestModels.Classifier(check: new SelfCheck(planes, other, SelfCheck.Float32Tolerance)),
                "m"
            )
        )
            Assert.False(failing.Verify().Passed);
        other = [.. logits];
        other[5] = float.NaN;
        var card = new ModelCard(TestModels.ClassNames, 8, 8);
        var read = SelfCheck.Read(
            new Dictionary<string, string>([new SelfCheck(planes, logits, SelfCheck.Float32Tolerance).ToMetadata()]),
            card,
            "m"
        );
        Assert.False(read!.Compare(other, 3).Passed);
        Assert.Contains(
            "self-check",
            Assert.Throws<InvalidDataException>(classifier.Verify).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void What_is_no_model_of_ours_is_named()
    {
        Assert.Contains(
            "broken.onnx",
            Assert.Throws<InvalidDataException>(() => ImageClassifier.Load([1, 2, 3], "broken.onnx")).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "mixed.onnx",
            Assert.Throws<InvalidDataException>(() => ImageClassifier.Load(TestModels.Mixed(), "mixed.onnx")).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<FileNotFoundException>(() => ImageClassifier.Load(folder["none.onnx"]));
    }

    [Fact]
    public void A_classifier_of_one_picture_at_a_time_says_the_same_at_every_door()
    {
        var model = TestModels.OneAtATime(TestModels.Classifier());
        using var one = ImageClassifier.Load(model, "m");
        using var free = ImageClassifier.Load(TestModels.Classifier(), "m");
        var planes = Enumerable.Range(0, 5 * 3 * 8 * 8).Select(i => (byte)(i * 7)).ToArray();
        Assert.Equal(
            free.ClassifyPlanes(planes, 5).Select(prediction => prediction.Label),
            one.ClassifyPlanes(planes, 5).Select(prediction => prediction.Label)
        );
        File.WriteAllBytes(folder["p.png"], TestPictures.Encode(9, 7, SKEncodedImageFormat.Png));
        string[] pictures = [.. Enumerable.Repeat(folder["p.png"], 5)];
        Assert.All(one.ClassifyBatch(pictures, batchSize: 4), prediction =>
            Assert.Equal(free.Classify(pictures[0]).Label, prediction.Label)
        );
        var context = new MLContext(seed: 1);
        var data = context.Data.LoadFromEnumerable(pictures.Select(path => new Picture { ImagePath = path }).ToArray());
        using var transformer = context
            .Transforms.ClassifyImages(TestModels.Write(folder["one.onnx"], model))
            .Fit(data);
        Assert.Equal(
            pictures.Select(picture => free.Classify(picture).Label),
            context.Data.CreateEnumerable<Named>(transformer.Transform(data), false).Select(row => row.PredictedLabel)
        );
        var check = new SelfCheck(planes, [.. free.ClassifyPlanes(planes, 5).SelectMany(it => it.Logits)], 1e-5);
        using var verified = ImageClassifier.Load(TestModels.OneAtATime(TestModels.Classifier(check: check)), "m");
        Assert.True(verified.Verify().Passed);
    }

    [Fact]
    public void Arguments_that_are_null_are_named()
    {
        Assert.Throws<ArgumentNullException>("path", () => ImageClassifier.Load((string)null!));
        Assert.Throws<ArgumentNullException>("onnx", () => ImageClassifier.Load(null!, "m"));
        Assert.Throws<ArgumentNullException>("name", () => ImageClassifier.Load([], null!));
        Assert.Throws<ArgumentNullException>("path", () => classifier.Classify((string)null!));
        Assert.Throws<ArgumentNullException>("encoded", () => classifier.Classify((byte[])null!));
        Assert.Throws<ArgumentNullException>("encoded", () => classifier.Classify((Stream)null!));
        Assert.Throws<ArgumentNullException>("picture", () => classifier.Classify((MLImage)null!));
        Assert.Throws<ArgumentNullException>("paths", () => classifier.ClassifyBatch(null!));
        Assert.Throws<ArgumentNullException>("paths", () =>
            classifier.ClassifyAsync((IAsyncEnumerable<string>)null!, 2, TestContext.Current.CancellationToken)
        );
        Assert.Throws<ArgumentNullException>("metadata", () =>
            ModelCard.Read((IReadOnlyDictionary<string, string>)null!, "m")
        );
        Assert.ThrowsAny<ArgumentException>(() => StockPipeline.Save(null!, "m.zip"));
    }

    [Fact]
    public async Task A_source_that_times_out_is_an_error_and_not_the_end_of_the_stream()
    {
        // HttpClient throws this exception on a timeout, although nobody has cancelled this stream.
        var seen = 0;
        async Task Read()
        {
            await foreach (
                var prediction in classifier.ClassifyAsync(
                    Paths(_ =>
                    {
                        if (++seen == 3)
                            throw new TaskCanceledException("timeout");
                    }),
                    2
                )
            )
                Assert.NotNull(prediction.Label);
        }

        Assert.Equal("timeout", (await Assert.ThrowsAsync<TaskCanceledException>(Read)).Message);
    }

    private async IAsyncEnumerable<string> Paths(Action<string> onRead)
    {
        foreach (var file in files)
        {
            onRead(file);
            yield return file;
            await Task.Yield();
        }
    }

    private sealed class Picture
    {
        public string ImagePath { get; set; } = "";
    }

    private sealed class Named
    {
        public string? PredictedLabel { get; set; }
    }
}
