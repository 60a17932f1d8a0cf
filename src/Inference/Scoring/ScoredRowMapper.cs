using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Scoring;

/// <summary>Scores single rows for PredictionEngine: a row is scored once, however many of its columns are read, and
/// an error affects only its row.</summary>
/// <param name="input">Schema of the input.</param>
/// <param name="inner">Produces the columns that are not scored; null if they are the input's own.</param>
/// <param name="scorer">Scores the rows.</param>
/// <param name="columns">All columns.</param>
internal sealed class ScoredRowMapper(
    DataViewSchema input,
    IRowToRowMapper? inner,
    BatchScorer scorer,
    ScoredSchema columns
) : IRowToRowMapper
{
    public DataViewSchema InputSchema => input;

    public DataViewSchema OutputSchema => columns.Schema;

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns)
    {
        var needed = dependingColumns.Select(column => column.Index).ToHashSet();
        var read = needed.Any(columns.IsScored) ? scorer.InputColumns : [];
        var others = inner
            ?.GetDependencies(
                inner.OutputSchema.Where(column => needed.Contains(column.Index) && !columns.IsScored(column.Index))
            )
            .Select(column => column.Index)
            .ToHashSet();
        return input.Where(column => (others ?? needed).Contains(column.Index) || read.Contains(column.Name));
    }

    public DataViewRow GetRow(DataViewRow row, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        ArgumentNullException.ThrowIfNull(row);
        var active = activeColumns.Select(column => column.Index).ToHashSet();
        var passing = inner?.GetRow(
            row,
            inner.OutputSchema.Where(column => active.Contains(column.Index) && !columns.IsScored(column.Index))
        );
        return new Row(row, passing ?? row, scorer, columns, active);
    }

    /// <summary>
    /// A row whose scored columns are computed once per position, when the first of them is read.
    /// </summary>
    private sealed class Row : DataViewRow
    {
        private readonly DataViewRow source;
        private readonly DataViewRow passing;
        private readonly BatchBuilder? builder;
        private readonly ScoredSchema columns;
        private readonly HashSet<int> active;
        private ScoredBatch? scored;
        private long scoredAt = long.MinValue;

        public Row(
            DataViewRow source,
            DataViewRow passing,
            BatchScorer scorer,
            ScoredSchema columns,
            HashSet<int> active
        )
        {
            this.source = source;
            this.passing = passing;
            this.columns = columns;
            this.active = active;
            builder = active.Any(columns.IsScored)
                ? scorer.Open(source, columns.Scored, columns.ScoredOf(active), capacity: 1)
                : null;
        }

        public override DataViewSchema Schema => columns.Schema;

        public override long Position => source.Position;

        public override long Batch => source.Batch;

        public override bool IsColumnActive(DataViewSchema.Column column) => active.Contains(column.Index);

        public override ValueGetter<DataViewRowId> GetIdGetter() => source.GetIdGetter();

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) =>
            columns.IsScored(column.Index)
                ? ScoredBatch.Getter<TValue>(columns.ScoredIndex(column.Index), Current, () => 0)
                : passing.GetGetter<TValue>(passing.Schema[column.Index]);

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                builder?.Dispose();
                passing.Dispose();
                if (passing != source)
                    source.Dispose();
            }

            base.Dispose(disposing);
        }

        /// <summary>The scores of the source's current row.</summary>
        private ScoredBatch Current()
        {
            if (scored is not null && scoredAt == source.Position)
                return scored;
            scored = null;
            builder!.Clear(); // discards the rest of an earlier row that ended in an error
            if (builder.Add() != AddResult.Added)
                throw new InvalidOperationException(
                    "the row cannot be read, and a single prediction cannot be skipped. Use OnInvalidImage.Throw "
                        + "or MarkRow with a PredictionEngine."
                );
            var batch = builder.Score();
            if (batch.Error is { } error)
                System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(error);
            scored = batch;
            scoredAt = source.Position;
            return scored;
        }
    }
}
