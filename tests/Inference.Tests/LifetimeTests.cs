using Microsoft.ML;
using SkiaSharp;
using TorchBridge.Inference.Hosting;
using TorchBridge.Inference.Sessions;

namespace TorchBridge.Inference.Tests;

/// <summary>Native memory: disposing waits for running calls, later calls throw ObjectDisposedException, and the
/// process does not crash.</summary>
public sealed class LifetimeTests : IDisposable
{
    private readonly TempFolder folder = new();
    private readonly MLContext context = new(seed: 1);
    private readonly string model;
    private readonly string picture;

    public LifetimeTests()
    {
        model = folder["model.onnx"];
        picture = folder["picture.png"];
        File.WriteAllBytes(model, TestModels.Classifier());
        File.WriteAllBytes(picture, TestPictures.Encode(8, 8, SKEncodedImageFormat.Png));
    }

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Who_is_inside_finishes_before_the_memory_is_freed()
    {
        var freed = 0;
        var lifetime = new Lifetime("thing", () => freed++);
        using var inside = new ManualResetEventSlim();
        using var leave = new ManualResetEventSlim();
        var visitor = new Thread(() =>
        {
            using var visit = lifetime.Enter();
            inside.Set();
            leave.Wait();
            Assert.Equal(0, freed);
        });
        visitor.Start();
        inside.Wait(TestContext.Current.CancellationToken);
        var disposer = new Thread(lifetime.Close);
        disposer.Start();
        SpinWait.SpinUntil(() => !Entered(lifetime));
        Assert.Equal(0, freed);
        leave.Set();
        visitor.Join();
        disposer.Join();
        Assert.Equal(1, freed);
        lifetime.Close();
        lifetime.Retire();
        Assert.Equal(1, freed);
        Assert.Contains(
            "thing",
            Assert.Throws<ObjectDisposedException>(() => lifetime.Enter()).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Who_closes_from_inside_does_not_wait_for_himself()
    {
        var freed = 0;
        var lifetime = new Lifetime("thing", () => freed++);
        using (lifetime.Enter())
        {
            lifetime.Close();
            Assert.Equal(0, freed);
        }

        Assert.Equal(1, freed);
    }

    [Fact]
    public void Sixty_four_threads_classify_while_another_disposes_a_thousand_times()
    {
        const int threads = 64,
            rounds = 1000;
        var bytes = TestModels.Classifier();
        var planes = new byte[3 * 8 * 8];
        ImageClassifier? current = null;
        var isOver = false;
        var wrong = new System.Collections.Concurrent.ConcurrentQueue<Exception>();
        long right = 0,
            disposed = 0;
        var workers = Enumerable
            .Range(0, threads)
            .Select(_ => new Thread(() =>
            {
                while (!Volatile.Read(ref isOver))
                {
                    try
                    {
                        if (
                            Volatile.Read(ref current) is { } classifier
                            && classifier.ClassifyPlanes(planes, 1).Length == 1
                        )
                            Interlocked.Increment(ref right);
                        else
                            Thread.Yield();
                    }
                    catch (ObjectDisposedException)
                    {
                        Interlocked.Increment(ref disposed);
                        Thread.Yield();
                    }
                    catch (Exception error)
                    {
                        wrong.Enqueue(error);
                    }
                }
            }))
            .ToArray();
        foreach (var worker in workers)
            worker.Start();
        for (var round = 0; round < rounds; round++)
        {
            var classifier = ImageClassifier.Load(bytes, "m", new SessionSettings { Threads = 1 });
            var before = Interlocked.Read(ref right);
            Volatile.Write(ref current, classifier);
            SpinWait.SpinUntil(() => Interlocked.Read(ref right) > before);
            classifier.Dispose();
        }

        Volatile.Write(ref isOver, true);
        foreach (var worker in workers)
            worker.Join();
        Assert.Empty(wrong);
        Assert.True(right >= rounds);
        Assert.True(disposed > 0);
    }

    [Fact]
    public async Task A_classifier_that_is_disposed_says_so_in_every_member()
    {
        var classifier = ImageClassifier.Load(model);
        var stream = classifier
            .ClassifyAsync(Endless(), batchSize: 2, TestContext.Current.CancellationToken)
            .GetAsyncEnumerator(TestContext.Current.CancellationToken);
        Assert.True(await stream.MoveNextAsync());
        classifier.Dispose();
        classifier.Dispose();
        Assert.Throws<ObjectDisposedException>(() => classifier.Classify(picture));
        Assert.Throws<ObjectDisposedException>(() => classifier.Classify(File.ReadAllBytes(picture)));
        Assert.Throws<ObjectDisposedException>(() => classifier.ClassifyBatch([picture]).ToArray());
        Assert.Throws<ObjectDisposedException>(() => classifier.ClassifyPlanes(new byte[192], 1));
        await Assert.ThrowsAsync<ObjectDisposedException>(() =>
            classifier.ClassifyAsync(picture, TestContext.Current.CancellationToken)
        );
        // Some batches were made before: they are given out, and then it is over.
        await Assert.ThrowsAsync<ObjectDisposedException>(async () =>
        {
            while (await stream.MoveNextAsync()) { }
        });
        await stream.DisposeAsync();
        Assert.Equal(8, classifier.Width); // managed values stay available
    }

    [Fact]
    public void A_prediction_engine_that_disposes_its_transformer_leaves_no_dangling_memory()
    {
        var data = Pictures(1);
        var transformer = context.Transforms.ClassifyImages(model).Fit(data);
        var engine = context.Model.CreatePredictionEngine<Row, Scored>(transformer);
        engine.Predict(new Row { ImagePath = picture });
        engine.Dispose();
        transformer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => transformer.Transform(data));
        Assert.Throws<ObjectDisposedException>(() => transformer.GetOutputSchema(data.Schema));
        Assert.Throws<ObjectDisposedException>(() => ((ITransformer)transformer).GetRowToRowMapper(data.Schema));
        Assert.Throws<ObjectDisposedException>(transformer.Verify);
        Assert.Throws<ObjectDisposedException>(() => context.Model.Save(transformer, data.Schema, Stream.Null));
    }

    [Fact]
    public void A_lazy_view_that_is_read_after_its_model_is_gone_is_an_error()
    {
        var data = Pictures(300);
        var transformer = context
            .Transforms.ClassifyImages(model, options: new ImageClassificationOptions { BatchSize = 32 })
            .Fit(data);
        var view = transformer.Transform(data);
        using var cursor = view.GetRowCursor(view.Schema);
        Assert.True(cursor.MoveNext());
        transformer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Read<Scored>(view));
        var moved = 0;
        Assert.Throws<ObjectDisposedException>(() =>
        {
            while (cursor.MoveNext())
                moved++;
        });
        Assert.Equal(31, moved); // the batch that was scored
        Assert.Throws<ObjectDisposedException>(() => cursor.MoveNext());

        foreach (
            var file in (string[])
                [
                    TestModels.Write(folder["relu.onnx"], TestModels.Relu("N")),
                    TestModels.Write(folder["whole.onnx"], TestModels.Relu(2L)),
                ]
        )
        {
            var vectors = context.Data.LoadFromEnumerable(
                Enumerable.Range(0, 10).Select(i => new Vector { x = [i, -i, i, -i, i, -i] }).ToArray()
            );
            var scoring = context.Transforms.ScoreOnnx(file, ["x"], ["y"]).Fit(vectors);
            var scored = scoring.Transform(vectors);
            using var engine = context.Model.CreatePredictionEngine<Vector, Out>(scoring);
            using var half = scored.GetRowCursor(scored.Schema);
            Assert.True(half.MoveNext());
            scoring.Dispose();
            Assert.Throws<ObjectDisposedException>(() => Read<Out>(scored));
            Assert.ThrowsAny<ObjectDisposedException>(() => engine.Predict(new Vector { x = [1, 2, 3, 4, 5, 6] }));
            Assert.Throws<ObjectDisposedException>(() => scoring.GetOutputSchema(vectors.Schema));
        }
    }

