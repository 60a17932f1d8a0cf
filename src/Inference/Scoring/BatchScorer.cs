using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Scoring;

/// <summary>A column that a scorer makes.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its type.</param>
/// <param name="Annotations">Slot names, key values; null for none.</param>
internal sealed record ScoredColumn(string Name, DataViewType Type, DataViewSchema.Annotations? Annotations = null);

/// <summary>Scores rows in batches. Shared by all cursors of a transformer: it holds no state of a row.</summary>
internal abstract class BatchScorer : IDisposable
{
    /// <summary>Names of the columns that are read.</summary>
    public abstract IReadOnlyList<string> InputColumns { get; }

    /// <summary>How many rows at once.</summary>
    public abstract BatchSizer Sizer { get; }

    /// <summary>Whether a row that cannot be read is left out.</summary>
    public virtual bool SkipsRows => false;

    /// <summary>The columns that are made of an input schema.</summary>
    /// <exception cref="ArgumentException">A column is missing, or has a type that cannot be scored.</exception>
    public abstract IReadOnlyList<ScoredColumn> OutputsFor(DataViewSchema input);

    /// <summary>Starts reading rows from a cursor or a row.</summary>
    public abstract BatchBuilder Open(DataViewRow row);

    /// <inheritdoc/>
    public abstract void Dispose();
}

/// <summary>Collects rows and scores them.</summary>
internal abstract class BatchBuilder : IDisposable
{
    /// <summary>Rows collected.</summary>
    public abstract int Count { get; }

    /// <summary>Reads the row where the cursor stands; false where it is left out, or where it does not fit to the rows before it.</summary>
    public abstract AddResult Add();

    /// <summary>Scores what was collected, and starts anew.</summary>
    public abstract ScoredBatch Score();

    /// <inheritdoc/>
    public abstract void Dispose();
}

/// <summary>What became of a row.</summary>
internal enum AddResult
{
    /// <summary>It is in the batch.</summary>
    Added,

    /// <summary>It cannot be read, and is left out.</summary>
    Skipped,

    /// <summary>It has another length than the rows before it: score these first.</summary>
    NextBatch,
}

/// <summary>Results of a batch.</summary>
internal abstract class ScoredBatch
{
    /// <summary>A getter of a column for the row that <paramref name="row"/> says, in the batch that <paramref name="batch"/> says.</summary>
    /// <param name="column">The column, as <see cref="BatchScorer.OutputsFor"/> lists them.</param>
    /// <param name="batch">The batch of now: getters outlive batches.</param>
    /// <param name="row">Its row of now.</param>
    public static ValueGetter<TValue> Getter<TValue>(int column, Func<ScoredBatch> batch, Func<int> row) => (ref TValue value) => batch().Read(column, row(), ref value);

    /// <summary>Reads a value.</summary>
    /// <exception cref="InvalidOperationException">The column has another type.</exception>
    public abstract void Read<TValue>(int column, int row, ref TValue value);

    /// <summary>Fills a vector, in the buffer that the caller has if it is large enough.</summary>
    public static void Fill<T>(ReadOnlySpan<T> values, ref VBuffer<T> target)
    {
        var editor = VBufferEditor.Create(ref target, values.Length);
        values.CopyTo(editor.Values);
        target = editor.Commit();
    }
}
