using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Scoring;

/// <summary>
/// An input with scored columns. Lazy: if no scored column is requested, the input's own cursor is used.
/// </summary>
/// <param name="input">The data.</param>
/// <param name="scorer">Scores the rows.</param>
/// <param name="columns">All columns.</param>
internal sealed class LookAheadDataView(IDataView input, BatchScorer scorer, ScoredSchema columns) : IDataView
{
    public DataViewSchema Schema => columns.Schema;

    public bool CanShuffle => input.CanShuffle;

    public long? GetRowCount() => scorer.SkipsRows ? null : input.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        ArgumentNullException.ThrowIfNull(columnsNeeded);
        var needed = columnsNeeded.Select(column => column.Index).ToHashSet();
        var passing = input
            .Schema.Where(column => needed.Contains(column.Index) && !columns.IsScored(column.Index))
            .ToArray();
        // A scorer that skips rows must run even if only pass-through columns are requested.
        if (!scorer.SkipsRows && !needed.Any(columns.IsScored))
            return new PassingCursor(input.GetRowCursor(passing, rand), columns, needed);
        var read = passing
            .Concat(scorer.InputColumns.Select(name => input.Schema[name]))
            .DistinctBy(column => column.Index);
        return new LookAheadCursor(input.GetRowCursor(read, rand), passing, scorer, columns, needed);
    }

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded,
        int n,
        Random? rand = null
    ) => [GetRowCursor(columnsNeeded, rand)];
}
