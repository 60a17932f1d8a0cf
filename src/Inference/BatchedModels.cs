using System.Buffers.Binary;
using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Onnx;

namespace TorchBridge.Inference;

/// <summary>
/// Turns chains that ML.NET has loaded into chains that score in batches: the one line for a zip that somebody else
/// saved.
/// </summary>
public static class BatchedModels
{
    /// <summary>
    /// The same model, its ONNX stages scored in batches: for any chain that ML.NET has loaded, also one that
    /// somebody else saved. Other stages stay as they are. The result takes over the stages of <paramref
    /// name="model"/>; dispose it instead.
    /// </summary>
    /// <param name="model">A loaded model.</param>
    /// <param name="batchSize">Rows scored at once, 1 and up; null to find out on the first ones.</param>
    /// <param name="session">Threads and execution providers; null for the defaults.</param>
    /// <returns>A chain of the same columns of the same types. Dispose it where the model was to be
    /// disposed.</returns>
    /// <exception cref="ArgumentException">There is no ONNX stage in it.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="batchSize"/> is below 1.</exception>
    /// <exception cref="InvalidDataException">An ONNX stage holds a model that ONNX Runtime does not
    /// load.</exception>
    public static ITransformer Batched(this ITransformer model, int? batchSize = null, SessionSettings? session = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (batchSize is < 1)
            throw new ArgumentOutOfRangeException(nameof(batchSize), batchSize, "a batch has at least one row");
        var found = 0;
        var batched = Replace(model);
        return found > 0
            ? batched
            : throw new ArgumentException("the model has no ONNX stage: there is nothing to batch", nameof(model));

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
    /// The model's file: ML.NET does not give it out, but writes it into every zip. So the stage is saved into
    /// memory, and its entry read.
    /// </summary>
    /// <param name="transformer">A stock stage, which keeps its model to itself.</param>
    private static byte[] Bytes(OnnxTransformer transformer)
    {
        using var memory = new MemoryStream();
        using var scratch = new ScratchContext();
        scratch.Context.Model.Save(transformer, inputSchema: null, memory);
        memory.Position = 0;
        using var zip = new ZipArchive(memory, ZipArchiveMode.Read);
        var entry = zip.Entries.FirstOrDefault(item => item.Name == "OnnxModel")
            ?? throw new InvalidDataException(
                "ML.NET wrote no entry 'OnnxModel': this version stores models otherwise"
            );
        using var stream = entry.Open();
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        // An array as ML.NET writes one: its length in four bytes, then its bytes.
        var length = BinaryPrimitives.ReadInt32LittleEndian(bytes.GetBuffer());
        return bytes.Length == length + 4
            ? bytes.ToArray()[4..]
            : throw new InvalidDataException($"the entry 'OnnxModel' has {bytes.Length} bytes and says {length}");
    }
}
