using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Sessions;

/// <summary>
/// The view of a stage that owns native memory: advancing and reading happen within the stage's lifetime.
/// </summary>
/// <param name="inner">The stage's own view.</param>
/// <param name="lifetime">The stage's lifetime.</param>
internal sealed class LeasedView(IDataView inner, Lifetime lifetime) : IDataView
{
    public DataViewSchema Schema => inner.Schema;

    public bool CanShuffle => inner.CanShuffle;

    public long? GetRowCount() => inner.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        using var visit = lifetime.Enter();
        return new Cursor(inner.GetRowCursor(columnsNeeded, rand), lifetime);
    }

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded,
        int n,
        Random? rand = null
    )
    {
        using var visit = lifetime.Enter();
        return [.. inner.GetRowCursorSet(columnsNeeded, n, rand).Select(cursor => new Cursor(cursor, lifetime))];
    }

    /// <summary>Creates a getter that holds the lifetime while it reads.</summary>
    /// <typeparam name="TValue">Type of the column.</typeparam>
    /// <param name="getter">Reads native memory of the stage.</param>
    /// <param name="lifetime">The stage's lifetime.</param>
    public static ValueGetter<TValue> Leased<TValue>(ValueGetter<TValue> getter, Lifetime lifetime) =>
        (ref TValue value) =>
        {
            using var visit = lifetime.Enter();
            getter(ref value);
        };

    /// <summary>A cursor that holds the stage's lifetime while it advances or reads.</summary>
    private sealed class Cursor(DataViewRowCursor inner, Lifetime lifetime) : DataViewRowCursor
    {
        public override DataViewSchema Schema => inner.Schema;

        public override long Position => inner.Position;

        public override long Batch => inner.Batch;

        public override bool MoveNext()
        {
            using var visit = lifetime.Enter();
            return inner.MoveNext();
        }

        public override bool IsColumnActive(DataViewSchema.Column column) => inner.IsColumnActive(column);

        public override ValueGetter<DataViewRowId> GetIdGetter() => inner.GetIdGetter();

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) =>
            Leased(inner.GetGetter<TValue>(column), lifetime);

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                inner.Dispose();
            base.Dispose(disposing);
        }
    }
}
