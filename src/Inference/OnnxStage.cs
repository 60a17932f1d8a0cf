using Microsoft.ML;
using Microsoft.ML.Transforms.Onnx;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Inference;

/// <summary>The stock stage that runs a model. ML.NET reads models from files, and keeps the file as long as the
/// stage lives; this deletes it then.</summary>
internal sealed class OnnxStage : IDisposable
{
    private readonly string path;

    private OnnxStage(string path, OnnxScoringEstimator estimator)
    {
        this.path = path;
        Estimator = estimator;
    }

    public OnnxScoringEstimator Estimator { get; }

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

    public void Dispose() => File.Delete(path);
}
