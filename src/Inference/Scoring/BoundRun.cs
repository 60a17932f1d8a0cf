using Microsoft.ML.OnnxRuntime;

namespace TorchBridge.Inference.Scoring;

/// <summary>A session with its inputs and outputs bound to arrays: runs it over what they hold at the time, and leaves no garbage.</summary>
internal sealed class BoundRun : IDisposable
{
    private readonly InferenceSession session;
    private readonly RunOptions options;
    private readonly OrtIoBinding binding;
    private readonly List<OrtValue> values = [];

    public BoundRun(InferenceSession session, RunOptions options, (string Name, Memory<float> Data, long[] Shape)[] inputs, (string Name, Memory<float> Data, long[] Shape)[] outputs)
    {
        (this.session, this.options) = (session, options);
        binding = session.CreateIoBinding();
        foreach (var (name, data, shape) in inputs) binding.BindInput(name, Value(data, shape));
        foreach (var (name, data, shape) in outputs) binding.BindOutput(name, Value(data, shape));
    }

    public void Run() => session.RunWithBinding(options, binding);

    /// <inheritdoc/>
    public void Dispose()
    {
        binding.Dispose();
        foreach (var value in values) value.Dispose();
    }

    private OrtValue Value(Memory<float> data, long[] shape)
    {
        values.Add(OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, data, shape));
        return values[^1];
    }
}

/// <summary>The bound runs of a cursor: one for each part of a batch, made anew when an array has been replaced by a larger one.</summary>
internal sealed class BoundRuns : IDisposable
{
    private readonly Dictionary<(ImageClassifier Classifier, int Start, int Rows), BoundRun> runs = [];
    private float[]? pixels, logits;

    /// <summary>Forgets what was bound to other arrays than these.</summary>
    public void Renew(float[] pixelArray, float[] logitArray)
    {
        if (pixels == pixelArray && logits == logitArray) return;
        Dispose();
        (pixels, logits) = (pixelArray, logitArray);
    }

    /// <summary>Runs a part, from several threads at once.</summary>
    public void Run(ImageClassifier classifier, int start, int rows, int stride, float[] probabilities)
    {
        BoundRun? run;
        lock (runs)
        {
            if (!runs.TryGetValue((classifier, start, rows), out run))
            {
                var classes = classifier.ClassNames.Count;
                run = classifier.Bind(pixels.AsMemory(start * stride, rows * stride), rows, logits.AsMemory(start * classes, rows * classes), probabilities.AsMemory(start * classes, rows * classes));
                runs.Add((classifier, start, rows), run);
            }
        }

        run.Run();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var run in runs.Values) run.Dispose();
        runs.Clear();
    }
}
