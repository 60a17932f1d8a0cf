// Scores any ONNX model: the values of an input column are the rows of an input tensor, and each output tensor is
// split into rows. A free axis besides the batch gets its size from the column's length; a row of another length
// starts the next batch. A model whose rows cannot be batched is run row by row: see RowProbe.
using Microsoft.ML;
using Microsoft.ML.OnnxRuntime;
using TorchBridge.Inference.Sessions;

namespace TorchBridge.Inference.Scoring;

/// <summary>Scores rows with an ONNX model. Columns are named like the model's inputs and outputs and have the types
/// of stock ApplyOnnxModel.</summary>
/// <param name="session">Runs whole batches and single rows.</param>
/// <param name="openOneThreaded">Opens the session that runs parts of batches.</param>
/// <param name="parts">Number of threads that share a batch.</param>
/// <param name="inputs">Names of the inputs.</param>
/// <param name="batchSize">Batch size; null to choose it by timing.</param>
internal sealed class OnnxScorer(
    ModelSession session,
    Func<ModelSession> openOneThreaded,
    int parts,
    IReadOnlyList<string> inputs,
    int? batchSize
) : BatchScorer
{
    /// <summary>
    /// Number of data rows that are run both together and alone before batches are trusted.
    /// </summary>
    private const int ProvenRows = 3;
    private readonly Lock gate = new();
    private ModelSession? oneThreaded;
    private bool isDisposed;
    private volatile bool isProven;
    private volatile string? rowByRow;

    public override IReadOnlyList<string> InputColumns => inputs;

    public override BatchSizer Sizer { get; } = new(batchSize);

    /// <summary>Why rows are scored one at a time; null if they are scored in batches.</summary>
    public string? RowByRow => rowByRow;

    public override BatchBuilder Open(
        DataViewRow row,
        IReadOnlyList<ScoredColumn> columns,
        IReadOnlySet<int> active,
        int capacity
    ) => new Builder(this, row, columns, active);

    /// <summary>Scores rows one at a time from now on.</summary>
    /// <param name="reason">The reason for <see cref="RowByRow"/> and the trace; the first one is kept.</param>
    public void ScoreRowByRow(string reason)
    {
        if (rowByRow is not null)
            return;
        rowByRow = reason;
        System.Diagnostics.Trace.TraceWarning(
            $"TorchBridge scores an ONNX model row by row, which is slower than in batches: {reason}"
        );
    }

    public override void Dispose()
    {
        lock (gate)
        {
            isDisposed = true;
            oneThreaded?.Dispose();
        }

        session.Dispose();
    }

    /// <summary>The single-threaded session, opened on demand.</summary>
    private ModelSession OneThreaded()
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(isDisposed, typeof(BatchedOnnxTransformer));
            return oneThreaded ??= openOneThreaded();
        }
    }

    /// <summary>
    /// Scores rows together, or alone if necessary; if a batch fails, its rows are run alone to find the one at
    /// fault.
    /// </summary>
    private ScoredBatch Run(IReadOnlyList<InputBuffer> buffers, int rows, string[] outputs)
    {
        if (rows == 1 || rowByRow is not null)
            return Alone(buffers, rows, outputs);
        try
        {
            if (!isProven)
                Prove(buffers, Math.Min(rows, ProvenRows), outputs);
            if (rowByRow is null)
                return Together(buffers, rows, outputs);
        }
        catch (OnnxRuntimeException)
        {
            // Running each row alone shows whether a row or the batch is at fault.
            var alone = Alone(buffers, rows, outputs);
            if (alone.Error is null)
                ScoreRowByRow("a size inside the model is fixed, so it accepts only one row at a time");
            return alone;
        }

        return Alone(buffers, rows, outputs);
    }

    /// <summary>Runs the first rows of the data together and alone, which may show what synthetic rows do
    /// not.</summary>
    private void Prove(IReadOnlyList<InputBuffer> buffers, int rows, string[] outputs)
    {
        var alone = Enumerable.Range(0, rows).Select(row => Run(session, buffers, row, 1, outputs)).ToArray();
        if (RowProbe.Compare(Run(session, buffers, 0, rows, outputs), alone!, outputs) is { } reason)
            ScoreRowByRow(reason);
        isProven = true;
    }

    /// <summary>
    /// Scores rows in one run or in parts, and concatenates the outputs of the parts.
    /// </summary>
    private ScoredBatch Together(IReadOnlyList<InputBuffer> buffers, int rows, string[] outputs)
    {
        var results = new List<(int Start, OutputRows?[] Outputs)>();
        void Keep(int start, OutputRows?[] rowsOfPart)
        {
            lock (results)
                results.Add((start, rowsOfPart));
        }

        Parts.Run(
            rows,
            parts,
            () => Keep(0, Run(session, buffers, 0, rows, outputs)),
            (start, count) => Keep(start, Run(OneThreaded(), buffers, start, count, outputs))
        );
        var inOrder = results.OrderBy(part => part.Start).Select(part => part.Outputs).ToArray();
        for (var position = 0; position < outputs.Length; position++)
        {
            if (inOrder.All(part => part[position] is not null))
                continue;
            ScoreRowByRow($"axis 0 of its output '{outputs[position]}' is not the batch");
            return Alone(buffers, rows, outputs);
        }

        return new Batch(
            rows,
            [
                .. Enumerable
                    .Range(0, outputs.Length)
                    .Select(i =>
                        inOrder.Length == 1
                            ? inOrder[0][i]!
                            : inOrder[0][i]!.With(inOrder.Skip(1).Select(part => part[i]!))
                    ),
            ]
        );
    }

    /// <summary>Scores rows one at a time, up to the first that fails.</summary>
    private RowBatch Alone(IReadOnlyList<InputBuffer> buffers, int rows, string[] outputs)
    {
        var scored = new List<OutputRows[]>(rows);
        try
        {
            for (var row = 0; row < rows; row++)
                scored.Add(Run(session, buffers, row, 1, outputs)!);
            return new RowBatch(scored, null);
        }
        catch (Exception error)
        {
            return new RowBatch(scored, error); // the rows before it are valid
        }
    }

    /// <summary>
    /// Runs the model once on some rows; an entry is null if axis 0 of that output is not the batch.
    /// </summary>
    private OutputRows?[] Run(
        ModelSession running,
        IReadOnlyList<InputBuffer> buffers,
        int start,
        int rows,
        string[] outputs
    )
    {
        if (outputs.Length == 0)
            return [];
        var values = buffers.Select(buffer => buffer.ToOrt(start, rows)).ToArray();
        try
        {
            return running.Run([.. inputs], values, outputs, results =>
                results.Select((result, i) => OutputRows.Of(result, rows, outputs[i])).ToArray()
            );
        }
        finally
        {
            foreach (var value in values)
                value.Dispose();
        }
    }

    /// <summary>Collects rows into one buffer per input.</summary>
    private sealed class Builder : BatchBuilder
    {
        private readonly OnnxScorer scorer;
        private readonly InputBuffer[] buffers;
        private readonly string[] outputs;
        private readonly int[] places;
        private int count;

        public Builder(
            OnnxScorer scorer,
            DataViewRow row,
            IReadOnlyList<ScoredColumn> columns,
            IReadOnlySet<int> active
        )
        {
            this.scorer = scorer;
            outputs = [.. active.Select(column => columns[column].Name).Distinct(StringComparer.Ordinal)];
            places = [.. columns.Select((column, i) => active.Contains(i) ? Array.IndexOf(outputs, column.Name) : -1)];
            buffers =
            [
                .. scorer.InputColumns.Select(name =>
                    InputBuffer.For(row, row.Schema[name], scorer.DimensionsOf(name))
                    ?? throw new NotSupportedException(
                        $"the column '{name}' has the type {row.Schema[name].Type}; supported are numbers, bool "
                            + $"and text, as single values or vectors"
                    )
                ),
            ];
        }

        public override int Count => count;

        public override AddResult Add()
        {
            // All are read before any is kept, so that a batch never contains a partial row.
            foreach (var buffer in buffers)
                buffer.Read();
            if (count > 0 && !buffers.All(buffer => buffer.Fits))
                return AddResult.NextBatch;
            foreach (var buffer in buffers)
                buffer.Keep();
            count++;
            return AddResult.Added;
        }

        public override ScoredBatch Score()
        {
            try
            {
                var batch = scorer.Run(buffers, count, outputs);
                return new Placed(batch, places);
            }
            finally
            {
                Clear();
            }
        }

        public override void Clear()
        {
            foreach (var buffer in buffers)
                buffer.Clear();
            count = 0;
        }

        public override void Dispose() => Clear();
    }

    /// <summary>Shape of an input; free axes are below 1.</summary>
    private int[] DimensionsOf(string input) => session.Inputs[input].Dimensions;

    /// <summary>Rows that were scored together.</summary>
    private sealed class Batch(int rows, OutputRows[] outputs) : ScoredBatch
    {
        public override int Rows => rows;

        public override void Read<TValue>(int column, int row, ref TValue value) =>
            outputs[column].Read(row, ref value);
    }

    /// <summary>Rows that were scored alone.</summary>
    private sealed class RowBatch(List<OutputRows[]> rows, Exception? error) : ScoredBatch
    {
        public override int Rows => rows.Count;

        public override Exception? Error => error;

        public override void Read<TValue>(int column, int row, ref TValue value) =>
            rows[row][column].Read(0, ref value);
    }

    /// <summary>The requested outputs, by their index among all outputs.</summary>
    private sealed class Placed(ScoredBatch batch, int[] places) : ScoredBatch
    {
        public override int Rows => batch.Rows;

        public override Exception? Error => batch.Error;

        public override void Read<TValue>(int column, int row, ref TValue value) =>
            batch.Read(places[column], row, ref value);
    }
}
