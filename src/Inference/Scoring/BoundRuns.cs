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
    /// <param name="pixelArray">Where pictures are read from now.</param>
    /// <param name="logitArray">Where logits are written to now.</param>
    public void Renew(float[] pixelArray, float[] logitArray)
    {
        if (pixels == pixelArray && logits == logitArray)
            return;
        Dispose();
        pixels = pixelArray;
        logits = logitArray;
    }

    /// <summary>Runs a part, from several threads at once.</summary>
    /// <param name="classifier">Runs the part.</param>
    /// <param name="start">First row of the part.</param>
    /// <param name="rows">Rows of the part.</param>
    /// <param name="stride">Numbers of a picture.</param>
    /// <param name="probabilities">Where probabilities are written to; it changes together with the logits'
    /// array.</param>
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
