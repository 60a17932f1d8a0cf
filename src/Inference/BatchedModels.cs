using System.Buffers.Binary;
using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Onnx;

namespace TorchBridge.Inference;

/// <summary>
/// Turns loaded ML.NET models into models that score in batches: a one-line change for any existing zip.
/// </summary>
public static class BatchedModels
{
    /// <summary>
    /// Returns the same model with its ONNX stages scored in batches. Works for any model that ML.NET has loaded,
    /// whatever program saved it. Other stages are unchanged. The result takes ownership of the stages of <paramref
    /// name="model"/>; dispose the result instead.
    /// </summary>
    /// <param name="model">A loaded model.</param>
    /// <param name="batchSize">Number of rows scored at once, at least 1; null to choose by timing the first
    /// batches.</param>
    /// <param name="session">Threads and execution providers; null for the defaults.</param>
    /// <returns>A model with the same columns of the same types. Dispose it in place of the original.</returns>
    /// <exception cref="ArgumentException">The model has no ONNX stage.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="batchSize"/> is below 1.</exception>
    /// <exception cref="InvalidDataException">An ONNX stage contains a model that ONNX Runtime cannot
    /// load.</exception>
    public static ITransformer Batched(this ITransformer model, int? batchSize = null, SessionSettings? session = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (batchSize is < 1)
            throw new ArgumentOutOfRangeException(nameof(batchSize), batchSize, "the batch size must be at least 1");
        var found = 0;
        var batched = Replace(model);
        return found > 0
            ? batched
            : throw new ArgumentException("the model has no ONNX stage, so there is nothing to batch", nameof(model));

        ITransformer Replace(ITransformer stage)
        {
            switch (stage)
            {
                case OnnxTransformer onnx:
                    found++;
                    return new BatchedOnnxTransformer(
                        onnx,
                        Bytes(onnx),
                        "the model in the chain",
                        inputs: null,
                        batchSize,
                        session ?? new SessionSettings(),
                        ((ICanSaveModel)onnx).Save
                    );
                case IEnumerable<ITransformer> chain:
                    return new TransformerChain<ITransformer>([.. chain.Select(Replace)]);
                default:
                    return stage;
            }
        }
    }

    /// <summary>
    /// Reads the ONNX file of a stage. ML.NET does not expose it but writes it into every zip, so the stage is saved
    /// to memory and the entry read from there.
    /// </summary>
    /// <param name="transformer">A stock stage.</param>
    private static byte[] Bytes(OnnxTransformer transformer)
    {
        using var memory = new MemoryStream();
        using var scratch = new ScratchContext();
        scratch.Context.Model.Save(transformer, inputSchema: null, memory);
        memory.Position = 0;
        using var zip = new ZipArchive(memory, ZipArchiveMode.Read);
        var entry = zip.Entries.FirstOrDefault(item => item.Name == "OnnxModel")
            ?? throw new InvalidDataException(
                "ML.NET wrote no entry 'OnnxModel': this version of ML.NET stores models in another format"
            );
        using var stream = entry.Open();
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        // ML.NET writes an array as its length in four bytes, followed by its bytes.
        var length = BinaryPrimitives.ReadInt32LittleEndian(bytes.GetBuffer());
        return bytes.Length == length + 4
            ? bytes.ToArray()[4..]
            : throw new InvalidDataException($"the entry 'OnnxModel' has {bytes.Length} bytes but declares {length}");
    }
}
