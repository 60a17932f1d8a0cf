using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Sessions;

/// <summary>The row mapper of a stage that owns native memory: see <see cref="LeasedView"/>.</summary>
/// <param name="inner">The stage's own mapper.</param>
/// <param name="lifetime">The stage's lifetime.</param>
internal sealed class LeasedRowMapper(IRowToRowMapper inner, Lifetime lifetime) : IRowToRowMapper
{
    public DataViewSchema InputSchema => inner.InputSchema;

    public DataViewSchema OutputSchema => inner.OutputSchema;

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns) =>
        inner.GetDependencies(dependingColumns);

    public DataViewRow GetRow(DataViewRow row, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        using var visit = lifetime.Enter();
        return new Row(inner.GetRow(row, activeColumns), lifetime);
    }

    /// <summary>A row whose values are read within the stage's lifetime.</summary>
    private sealed class Row(DataViewRow inner, Lifetime lifetime) : DataViewRow
    {
        public override DataViewSchema Schema => inner.Schema;

        public override long Position => inner.Position;

        public override long Batch => inner.Batch;

        public override bool IsColumnActive(DataViewSchema.Column column) => inner.IsColumnActive(column);

        public override ValueGetter<DataViewRowId> GetIdGetter() => inner.GetIdGetter();

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) =>
            LeasedView.Leased(inner.GetGetter<TValue>(column), lifetime);

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                inner.Dispose();
            base.Dispose(disposing);
        }
    }
}
