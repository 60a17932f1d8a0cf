using TorchBridge.Inference.Sessions;

namespace TorchBridge.Inference.Scoring;

/// <summary>The bound runs of a cursor: one for each part of a batch, made anew when an array has been replaced by a
/// larger one.</summary>
internal sealed class BoundRuns : IDisposable
{
    private readonly Dictionary<(ImageClassifier Classifier, int Start, int Rows), BoundRun> runs = [];
    private float[]? pixels;
    private float[]? logits;

    /// <summary>Forgets what was bound to other arrays than these.</summary>
    public void Renew(float[] pixelArray, float[] logitArray)
    {
        if (pixels == pixelArray && logits == logitArray)
            return;
        Dispose();
        pixels = pixelArray;
        logits = logitArray;
    }

    /// <summary>Runs a part, from several threads at once.</summary>
    public void Run(ImageClassifier classifier, int start, int rows, int stride, float[] probabilities)
    {
        var classes = classifier.ClassNames.Count;
        var partPixels = pixels.AsMemory(start * stride, rows * stride);
        var partLogits = logits.AsMemory(start * classes, rows * classes);
        var partProbabilities = probabilities.AsMemory(start * classes, rows * classes);
        if (classifier.RunsOneByOne)
        {
            classifier.Run(partPixels, rows, partLogits, partProbabilities);
            return;
        }

        BoundRun? run;
        lock (runs)
        {
            if (!runs.TryGetValue((classifier, start, rows), out run))
            {
                run = classifier.Bind(partPixels, rows, partLogits, partProbabilities);
                runs.Add((classifier, start, rows), run);
            }
        }

        classifier.Run(run, partPixels, rows, partLogits, partProbabilities);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var run in runs.Values)
            run.Dispose();
        runs.Clear();
    }
}
