// How it works: one cursor on the input reads the rows of a batch; the scored columns go into the batch, the values
// of pass-through columns are kept next to it. The input is read only once, so single-pass inputs work. An error
// belongs to its row: the rows before it are returned, then it is thrown, and thrown again whenever the cursor is
// advanced. The cursor stays at the failed row.
using System.Runtime.ExceptionServices;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Scoring;

/// <summary>Scores ahead of the reader, one batch at a time.</summary>
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
    private IReadOnlyList<int>? left;
    private int row = -1;
    private int rows;
    private bool inputWaits;
    private bool isOver;

    /// <summary>
    /// Opens the builder and the pass-through columns on the input's cursor, which this cursor owns.
    /// </summary>
    /// <param name="input">The input's cursor, disposed together with this one.</param>
    /// <param name="passing">Requested pass-through columns.</param>
    /// <param name="scorer">Scores the rows.</param>
    /// <param name="columns">All columns.</param>
    /// <param name="needed">Indices of the requested columns.</param>
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

    public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId id) => id = ids[CurrentSlot()];

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (!needed.Contains(column.Index))
            throw new InvalidOperationException(
                $"the column {column.Name} was not requested when the cursor was created"
            );
        return columns.IsScored(column.Index)
            ? ScoredBatch.Getter<TValue>(columns.ScoredIndex(column.Index), () => scored!, Current)
            : passing[column.Index].Getter<TValue>(CurrentSlot);
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

    /// <summary>The cursor's current row in the batch.</summary>
    private int Current() =>
        position >= 0
            ? row
            : throw new InvalidOperationException(
                "the cursor has no current row: it has not been advanced yet, is at its end, or has failed"
            );

    /// <summary>The slot of the pass-through values; skipped rows have a slot too.</summary>
    private int CurrentSlot() => left is null ? Current() : left[Current()];

    /// <summary>Reads and scores the next rows; none if the input has ended or its next row has an error.</summary>
    private void ReadBatch()
    {
        row = 0;
        do
        {
            ids.Clear();
            try
            {
                Collect(scorer.Sizer.Next);
            }
            catch (Exception failure)
            {
                error = ExceptionDispatchInfo.Capture(failure); // the error of the row after the collected ones
            }

            (left, var unread) = builder.Settle();
            if (unread is not null)
                error = ExceptionDispatchInfo.Capture(unread); // the error of an earlier row
        } while (builder.Count == 0 && ids.Count > 0 && error is null);

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
    /// Reads rows until the batch is full, the pass-through values take too much memory, or a row must start the next
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
