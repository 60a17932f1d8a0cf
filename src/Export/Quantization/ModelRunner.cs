using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace TorchBridge.Export.Quantization;

/// <summary>Runs a model from memory on batches.</summary>
internal sealed class ModelRunner : IDisposable
{
    private readonly InferenceSession session;
    private readonly string[] outputs;

    /// <summary>Opens a model.</summary>
    /// <param name="model">The file's bytes.</param>
    /// <param name="outputs">Which outputs to ask for.</param>
    /// <exception cref="QuantizationException">ONNX Runtime does not load it.</exception>
    public ModelRunner(byte[] model, IEnumerable<string> outputs)
    {
        // An arena would keep the largest batch of every value.
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, EnableCpuMemArena = false };
        try
        {
            session = new InferenceSession(model, options);
        }
        catch (OnnxRuntimeException error)
        {
            throw new QuantizationException($"ONNX Runtime does not load the model: {error.Message}", error);
        }

        this.outputs = [.. outputs];
    }

    /// <summary>Runs a batch; the floating-point outputs, by name. The caller disposes the results.</summary>
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

/// <summary>What a batch gave.</summary>
internal sealed class BatchResult(IDisposableReadOnlyCollection<DisposableNamedOnnxValue>? results) : IDisposable
{
    /// <summary>The float32 values; those of other types are left out.</summary>
    public IEnumerable<(string Name, DenseTensor<float> Tensor)> Floats()
    {
        foreach (var result in results ?? Enumerable.Empty<DisposableNamedOnnxValue>())
        {
            if (result is { ValueType: OnnxValueType.ONNX_TYPE_TENSOR, ElementType: TensorElementType.Float }) yield return (result.Name, (DenseTensor<float>)result.AsTensor<float>());
        }
    }

    /// <inheritdoc/>
    public void Dispose() => results?.Dispose();
}
