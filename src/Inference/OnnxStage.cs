using Microsoft.ML;
using Microsoft.ML.Transforms.Onnx;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Inference;

/// <summary>
/// The stock stage that runs a model. ML.NET reads models from files and needs the file for the lifetime of the
/// stage; disposing this object deletes it.
/// </summary>
internal sealed class OnnxStage : IDisposable
{
    private readonly string path;

    /// <summary>Takes ownership of a temporary file and the estimator created from it.</summary>
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
    /// Writes the bytes to a temporary file and creates the stock estimator for it.
    /// </summary>
    /// <param name="context">The context whose catalog creates it.</param>
    /// <param name="onnx">The model's bytes, including external data.</param>
    /// <param name="outputs">Names of the outputs and of their columns.</param>
    /// <param name="inputs">Names of the inputs and of the columns they are read from.</param>
    /// <returns>The stage; dispose it after the fitted transformer has been saved.</returns>
    public static OnnxStage Load(MLContext context, byte[] onnx, string[] outputs, string[] inputs)
    {
        var path = ProcessFiles.NewPath("onnx", ".onnx");
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
