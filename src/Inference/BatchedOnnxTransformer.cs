using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime.Tensors;
using Microsoft.ML.Transforms.Onnx;
using TorchBridge.Inference.Scoring;
using TorchBridge.Inference.Sessions;

namespace TorchBridge.Inference;

/// <summary>
/// A stock <see cref="OnnxTransformer"/> that scores in batches: it has the same columns of the same types and is
/// saved as the stock one. Sequences and maps are produced by the stock transformer. A model whose rows cannot be
/// batched is scored row by row, and <see cref="RowByRow"/> says why. <see cref="Dispose"/> waits for readers of a
/// row; later readers get an <see cref="ObjectDisposedException"/>.
/// </summary>
public sealed class BatchedOnnxTransformer : ITransformer, IDisposable
{
    private readonly OnnxTransformer stock;
    private readonly OnnxScorer? scorer;
    private readonly string? stockOnly;
    private readonly Action<ModelSaveContext> save;
    private readonly Lifetime lifetime;

    /// <summary>
    /// Takes ownership of a stock stage, opens a separate session, and determines whether rows can be batched.
    /// </summary>
    /// <param name="stock">The fitted stage, disposed together with this transformer.</param>
    /// <param name="onnx">The model's bytes, including external data.</param>
    /// <param name="name">Name of the model in error messages.</param>
    /// <param name="inputs">Names of the inputs to read; null for all of them.</param>
    /// <param name="batchSize">Number of rows scored at once, at least 1; null to choose by timing.</param>
    /// <param name="session">Threads and execution providers.</param>
    /// <param name="save">Saves the stage in the format of the stock one.</param>
    /// <exception cref="ArgumentException">The model has no input with one of these names.</exception>
    internal BatchedOnnxTransformer(
        OnnxTransformer stock,
        byte[] onnx,
        string name,
        IReadOnlyList<string>? inputs,
        int? batchSize,
        SessionSettings session,
        Action<ModelSaveContext> save
    )
    {
        this.stock = stock;
        this.save = save;
        if (batchSize is < 1)
            throw new ArgumentOutOfRangeException(nameof(batchSize), batchSize, "the batch size must be at least 1");
        var opened = session.Open(onnx, name, nameof(BatchedOnnxTransformer));
        var read = inputs ?? [.. opened.Inputs.Keys];
        stockOnly = WhyStock(opened, read);
        if (stockOnly is null)
        {
            scorer = new OnnxScorer(
                opened,
                () => session.OneThreaded.Open(onnx, name, nameof(BatchedOnnxTransformer)),
                session.ThreadCount,
                read,
                batchSize
            );
            var tensors = opened.Outputs.Where(output => IsScored(output.Value)).Select(output => output.Key).ToArray();
            if (FixedTo(opened, read) is { } input)
                scorer.ScoreRowByRow($"the batch of its input '{input}' is fixed to 1");
            else if (RowProbe.Find(opened, read, tensors) is { } reason)
                scorer.ScoreRowByRow(reason);
        }
        else
        {
            opened.Dispose();
            System.Diagnostics.Trace.TraceWarning(
                $"TorchBridge leaves an ONNX model to stock ML.NET, which is slower than scoring in batches: "
                    + $"{stockOnly}"
            );
        }

        lifetime = new Lifetime(nameof(BatchedOnnxTransformer), Free);
    }

    /// <summary>
    /// Why rows are scored one at a time, which is slower; null if they are scored in batches. The reason may only be
    /// known after the first rows have been scored.
    /// </summary>
    public string? RowByRow => stockOnly ?? scorer?.RowByRow;

