using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Scoring;

/// <summary>A column that a scorer makes.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its type in ML.NET.</param>
/// <param name="Annotations">Slot names, key values; null for none.</param>
internal sealed record ScoredColumn(string Name, DataViewType Type, DataViewSchema.Annotations? Annotations = null);

/// <summary>
/// Scores rows in batches. One for all cursors of a transformer, from any thread: it holds no state of a row.
/// </summary>
internal abstract class BatchScorer : IDisposable
{
    /// <summary>Names of the columns that are read.</summary>
    public abstract IReadOnlyList<string> InputColumns { get; }

    /// <summary>How many rows at once.</summary>
    public abstract BatchSizer Sizer { get; }

    /// <summary>Whether a row that cannot be read is left out.</summary>
    public virtual bool SkipsRows => false;

    /// <summary>Starts reading rows from a cursor or a row.</summary>
    /// <param name="row">Where the columns are read.</param>
    /// <param name="columns">The scored columns, all of them.</param>
    /// <param name="active">Those that are asked for, by their place: others need not be computed.</param>
    /// <param name="capacity">Rows that are expected in a batch.</param>
    /// <returns>Collects and scores rows of this cursor; the caller disposes it.</returns>
    public abstract BatchBuilder Open(
        DataViewRow row,
        IReadOnlyList<ScoredColumn> columns,
        IReadOnlySet<int> active,
        int capacity
    );

    /// <inheritdoc/>
    public abstract void Dispose();
}

/// <summary>Collects the rows of one cursor and scores them. Of one thread at a time.</summary>
internal abstract class BatchBuilder : IDisposable
{
    /// <summary>Rows collected since the last batch.</summary>
    public abstract int Count { get; }

    /// <summary>Reads the row where the cursor stands. Where it throws, the rows before it are kept.</summary>
    /// <returns>What became of the row.</returns>
    /// <exception cref="InvalidOperationException">The row has a length that the model does not take.</exception>
    public abstract AddResult Add();

    /// <summary>Scores what was collected, and starts anew, also where it throws.</summary>
    /// <returns>The results. They may be overwritten by the next batch.</returns>
    public abstract ScoredBatch Score();

    /// <summary>Forgets what was collected.</summary>
    public abstract void Clear();

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

/// <summary>Results of a batch, read by column and row.</summary>
internal abstract class ScoredBatch
{
    /// <summary>Rows that were scored: the batch's first.</summary>
    public abstract int Rows { get; }

    /// <summary>Why the row after them could not be scored; null where all were.</summary>
    public virtual Exception? Error => null;

    /// <summary>A getter of a column, for row <paramref name="row"/> of batch <paramref name="batch"/>.</summary>
    /// <typeparam name="TValue">What the reader wants; it must be the column's own type.</typeparam>
    /// <param name="column">The column's place among the scored ones.</param>
    /// <param name="batch">The batch of now: getters outlive batches.</param>
    /// <param name="row">Its row of now.</param>
    public static ValueGetter<TValue> Getter<TValue>(int column, Func<ScoredBatch> batch, Func<int> row) =>
        (ref TValue value) => batch().Read(column, row(), ref value);

    /// <summary>Reads a value.</summary>
    /// <typeparam name="TValue">What the reader wants.</typeparam>
    /// <param name="column">The column's place among the scored ones.</param>
    /// <param name="row">The row's place in the batch.</param>
    /// <param name="value">Receives the value; its buffer is used again where it is large enough.</param>
    /// <exception cref="InvalidOperationException">The column has another type.</exception>
    public abstract void Read<TValue>(int column, int row, ref TValue value);

    /// <summary>Fills a vector, in the buffer that the caller has if it is large enough.</summary>
    /// <typeparam name="T">Element type.</typeparam>
    /// <param name="values">The elements.</param>
    /// <param name="target">Receives a dense vector.</param>
    public static void Fill<T>(ReadOnlySpan<T> values, ref VBuffer<T> target)
    {
        var editor = VBufferEditor.Create(ref target, values.Length);
        values.CopyTo(editor.Values);
        target = editor.Commit();
    }
}
