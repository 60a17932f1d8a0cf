using Microsoft.ML.OnnxRuntime;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Runtime;

namespace TorchBridge.Quantization.Execution;

/// <summary>Runs a model on batches.</summary>
internal sealed class ModelRunner : IDisposable
{
    private readonly InferenceSession session;
    private readonly string[] outputs;

    /// <summary>Opens a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="outputs">Values to ask for, inside the graph too; null for its outputs.</param>
    /// <exception cref="QuantizationException">ONNX Runtime does not load it, or it is beyond 2 GB.</exception>
    public ModelRunner(OnnxGraph model, IEnumerable<string>? outputs = null)
    {
        this.outputs = [.. outputs ?? model.OutputNames];
        try
        {
            // Without an arena, which would keep the largest batch of every value.
            session = (OrtSession.Quiet with { KeepsMemory = false }).Open(OnnxWriter.WithOutputs(model, this.outputs));
        }
        catch (Exception error) when (error is OnnxRuntimeException or InvalidDataException)
        {
            throw new QuantizationException($"ONNX Runtime does not load the model: {error.Message}", error);
        }
    }

    /// <summary>Runs a batch. The caller disposes the results.</summary>
    /// <exception cref="QuantizationException">The batch does not fit.</exception>
    public BatchResult Run(QuantizationBatch batch)
    {
        try
        {
            // ONNX Runtime refuses to run for nothing.
            return new BatchResult(outputs.Length == 0 ? null : session.Run(batch.Inputs, outputs));
        }
        catch (OnnxRuntimeException error)
        {
            throw new QuantizationException($"a batch does not run through the model: {error.Message}", error);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => session.Dispose();
}