    /// <inheritdoc/>
    public bool IsRowToRowMapper => true;

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        using var visit = lifetime.Enter();
        return stock.GetOutputSchema(inputSchema);
    }

    /// <summary>Adds the model's outputs: lazily, in batches, in row order.</summary>
    /// <param name="input">Data with the input columns of the model; it is read once, one batch ahead.</param>
    /// <returns>A lazy view; nothing is scored until a cursor is advanced.</returns>
    /// <exception cref="ObjectDisposedException">The transformer has been disposed.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using var visit = lifetime.Enter();
        if (scorer is null)
            return new LeasedView(stock.Transform(input), lifetime);
        var columns = Columns(input.Schema);
        return columns.Scored.Count == columns.Schema.Count - input.Schema.Count
            ? new LookAheadDataView(input, scorer, columns)
            : new LookAheadDataView(new LeasedView(stock.Transform(input), lifetime), scorer, columns);
    }

    /// <inheritdoc/>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        using var visit = lifetime.Enter();
        var inner = new LeasedRowMapper(((ITransformer)stock).GetRowToRowMapper(inputSchema), lifetime);
        if (scorer is null)
            return inner;
        var columns = Columns(inputSchema);
        return new ScoredRowMapper(
            inputSchema,
            columns.Scored.Count == columns.Schema.Count - inputSchema.Count ? null : inner,
            scorer,
            columns
        );
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        scorer?.Dispose();
        lifetime.Close();
    }

    /// <summary>Saves the stock stage, so that the zip loads in programs without this assembly.</summary>
    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        using var visit = lifetime.Enter();
        save(ctx);
    }

    /// <summary>The columns that the stock stage adds to the input, of the same types; tensor columns are scored
    /// here.</summary>
    /// <param name="input">Schema of the rows.</param>
    private ScoredSchema Columns(DataViewSchema input)
    {
        var whole = stock.GetOutputSchema(input);
        return new ScoredSchema(whole, column =>
            column.Index >= input.Count && column.Type is not OnnxSequenceType and not OnnxMapType
        );
    }

    /// <summary>Frees the stock stage's session once no reader is left.</summary>
    private void Free() => stock.Dispose();

    /// <summary>Whether ML.NET has a column type for a tensor's elements.</summary>
    /// <param name="output">An output of the model.</param>
    private static bool IsScored(Microsoft.ML.OnnxRuntime.NodeMetadata output) =>
        output.IsTensor
        && output.ElementDataType
            is TensorElementType.Float
                or TensorElementType.Double
                or TensorElementType.Bool
                or TensorElementType.String
                or TensorElementType.Int8
                or TensorElementType.Int16
                or TensorElementType.Int32
                or TensorElementType.Int64
                or TensorElementType.UInt8
                or TensorElementType.UInt16
                or TensorElementType.UInt32
                or TensorElementType.UInt64;

    /// <summary>Why rows cannot be batched into the model's inputs; null if they can.</summary>
    /// <param name="session">The model.</param>
    /// <param name="inputs">The inputs that are read from columns.</param>
    private static string? WhyStock(ModelSession session, IReadOnlyList<string> inputs)
    {
        if (inputs.Count == 0)
            return "it has no inputs";
        foreach (var name in inputs)
        {
            if (!session.Inputs.TryGetValue(name, out var info))
                throw new ArgumentException(
                    $"the model has no input '{name}'; it has {string.Join(", ", session.Inputs.Keys)}",
                    nameof(inputs)
                );
            if (!IsScored(info))
                return $"its input '{name}' is not a tensor of numbers, bool or text";
            var dims = info.Dimensions;
            if (dims.Length == 0)
                return $"its input '{name}' has no axes or does not declare its shape";
            if (dims[0] > 1)
                return $"the batch of its input '{name}' is fixed to {dims[0]}";
            if (dims.Skip(1).Count(size => size < 0) > 1)
                return $"its input '{name}' has several free axes besides the batch";
        }

        return null;
    }

    /// <summary>The first input whose batch axis is fixed to 1; null if there is none.</summary>
    /// <param name="session">The model.</param>
    /// <param name="inputs">The inputs that are read from columns.</param>
    private static string? FixedTo(ModelSession session, IReadOnlyList<string> inputs) =>
        inputs.FirstOrDefault(name => session.Inputs[name].Dimensions[0] == 1);
}
