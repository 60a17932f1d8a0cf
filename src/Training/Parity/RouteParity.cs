// What it does: runs picture files through every way of serving a model, and compares each with TorchSharp in eval
// mode on the same pictures. The threads row compares bit for bit with the same classifier's results on one thread.
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchBridge.Inference;
using TorchBridge.Onnx.Compare;

namespace TorchBridge.Training.Parity;

/// <summary>The ways of serving other than the ONNX file and the zip, which packaging verifies.</summary>
internal static class RouteParity
{
    private const int Threads = 64;
    private const int MostPredictionsAThread = 1000;

    /// <summary>Compares the routes lazily, so that each can be shown when it is done.</summary>
    /// <param name="onnx">The ONNX file.</param>
    /// <param name="files">The test pictures as files.</param>
    /// <param name="expectedLogits">TorchSharp's logits, in the same order.</param>
    /// <param name="scratch">A folder for temporary files.</param>
    public static IEnumerable<ParityRow> Of(
        string onnx,
        IReadOnlyList<string> files,
        float[] expectedLogits,
        string scratch
    )
    {
        using var classifier = ImageClassifier.Load(onnx);
        var classNames = classifier.ClassNames;
        yield return ParityCheck.Files("ImageClassifier, from picture files", onnx, files, expectedLogits);

        var context = new MLContext(seed: 0) { TempFilePath = scratch };
        var data = context.Data.LoadFromEnumerable(files.Select(file => new PictureFile { ImagePath = file }));
        using var transformer = context.Transforms.ClassifyImages(onnx).Fit(data);
        yield return ParityCheck.Scores(
            "ClassifyImages transformer",
            Read(context, transformer.Transform(data)),
            classNames,
            expectedLogits
        );

        if (classifier.Card.Reading.WithoutStockTwin is null)
        {
            var zip = Path.Combine(scratch, "saved.zip");
            context.Model.Save(transformer, data.Schema, zip);
            yield return ParityCheck.Zip(
                "the same, saved, and loaded by stock ML.NET",
                zip,
                files,
                classNames,
                expectedLogits
            );
            var batched = context.Model.Load(zip, out _).Batched();
            yield return ParityCheck.Scores(
                "the same, loaded and Batched()",
                ReadStock(context, batched.Transform(data)),
                classNames,
                expectedLogits
            );
            (batched as IDisposable)?.Dispose();
        }

        using (var engine = context.Model.CreatePredictionEngine<PictureFile, Scored>(transformer))
            yield return ParityCheck.Scores(
                "PredictionEngine",
                files
                    .Select(file => engine.Predict(new PictureFile { ImagePath = file }))
                    .Select(row => (row.PredictedLabel, row.Score)),
                classNames,
                expectedLogits
            );
        yield return ManyThreads(classifier, files);
    }

    /// <summary>
    /// Compares one classifier on several concurrent threads with its own results on one thread.
    /// </summary>
    /// <param name="classifier">Shared by all threads.</param>
    /// <param name="files">Picture files.</param>
    private static ParityRow ManyThreads(ImageClassifier classifier, IReadOnlyList<string> files)
    {
        var distinct = files.Take(MostPredictionsAThread).ToArray();
        var alone = distinct.Select(file => classifier.Classify(file).Logits).ToArray();
        var equal = 0;
        double largest = 0;
        var gate = new Lock();
        var threads = Enumerable
            .Range(0, Threads)
            .Select(thread => new Thread(() =>
            {
                for (var position = 0; position < distinct.Length; position++)
                {
                    var index = (position + (thread * 17)) % distinct.Length;
                    var logits = classifier.Classify(distinct[index]).Logits;
                    if (logits.SequenceEqual(alone[index]))
                        Interlocked.Increment(ref equal);
                    else
                    {
                        lock (gate)
                            largest = Math.Max(
                                largest,
                                ArrayComparison.Compare<float>([.. logits], [.. alone[index]]).LargestAbsolute
                            );
                    }
                }
            }))
            .ToArray();
        foreach (var thread in threads)
            thread.Start();
        foreach (var thread in threads)
            thread.Join();
        return new ParityRow(
            FormattableString.Invariant($"{Threads} threads on one classifier, compared with one thread"),
            largest,
            0,
            0,
            equal,
            [],
            Threads * distinct.Length
        );
    }

    /// <summary>Label and probabilities of a batched transformer's rows.</summary>
    /// <param name="context">The context.</param>
    /// <param name="scored">The scored data view.</param>
    private static IEnumerable<(string Label, float[] Scores)> Read(MLContext context, IDataView scored) =>
        context
            .Data.CreateEnumerable<Scored>(scored, reuseRowObject: false)
            .Select(row => (row.PredictedLabel, row.Score));

    /// <summary>
    /// Label and probabilities of stock ML.NET's rows, whose label is a vector with one element.
    /// </summary>
    /// <param name="context">The context.</param>
    /// <param name="scored">The scored data view.</param>
    private static IEnumerable<(string Label, float[] Scores)> ReadStock(MLContext context, IDataView scored) =>
        context
            .Data.CreateEnumerable<StockScored>(scored, reuseRowObject: false)
            .Select(row => (row.PredictedLabel[0], row.Score));

    private sealed class PictureFile
    {
        public string ImagePath { get; set; } = "";
    }

    private sealed class Scored
    {
        public string PredictedLabel { get; set; } = "";

        public float[] Score { get; set; } = [];
    }

    private sealed class StockScored
    {
        public string[] PredictedLabel { get; set; } = [];

        public float[] Score { get; set; } = [];
    }
}
