using Microsoft.ML;
using Microsoft.ML.Transforms.Onnx;

namespace TorchBridge.Inference;

/// <summary>
/// The stock stage that runs a model. ML.NET reads models from files, and needs the file as long as the stage lives;
/// disposing of this deletes it.
/// </summary>
internal sealed class OnnxStage : IDisposable
{
    private readonly string path;

    /// <summary>Takes over a temporary file and the estimator that was made of it.</summary>
    /// <param name="path">The temporary file.</param>
    /// <param name="estimator">The stock stage that reads it.</param>
    private OnnxStage(string path, OnnxScoringEstimator estimator)
    {
        this.path = path;
        Estimator = estimator;
    }

    /// <summary>The stock estimator.</summary>
    public OnnxScoringEstimator Estimator { get; }

    /// <summary>
    /// Writes the bytes into a temporary file, and makes the stock estimator of it.
    /// </summary>
    /// <param name="context">Whose catalog makes it.</param>
    /// <param name="onnx">The model's bytes, data files included.</param>
    /// <param name="outputs">Names of the outputs, and of the columns they become.</param>
    /// <param name="inputs">Names of the inputs, and of the columns they are read from.</param>
    /// <returns>The stage; dispose it once what was fitted from it is saved.</returns>
    public static OnnxStage Load(MLContext context, byte[] onnx, string[] outputs, string[] inputs)
    {
        var path = Path.Combine(Path.GetTempPath(), $"torchbridge-{Guid.NewGuid():N}.onnx");
        File.WriteAllBytes(path, onnx);
        try
        {
            return new OnnxStage(path, context.Transforms.ApplyOnnxModel(outputs, inputs, path));
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    /// <summary>Deletes the temporary file.</summary>
    public void Dispose() => File.Delete(path);
}
