using TorchBridge.Inference.Sessions;

namespace TorchBridge.Inference.Scoring;

/// <summary>The bound runs of a cursor: one per part of a batch, recreated when an array is replaced by a larger
/// one.</summary>
internal sealed class BoundRuns : IDisposable
{
    private readonly Dictionary<(ImageClassifier Classifier, int Start, int Rows), BoundRun> runs = [];
    private float[]? pixels;
    private float[]? logits;

    /// <summary>Discards bindings to other arrays than these.</summary>
    /// <param name="pixelArray">The array that pictures are read from.</param>
    /// <param name="logitArray">The array that logits are written to.</param>
    public void Renew(float[] pixelArray, float[] logitArray)
    {
        if (pixels == pixelArray && logits == logitArray)
            return;
        Dispose();
        pixels = pixelArray;
        logits = logitArray;
    }

    /// <summary>Runs a part; may be called from several threads at once.</summary>
    /// <param name="classifier">Runs the part.</param>
    /// <param name="start">First row of the part.</param>
    /// <param name="rows">Rows of the part.</param>
    /// <param name="stride">Number of values per picture.</param>
    /// <param name="probabilities">The array that probabilities are written to, which is replaced together with the
    /// array of logits.</param>
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