    [Fact]
    public void A_service_waits_for_its_requests_and_then_says_that_it_is_gone()
    {
        var service = new ImageClassifierService(model);
        using var inside = new ManualResetEventSlim();
        using var leave = new ManualResetEventSlim();
        var request = new Thread(() =>
            service.Use(classifier =>
            {
                inside.Set();
                leave.Wait();
                return classifier.Classify(picture);
            })
        );
        request.Start();
        inside.Wait(TestContext.Current.CancellationToken);
        var disposer = new Thread(service.Dispose);
        disposer.Start();
        SpinWait.SpinUntil(() => Record.Exception(() => service.Classify(picture)) is ObjectDisposedException);
        Assert.True(disposer.IsAlive);
        leave.Set();
        request.Join();
        disposer.Join();
        Assert.Throws<ObjectDisposedException>(() => service.Classify(picture));
        service.Dispose();
    }

    private static bool Entered(Lifetime lifetime)
    {
        if (!lifetime.TryEnter())
            return false;
        lifetime.Leave();
        return true;
    }

    private async IAsyncEnumerable<string> Endless()
    {
        while (true)
        {
            yield return picture;
            await Task.Yield();
        }
    }

    private IDataView Pictures(int count) =>
        context.Data.LoadFromEnumerable(
            Enumerable.Range(0, count).Select(_ => new Row { ImagePath = picture }).ToArray()
        );

    private T[] Read<T>(IDataView view)
        where T : class, new() => [.. context.Data.CreateEnumerable<T>(view, reuseRowObject: false)];

    private sealed class Row
    {
        public string ImagePath { get; set; } = "";
    }

    private sealed class Scored
    {
        public float[]? Score { get; set; }

        public string? PredictedLabel { get; set; }
    }

    private sealed class Vector
    {
        [Microsoft.ML.Data.VectorType(6)]
        public float[] x { get; set; } = [];
    }

    private sealed class Out
    {
        public float[] y { get; set; } = [];
    }
}
