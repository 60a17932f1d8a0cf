// How rows go through: a leading cursor reads the columns that are scored, as many rows as a batch has; a lagging cursor on the same input
// stands where the caller is, and gives the columns that pass through. A copy of the passing columns would cost memory for each type
// there is; a second cursor costs reading the cheap columns twice. Both shuffle alike: each has a Random of its own, of one seed.
// Lazy: a cursor that is asked for no scored column is the input's own.
using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Scoring;

/// <summary>An input with scored columns.</summary>
internal sealed class LookAheadDataView(IDataView input, BatchScorer scorer, ScoredSchema columns) : IDataView
{
    public DataViewSchema Schema => columns.Schema;

    public bool CanShuffle => input.CanShuffle;

    public long? GetRowCount() => scorer.SkipsRows ? null : input.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        var needed = columnsNeeded.Select(column => column.Index).ToHashSet();
        var passing = input.Schema.Where(column => needed.Contains(column.Index)).ToArray();
        // A scorer that leaves rows out decides on rows even where only passing columns are asked for.
        if (!scorer.SkipsRows && !needed.Any(columns.IsScored)) return new PassingCursor(input.GetRowCursor(passing, rand), columns, needed);
        var seed = rand?.Next();
        Random? Own() => seed is { } value ? new Random(value) : null;
        var lead = input.GetRowCursor(scorer.InputColumns.Select(name => input.Schema[name]), Own());
        return new LookAheadCursor(lead, input.GetRowCursor(passing, Own()), scorer, columns, needed);
    }

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) => [GetRowCursor(columnsNeeded, rand)];
}

/// <summary>The input's columns first, at their own places; then the scored ones.</summary>
internal sealed class ScoredSchema
{
    private readonly int inputs;

    public ScoredSchema(DataViewSchema input, IReadOnlyList<ScoredColumn> scored)
    {
        inputs = input.Count;
        Scored = scored;
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(input);
        foreach (var column in scored) builder.AddColumn(column.Name, column.Type, column.Annotations);
        Schema = builder.ToSchema();
    }

    public DataViewSchema Schema { get; }

    public IReadOnlyList<ScoredColumn> Scored { get; }

    public bool IsScored(int index) => index >= inputs;

    /// <summary>Which of the scored columns it is.</summary>
    public int ScoredIndex(int index) => index - inputs;
}

/// <summary>The input's cursor under the larger schema.</summary>
internal sealed class PassingCursor(DataViewRowCursor inner, ScoredSchema columns, HashSet<int> needed) : DataViewRowCursor
{
    public override DataViewSchema Schema => columns.Schema;

    public override long Position => inner.Position;

    public override long Batch => inner.Batch;

    public override bool MoveNext() => inner.MoveNext();

    public override bool IsColumnActive(DataViewSchema.Column column) => needed.Contains(column.Index);

    public override ValueGetter<DataViewRowId> GetIdGetter() => inner.GetIdGetter();

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => inner.GetGetter<TValue>(inner.Schema[column.Index]);

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>Scores ahead, a batch at a time.</summary>
internal sealed class LookAheadCursor : DataViewRowCursor
{
    private readonly DataViewRowCursor lead;
    private readonly DataViewRowCursor lag;
    private readonly BatchScorer scorer;
    private readonly BatchBuilder builder;
    private readonly ScoredSchema columns;
    private readonly HashSet<int> needed;
    private readonly List<long> rows = [];
    private ScoredBatch? scored;
    private long position = -1;
    private int row = -1;
    private bool leadWaits;

    public LookAheadCursor(DataViewRowCursor lead, DataViewRowCursor lag, BatchScorer scorer, ScoredSchema columns, HashSet<int> needed)
    {
        (this.lead, this.lag, this.scorer, this.columns, this.needed) = (lead, lag, scorer, columns, needed);
        builder = scorer.Open(lead);
    }

    public override DataViewSchema Schema => columns.Schema;

    public override long Position => position;

    public override long Batch => 0;

    public override bool IsColumnActive(DataViewSchema.Column column) => needed.Contains(column.Index);

    public override bool MoveNext()
    {
        if (++row >= rows.Count && !ReadBatch())
        {
            position = -1;
            return false;
        }

        // Rows that were left out are passed over by the lagging cursor too.
        while (lag.Position < rows[row])
        {
            if (!lag.MoveNext()) throw new InvalidOperationException("the input gave fewer rows to its second cursor than to its first: it cannot be read twice. Put it into a list, or Cache it.");
        }

        position++;
        return true;
    }

    public override ValueGetter<DataViewRowId> GetIdGetter() => lag.GetIdGetter();

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (!needed.Contains(column.Index)) throw new InvalidOperationException($"the column {column.Name} was not asked for when the cursor was made");
        return columns.IsScored(column.Index)
            ? ScoredBatch.Getter<TValue>(columns.ScoredIndex(column.Index), () => scored!, () => row)
            : lag.GetGetter<TValue>(lag.Schema[column.Index]);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            builder.Dispose();
            lead.Dispose();
            lag.Dispose();
        }

        base.Dispose(disposing);
    }

    private bool ReadBatch()
    {
        rows.Clear();
        row = 0;
        var size = scorer.Sizer.Next;
        while (builder.Count < size && (leadWaits || lead.MoveNext()))
        {
            var added = builder.Add();
            leadWaits = added == AddResult.NextBatch;
            if (leadWaits) break;
            if (added == AddResult.Added) rows.Add(lead.Position);
        }

        if (builder.Count == 0) return false;
        scored = scorer.Sizer.Timed(rows.Count, builder.Score);
        return true;
    }
}
