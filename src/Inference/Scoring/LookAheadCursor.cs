// How rows go through: one cursor on the input reads as many rows as a batch has; what is scored of them goes into
// the batch, what passes through is kept beside it. The input is read once, so it may be one that can be read only
// once. An error ends its row: the rows before it are given out, then it is thrown, and again whenever the cursor is
// moved. It stays where it failed.
using System.Runtime.ExceptionServices;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Scoring;

/// <summary>Scores ahead, a batch at a time.</summary>
internal sealed class LookAheadCursor : DataViewRowCursor
{
    private readonly DataViewRowCursor input;
    private readonly BatchScorer scorer;
    private readonly BatchBuilder builder;
    private readonly ScoredSchema columns;
    private readonly HashSet<int> needed;
    private readonly Dictionary<int, PassingColumn> passing;
    private readonly ValueGetter<DataViewRowId> inputId;
    private readonly List<DataViewRowId> ids = [];
    private ScoredBatch? scored;
    private ExceptionDispatchInfo? error;
    private long position = -1;
    private int row = -1;
    private int rows;
    private bool inputWaits;
    private bool isOver;

    /// <summary>
    /// Opens builder and passing columns on the input's cursor, which it takes over.
    /// </summary>
    /// <param name="input">The input's cursor; disposed with this.</param>
    /// <param name="passing">Columns that pass through and are asked for.</param>
    /// <param name="scorer">Scores.</param>
    /// <param name="columns">All columns.</param>
    /// <param name="needed">Indices of the columns that are asked for.</param>
    public LookAheadCursor(
        DataViewRowCursor input,
        IEnumerable<DataViewSchema.Column> passing,
        BatchScorer scorer,
        ScoredSchema columns,
        HashSet<int> needed
    )
    {
        this.input = input;
        this.scorer = scorer;
        this.columns = columns;
        this.needed = needed;
        try
        {
            builder = scorer.Open(input, columns.Scored, columns.ScoredOf(needed), scorer.Sizer.Next);
            this.passing = passing.ToDictionary(column => column.Index, column => PassingColumn.Of(input, column));
            inputId = input.GetIdGetter();
        }
        catch
        {
            input.Dispose();
            throw;
        }
    }

    public override DataViewSchema Schema => columns.Schema;

    public override long Position => position;

    public override long Batch => 0;

    public override bool IsColumnActive(DataViewSchema.Column column) => needed.Contains(column.Index);

    public override bool MoveNext()
    {
        if (isOver)
        {
            error?.Throw();
            return false;
        }

        if (++row >= rows)
        {
            rows = 0;
            if (error is null)
                ReadBatch();
            if (rows == 0)
            {
                isOver = true;
                position = -1;
                error?.Throw();
                return false;
            }
        }

        position++;
        return true;
    }

    public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId id) => id = ids[Current()];

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (!needed.Contains(column.Index))
            throw new InvalidOperationException($"the column {column.Name} was not asked for when the cursor was made");
        return columns.IsScored(column.Index)
            ? ScoredBatch.Getter<TValue>(columns.ScoredIndex(column.Index), () => scored!, Current)
            : passing[column.Index].Getter<TValue>(Current);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            builder.Dispose();
            input.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>The row of the batch that the cursor stands on.</summary>
    private int Current() =>
        position >= 0
            ? row
            : throw new InvalidOperationException(
                "the cursor stands on no row: it has not been moved yet, is at its end, or has failed"
            );

    /// <summary>Reads and scores the next rows; none where the input is at its end, or its next row is in
    /// error.</summary>
    private void ReadBatch()
    {
        row = 0;
        ids.Clear();
        try
        {
            Collect(scorer.Sizer.Next);
        }
        catch (Exception failure)
        {
            error = ExceptionDispatchInfo.Capture(failure); // of the row after those that were collected
        }

        if (builder.Count == 0)
            return;
        try
        {
            scored = scorer.Sizer.Timed(builder.Count, builder.Score);
            rows = scored.Rows;
            if (scored.Error is { } failure)
                error = ExceptionDispatchInfo.Capture(failure);
        }
        catch (Exception failure)
        {
            error = ExceptionDispatchInfo.Capture(failure);
        }
    }

    /// <summary>
    /// Reads rows until a batch is full, or what passes through has become many bytes, or a row must begin the next
    /// batch.
    /// </summary>
    private void Collect(int most)
    {
        long bytes = 0;
        while (builder.Count < most && bytes < BatchSizer.ChosenBytes && (inputWaits || input.MoveNext()))
        {
            inputWaits = false;
            var slot = builder.Count;
            var added = builder.Add();
            inputWaits = added == AddResult.NextBatch;
            if (inputWaits)
                break;
            if (added == AddResult.Skipped)
                continue;
            DataViewRowId id = default;
            inputId(ref id);
            ids.Add(id);
            foreach (var column in passing.Values)
            {
                column.Read(slot);
                bytes += column.Bytes;
            }
        }
    }
}
