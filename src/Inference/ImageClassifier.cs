using Microsoft.ML.OnnxRuntime;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference;

/// <summary>Classifies pictures with an exported ONNX file. No ML.NET and no libtorch is needed; all members may be called from many threads.</summary>
public sealed class ImageClassifier : IDisposable
{
    private readonly InferenceSession session;
    private readonly RunOptions runOptions = new();
    private readonly ModelCard card;

    private ImageClassifier(InferenceSession session, ModelCard card) => (this.session, this.card) = (session, card);

    /// <summary>Names of the classes, in the order of the probabilities.</summary>
    public IReadOnlyList<string> ClassNames => card.ClassNames;

    /// <summary>Picture width that the model takes, in pixels.</summary>
    public int Width => card.Width;

    /// <summary>Picture height that the model takes, in pixels.</summary>
    public int Height => card.Height;

    /// <summary>Loads a classifier.</summary>
    /// <param name="path">An ONNX file that the training program wrote.</param>
    /// <exception cref="InvalidDataException">The file is not an ONNX model, or not a classifier of ours.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static ImageClassifier Load(string path)
    {
        if (!File.Exists(path)) throw new FileNotFoundException($"there is no model at {path}", path);
        InferenceSession session;
        try
        {
            using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
            session = new InferenceSession(path, options);
        }
        catch (OnnxRuntimeException error)
        {
            throw new InvalidDataException($"{path} is not an ONNX model that ONNX Runtime can load: {error.Message}", error);
        }

        try
        {
            return new ImageClassifier(session, ModelCard.Read(session.ModelMetadata.CustomMetadataMap, path));
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>Classifies a picture file.</summary>
    /// <param name="path">JPEG, PNG, BMP or WebP of any size.</param>
    /// <exception cref="InvalidPictureException">The file is no picture, or ends too early.</exception>
    public Prediction Classify(string path) => ClassifyPlanes(PictureReader.ReadFile(path, Width, Height), 1)[0];

    /// <summary>Classifies pictures that are already read.</summary>
    /// <param name="planes">count x 3 x height x width bytes: the red plane of the first picture, the green, the blue, the next picture.</param>
    /// <param name="count">Number of pictures.</param>
    public Prediction[] ClassifyPlanes(ReadOnlySpan<byte> planes, int count)
    {
        if (planes.Length != (long)count * 3 * Width * Height) throw new ArgumentException($"{planes.Length} bytes for {count} x 3 x {Height} x {Width} pixels", nameof(planes));
        using var input = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, Microsoft.ML.OnnxRuntime.Tensors.TensorElementType.Float, [count, 3, Height, Width]);
        var pixels = input.GetTensorMutableDataAsSpan<float>();
        for (var i = 0; i < planes.Length; i++) pixels[i] = planes[i];
        using var results = session.Run(runOptions, ["pixels"], [input], ["logits", "probabilities"]);
        var logits = results[0].GetTensorDataAsSpan<float>();
        var probabilities = results[1].GetTensorDataAsSpan<float>();
        var classes = ClassNames.Count;
        var predictions = new Prediction[count];
        for (var i = 0; i < count; i++)
        {
            var row = logits.Slice(i * classes, classes).ToArray();
            var best = Array.IndexOf(row, row.Max());
            predictions[i] = new Prediction(ClassNames[Math.Max(best, 0)], probabilities.Slice(i * classes, classes).ToArray(), row);
        }

        return predictions;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        runOptions.Dispose();
        session.Dispose();
    }
}
