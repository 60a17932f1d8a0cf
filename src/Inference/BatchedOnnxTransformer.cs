using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime.Tensors;
using Microsoft.ML.Transforms.Onnx;
using TorchBridge.Inference.Scoring;
using TorchBridge.Inference.Sessions;

namespace TorchBridge.Inference;

/// <summary>
/// A stock <see cref="OnnxTransformer"/> that scores in batches: the same columns of the same types, saved as the
/// stock one. Sequences and maps pass through as the stock one makes them. A model whose rows cannot be put together
/// is scored row by row, and <see cref="RowByRow"/> says why. <see cref="Dispose"/> waits for who reads a row; who
/// comes later gets an <see cref="ObjectDisposedException"/>.
/// </summary>
public sealed class BatchedOnnxTransformer : ITransformer, IDisposable
{
    private readonly OnnxTransformer stock;
    private readonly OnnxScorer? scorer;
    private readonly string? stockOnly;
    private readonly Action<ModelSaveContext> save;
    private readonly Lifetime lifetime;

    /// <summary>
    /// Takes over a stock stage, opens a session of its own beside it, and finds out whether rows may be put
    /// together.
    /// </summary>
    /// <param name="stock">The fitted stage; it is disposed with this.</param>
    /// <param name="onnx">The model's bytes, data files included.</param>
    /// <param name="name">What to call the model in an error.</param>
    /// <param name="inputs">Names of the inputs that are read; null for all of them.</param>
    /// <param name="batchSize">Rows scored at once, 1 and up; null to find out.</param>
    /// <param name="session">Threads and execution providers.</param>
    /// <param name="save">Writes the stage as the stock one is written.</param>
    /// <exception cref="ArgumentException">The model has no input of one of these names.</exception>
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
            throw new ArgumentOutOfRangeException(nameof(batchSize), batchSize, "a batch has at least one row");
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
                $"TorchBridge leaves an ONNX model to stock ML.NET, slower than in batches: {stockOnly}"
            );
        }

        lifetime = new Lifetime(nameof(BatchedOnnxTransformer), Free);
    }

    /// <summary>
    /// Why rows are scored one at a time, slower than in batches; null where they are scored together. It may be
    /// found out on the first rows of the data only.
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

    /// <summary>Adds the model's outputs; lazily, in batches, in the order of the rows.</summary>
    /// <param name="input">Data with the columns that the model reads; it is read once, a batch ahead.</param>
    /// <returns>A lazy view; nothing is scored before a cursor is moved.</returns>
    /// <exception cref="ObjectDisposedException">It has been disposed.</exception>
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

    /// <summary>Saves the stock stage: the zip loads in programs without this assembly.</summary>
    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        using var visit = lifetime.Enter();
        save(ctx);
    }

    /// <summary>What stock adds to the input, of the same types; tensors are ours.</summary>
    /// <param name="input">The schema that rows have.</param>
    private ScoredSchema Columns(DataViewSchema input)
    {
        var whole = stock.GetOutputSchema(input);
        return new ScoredSchema(whole, column =>
            column.Index >= input.Count && column.Type is not OnnxSequenceType and not OnnxMapType
        );
    }

    /// <summary>Frees the stock stage's session, when nobody reads a row any more.</summary>
    private void Free() => stock.Dispose();

    /// <summary>Whether a tensor's elements are of a type that ML.NET has a column for.</summary>
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

    /// <summary>Why the model's inputs cannot be put together of rows; null where they can.</summary>
    /// <param name="session">The model.</param>
    /// <param name="inputs">Its inputs that columns feed.</param>
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
                return $"its input '{name}' has no axis, or says nothing of its axes";
            if (dims[0] > 1)
                return $"the batch of its input '{name}' is fixed to {dims[0]}";
            if (dims.Skip(1).Count(size => size < 0) > 1)
                return $"its input '{name}' has several free axes beside the batch";
        }

        return null;
    }

    /// <summary>The first input whose batch is fixed to one row; null where there is none.</summary>
    /// <param name="session">The model.</param>
    /// <param name="inputs">Its inputs that columns feed.</param>
    private static string? FixedTo(ModelSession session, IReadOnlyList<string> inputs) =>
        inputs.FirstOrDefault(name => session.Inputs[name].Dimensions[0] == 1);
}
