using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Scoring;

/// <summary>Scores single rows, for PredictionEngine: a row is scored once, however many of its columns are read.</summary>
internal sealed class ScoredRowMapper(DataViewSchema input, BatchScorer scorer, ScoredSchema columns) : IRowToRowMapper
{
    public DataViewSchema InputSchema => input;

    public DataViewSchema OutputSchema => columns.Schema;

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns)
    {
        var needed = dependingColumns.Select(column => column.Index).ToHashSet();
        var read = needed.Any(columns.IsScored) ? scorer.InputColumns : [];
        return input.Where(column => needed.Contains(column.Index) || read.Contains(column.Name));
    }

    public DataViewRow GetRow(DataViewRow row, IEnumerable<DataViewSchema.Column> activeColumns) => new Row(row, scorer, columns, activeColumns.Select(column => column.Index).ToHashSet());

    private sealed class Row : DataViewRow
    {
        private readonly DataViewRow inner;
        private readonly BatchBuilder? builder;
        private readonly ScoredSchema columns;
        private readonly HashSet<int> active;
        private ScoredBatch? scored;
        private long scoredAt = long.MinValue;

        public Row(DataViewRow inner, BatchScorer scorer, ScoredSchema columns, HashSet<int> active)
        {
            (this.inner, this.columns, this.active) = (inner, columns, active);
            builder = active.Any(columns.IsScored) ? scorer.Open(inner) : null;
        }

        public override DataViewSchema Schema => columns.Schema;

        public override long Position => inner.Position;

        public override long Batch => inner.Batch;

        public override bool IsColumnActive(DataViewSchema.Column column) => active.Contains(column.Index);

        public override ValueGetter<DataViewRowId> GetIdGetter() => inner.GetIdGetter();

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => columns.IsScored(column.Index)
            ? ScoredBatch.Getter<TValue>(columns.ScoredIndex(column.Index), Current, () => 0)
            : inner.GetGetter<TValue>(inner.Schema[column.Index]);

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                builder?.Dispose();
                inner.Dispose();
            }

            base.Dispose(disposing);
        }

        private ScoredBatch Current()
        {
            if (scored is not null && scoredAt == inner.Position) return scored;
            if (builder!.Add() != AddResult.Added) throw new InvalidOperationException("the row cannot be read, and a single prediction cannot be left out. Use OnInvalidImage.Throw or MarkRow with a PredictionEngine.");
            scored = builder.Score();
            scoredAt = inner.Position;
            return scored;
        }
    }
}
