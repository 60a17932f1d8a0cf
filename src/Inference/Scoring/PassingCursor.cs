using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Scoring;

/// <summary>
/// The input's cursor with the extended schema, for readers that request no scored column.
/// </summary>
/// <param name="inner">The input's cursor, disposed together with this one.</param>
/// <param name="columns">All columns.</param>
/// <param name="needed">Indices of the requested columns.</param>
internal sealed class PassingCursor(DataViewRowCursor inner, ScoredSchema columns, HashSet<int> needed)
    : DataViewRowCursor
{
    public override DataViewSchema Schema => columns.Schema;

    public override long Position => inner.Position;

    public override long Batch => inner.Batch;

    public override bool MoveNext() => inner.MoveNext();

    public override bool IsColumnActive(DataViewSchema.Column column) => needed.Contains(column.Index);

    public override ValueGetter<DataViewRowId> GetIdGetter() => inner.GetIdGetter();

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) =>
        inner.GetGetter<TValue>(inner.Schema[column.Index]);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            inner.Dispose();
        base.Dispose(disposing);
    }
}
