using System.Buffers.Binary;
using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Onnx;
using TorchBridge.Inference.Scoring;

namespace TorchBridge.Inference;

/// <summary>Scores any ONNX model in ML.NET, in batches. Make it with <c>mlContext.Transforms.ScoreOnnx</c>.</summary>
public sealed class BatchedOnnxEstimator : IEstimator<BatchedOnnxTransformer>
{
    private readonly OnnxScoringEstimator stock;
    private readonly byte[] onnx;
    private readonly string[] inputs;
    private readonly int? batchSize;
    private readonly SessionSettings session;

    internal BatchedOnnxEstimator(MLContext context, string modelPath, string[] inputs, string[] outputs, int? batchSize, SessionSettings? session)
    {
        if (!File.Exists(modelPath)) throw new FileNotFoundException($"there is no model at {modelPath}", modelPath);
        onnx = File.ReadAllBytes(modelPath);
        (this.inputs, this.batchSize, this.session) = (inputs, batchSize, session ?? new SessionSettings());
        using (this.session.Open(onnx, modelPath)) { } // a clear error first
        try
        {
            stock = context.Transforms.ApplyOnnxModel(outputs, inputs, modelPath);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            // ML.NET reads the file with a protobuf of its own, and says of what it cannot read whatever its parser or its maps throw.
            throw new InvalidDataException($"{modelPath} is not an ONNX model that ML.NET can read: {error.Message}", error);
        }
    }

    /// <summary>Opens the model. Nothing is learned.</summary>
    /// <param name="input">Data with the columns that the model reads.</param>
    public BatchedOnnxTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new BatchedOnnxTransformer(stock.Fit(input), onnx, inputs, batchSize, session);
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema) => stock.GetOutputSchema(inputSchema);
}

/// <summary>
/// A stock <see cref="OnnxTransformer"/> that scores in batches: the same columns of the same types, saved as the stock one. The model's axis 0 must be
/// the batch, and free.
/// </summary>
public sealed class BatchedOnnxTransformer : ITransformer, IDisposable
{
    private readonly OnnxTransformer stock;
    private readonly OnnxScorer scorer;

    internal BatchedOnnxTransformer(OnnxTransformer stock, byte[] onnx, IReadOnlyList<string>? inputs, int? batchSize, SessionSettings session)
    {
        this.stock = stock;
        var opened = session.Open(onnx, "the model");
        foreach (var (name, info) in opened.InputMetadata)
        {
            if (info.Dimensions.Length == 0 || info.Dimensions[0] > 0)
                throw new NotSupportedException($"the input '{name}' is [{string.Join(", ", info.Dimensions)}]: its axis 0 is not free, and rows cannot be put together. Export the model with a free batch axis.");
        }

        scorer = new OnnxScorer(opened, () => (session with { Threads = 1 }).Open(onnx, "the model"), session.Threads ?? Environment.ProcessorCount, inputs ?? [.. opened.InputMetadata.Keys], Outputs, batchSize);
    }

    /// <inheritdoc/>
    public bool IsRowToRowMapper => true;

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => Columns(inputSchema).Schema;

    /// <summary>Adds the model's outputs; lazily, in batches, in the order of the rows.</summary>
    /// <param name="input">Data with the columns that the model reads; it is read by two cursors at once.</param>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new LookAheadDataView(input, scorer, Columns(input.Schema));
    }

    /// <inheritdoc/>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => new ScoredRowMapper(inputSchema, scorer, Columns(inputSchema));

    /// <inheritdoc/>
    public void Dispose()
    {
        scorer.Dispose();
        stock.Dispose();
    }

    void ICanSaveModel.Save(ModelSaveContext ctx) => ((ICanSaveModel)stock).Save(ctx);

    private ScoredSchema Columns(DataViewSchema input) => new(input, scorer.OutputsFor(input));

    /// <summary>What stock adds to the input: names, types and slot names.</summary>
    private IReadOnlyList<ScoredColumn> Outputs(DataViewSchema input)
    {
        var all = stock.GetOutputSchema(input);
        return [.. all.Skip(input.Count).Select(column => new ScoredColumn(column.Name, column.Type, column.Annotations))];
    }
}

/// <summary>Turns loaded chains into batched ones.</summary>
public static class BatchedModels
{
    /// <summary>
    /// The same model, its ONNX stages scored in batches: for any chain that ML.NET has loaded, also one that somebody else saved. Other stages stay as they
    /// are. The result takes over the stages of <paramref name="model"/>; dispose it instead.
    /// </summary>
    /// <param name="model">A loaded model.</param>
    /// <param name="batchSize">Rows scored at once; null to find out on the first ones.</param>
    /// <param name="session">Threads and execution providers; null for the defaults.</param>
    /// <exception cref="ArgumentException">There is no ONNX stage in it.</exception>
    public static ITransformer Batched(this ITransformer model, int? batchSize = null, SessionSettings? session = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        var found = 0;
        var batched = Replace(model);
        return found > 0 ? batched : throw new ArgumentException("the model has no ONNX stage: there is nothing to batch", nameof(model));

        ITransformer Replace(ITransformer stage)
        {
            switch (stage)
            {
                case OnnxTransformer onnx:
                    found++;
                    return new BatchedOnnxTransformer(onnx, Bytes(onnx), inputs: null, batchSize, session ?? new SessionSettings());
                case IEnumerable<ITransformer> chain:
                    return new TransformerChain<ITransformer>([.. chain.Select(Replace)]);
                default:
                    return stage;
            }
        }
    }

    /// <summary>The model's file: ML.NET does not give it out, but writes it into every zip.</summary>
    private static byte[] Bytes(OnnxTransformer transformer)
    {
        using var memory = new MemoryStream();
        new MLContext(seed: 0).Model.Save(transformer, inputSchema: null, memory);
        memory.Position = 0;
        using var zip = new ZipArchive(memory, ZipArchiveMode.Read);
        var entry = zip.Entries.FirstOrDefault(item => item.Name == "OnnxModel") ?? throw new InvalidDataException("ML.NET wrote no entry 'OnnxModel': this version stores models otherwise");
        using var stream = entry.Open();
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        // An array as ML.NET writes one: its length in four bytes, then its bytes.
        var length = BinaryPrimitives.ReadInt32LittleEndian(bytes.GetBuffer());
        return bytes.Length == length + 4 ? bytes.ToArray()[4..] : throw new InvalidDataException($"the entry 'OnnxModel' has {bytes.Length} bytes and says {length}");
    }
}
