using Microsoft.ML.OnnxRuntime;
using TorchBridge.Onnx.Files;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Runtime;

namespace TorchBridge.Quantization.Execution;

/// <summary>
/// Runs a model on batches, in one session without a memory arena. Intermediate values can be requested too.
/// </summary>
internal sealed class ModelRunner : IDisposable
{
    /// <summary>Bytes of tensors above which a model is passed to ONNX Runtime through files: protobuf is limited to
    /// 2 GB.</summary>
    public const long LargestInMemory = 1_800_000_000;

    // No arena: it would keep memory for the largest batch of every value.
    private static readonly OrtSession Settings = OrtSession.Quiet with { KeepsMemory = false };

    /// <summary>The open model, disposed together with this object.</summary>
    private readonly InferenceSession session;

    /// <summary>Values that a run returns, in the requested order.</summary>
    private readonly string[] outputs;

    /// <summary>Temporary folder of a model too large to pass in memory, deleted on disposal; null for all
    /// others.</summary>
    private readonly string? folder;

    /// <summary>Opens an unmodified file, the reference of comparisons.</summary>
    /// <param name="path">The file; its structure and data files were checked when it was read.</param>
    /// <param name="outputs">Outputs of the model.</param>
    /// <exception cref="QuantizationException">ONNX Runtime cannot load it.</exception>
    public ModelRunner(string path, IEnumerable<string> outputs)
    {
        this.outputs = [.. outputs];
        try
        {
            session = Settings.Open(path);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            throw new QuantizationException($"ONNX Runtime cannot load {path}: {error.Message}", error);
        }
    }

    /// <summary>Opens a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="outputs">Values to return, which may be intermediate ones; null for the model's outputs.</param>
    /// <param name="largestInMemory">Bytes of tensors above which the model is written into a temporary folder.</param>
    /// <exception cref="QuantizationException">ONNX Runtime cannot load it.</exception>
    public ModelRunner(OnnxGraph model, IEnumerable<string>? outputs = null, long largestInMemory = LargestInMemory)
    {
        this.outputs = [.. outputs ?? model.OutputNames];
        try
        {
            if (OnnxWriter.TensorBytes(model) <= largestInMemory)
            {
                session = Settings.Open(OnnxWriter.WithOutputs(model, this.outputs));
                return;
            }

            folder = ProcessFiles.NewFolder("model").FullName;
            var path = Path.Combine(folder, "model.onnx");
            OnnxWriter.WriteWithOutputs(model, this.outputs, path);
            session = Settings.Open(path);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            RemoveFolder();
            throw new QuantizationException($"ONNX Runtime cannot load the model: {error.Message}", error);
        }
    }

    /// <summary>Runs a batch. The caller disposes the results.</summary>
    /// <param name="batch">Named inputs of the model.</param>
    /// <returns>The requested values; the caller disposes them.</returns>
    /// <exception cref="QuantizationException">The batch does not match the model's inputs.</exception>
    public BatchResult Run(QuantizationBatch batch)
    {
        if (batch is null || batch.Inputs is null)
            throw new QuantizationException("a batch is null or has no inputs");
        try
        {
            // ONNX Runtime refuses a run without outputs.
            return new BatchResult(outputs.Length == 0 ? null : session.Run(batch.Inputs, outputs));
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            // The runtime's own exceptions, and those of its wrapper: a name or type that does not fit, sizes that
            // overflow.
            throw new QuantizationException($"the model cannot run a batch: {error.Message}", error);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        session.Dispose();
        RemoveFolder();
    }

    /// <summary>Removes the temporary folder of a model that was too large for memory.</summary>
    private void RemoveFolder()
    {
        if (folder is not null)
            Directory.Delete(folder, recursive: true);
    }
}
