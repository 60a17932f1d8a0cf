using Microsoft.ML;

namespace TorchBridge.Inference.Scoring;

/// <summary>
/// The input's columns, at their original indices, followed by the output columns. Tells for each column whether it
/// is scored or passed through.
/// </summary>
internal sealed class ScoredSchema
{
    private const int Passing = -1;
    private readonly int[] places;

    /// <summary>Creates a schema in which all output columns are scored.</summary>
    /// <param name="input">Columns of the data.</param>
    /// <param name="scored">Columns added by the scorer.</param>
    public ScoredSchema(DataViewSchema input, IReadOnlyList<ScoredColumn> scored)
    {
        Scored = scored;
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(input);
        foreach (var column in scored)
            builder.AddColumn(column.Name, column.Type, column.Annotations);
        Schema = builder.ToSchema();
        places = [.. Enumerable.Repeat(Passing, input.Count), .. Enumerable.Range(0, scored.Count)];
    }

    /// <summary>Creates a schema in which some columns of a view are scored and the others pass through.</summary>
    /// <param name="whole">All columns.</param>
    /// <param name="isScored">Whether a column is scored.</param>
    public ScoredSchema(DataViewSchema whole, Func<DataViewSchema.Column, bool> isScored)
    {
        Schema = whole;
        var columns = whole.Where(isScored).ToArray();
        Scored = [.. columns.Select(column => new ScoredColumn(column.Name, column.Type, column.Annotations))];
        places = [.. whole.Select(column => Array.FindIndex(columns, scored => scored.Index == column.Index))];
    }

    /// <summary>All columns.</summary>
    public DataViewSchema Schema { get; }

    /// <summary>The columns that are scored.</summary>
    public IReadOnlyList<ScoredColumn> Scored { get; }

    /// <summary>Whether a column is scored rather than passed through.</summary>
    /// <param name="index">A column's index in <see cref="Schema"/>.</param>
    public bool IsScored(int index) => places[index] != Passing;

    /// <summary>The index of a column among the scored ones.</summary>
    /// <param name="index">Index in <see cref="Schema"/> of a column that is scored.</param>
    public int ScoredIndex(int index) => places[index];

    /// <summary>The indices of the scored columns among these.</summary>
    /// <param name="indices">Indices in <see cref="Schema"/>; pass-through columns are left out.</param>
    public HashSet<int> ScoredOf(IEnumerable<int> indices) => [.. indices.Where(IsScored).Select(ScoredIndex)];
}
