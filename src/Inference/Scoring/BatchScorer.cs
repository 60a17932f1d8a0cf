using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Scoring;

/// <summary>An output column of a scorer.</summary>
/// <param name="Name">Name of the column.</param>
/// <param name="Type">Type of the column in ML.NET.</param>
/// <param name="Annotations">Slot names or key values; null for none.</param>
internal sealed record ScoredColumn(string Name, DataViewType Type, DataViewSchema.Annotations? Annotations = null);

/// <summary>
/// Scores rows in batches. All cursors of a transformer share one instance, which is thread-safe and holds no per-row
/// state.
/// </summary>
internal abstract class BatchScorer : IDisposable
{
    /// <summary>Names of the input columns.</summary>
    public abstract IReadOnlyList<string> InputColumns { get; }

    /// <summary>Determines the batch size.</summary>
    public abstract BatchSizer Sizer { get; }

    /// <summary>Whether rows that cannot be read are skipped.</summary>
    public virtual bool SkipsRows => false;

    /// <summary>Starts reading rows from a cursor or a row.</summary>
    /// <param name="row">The row or cursor to read from.</param>
    /// <param name="columns">All scored columns.</param>
    /// <param name="active">Indices of the requested columns; others need not be computed.</param>
    /// <param name="capacity">Expected number of rows in a batch.</param>
    /// <returns>A builder that collects and scores rows of this cursor; the caller disposes it.</returns>
    public abstract BatchBuilder Open(
        DataViewRow row,
        IReadOnlyList<ScoredColumn> columns,
        IReadOnlySet<int> active,
        int capacity
    );

    /// <inheritdoc/>
    public abstract void Dispose();
}

/// <summary>Collects the rows of one cursor and scores them. Not thread-safe.</summary>
internal abstract class BatchBuilder : IDisposable
{
    /// <summary>Number of rows collected since the last batch.</summary>
    public abstract int Count { get; }

    /// <summary>Reads the cursor's current row. If it throws, the rows before it are kept.</summary>
    /// <returns>What happened to the row.</returns>
    /// <exception cref="InvalidOperationException">The row's length does not match the model's input.</exception>
    public abstract AddResult Add();

    /// <summary>Waits for the work started by <see cref="Add"/>; <see cref="Count"/> is then the number of rows that
    /// can be scored.</summary>
    /// <returns>Which of the added rows remain, null for all of them; and why the row after them cannot be read, null
    /// if all can.</returns>
    public virtual (IReadOnlyList<int>? Left, Exception? Error) Settle() => (null, null);

    /// <summary>Scores the collected rows and starts a new batch, even if it throws.</summary>
    /// <returns>The results, which the next batch may overwrite.</returns>
    public abstract ScoredBatch Score();

    /// <summary>Discards the collected rows.</summary>
    public abstract void Clear();

    /// <inheritdoc/>
    public abstract void Dispose();
}

/// <summary>What happened to a row.</summary>
internal enum AddResult
{
    /// <summary>It was added to the batch.</summary>
    Added,

    /// <summary>It cannot be read and is skipped.</summary>
    Skipped,

    /// <summary>Its length differs from the rows before it, which must be scored first.</summary>
    NextBatch,
}

/// <summary>The results of a batch, by column and row.</summary>
internal abstract class ScoredBatch
{
    /// <summary>Number of scored rows, counted from the start of the batch.</summary>
    public abstract int Rows { get; }

    /// <summary>Why the row after them could not be scored; null if all were.</summary>
    public virtual Exception? Error => null;

    /// <summary>Creates a getter of a column for row <paramref name="row"/> of batch <paramref
    /// name="batch"/>.</summary>
    /// <typeparam name="TValue">Type requested by the reader, which must be the column's type.</typeparam>
    /// <param name="column">Index among the scored columns.</param>
    /// <param name="batch">Returns the current batch: getters outlive batches.</param>
    /// <param name="row">Returns the current row in the batch.</param>
    public static ValueGetter<TValue> Getter<TValue>(int column, Func<ScoredBatch> batch, Func<int> row) =>
        (ref TValue value) => batch().Read(column, row(), ref value);

    /// <summary>Reads a value.</summary>
    /// <typeparam name="TValue">Type requested by the reader.</typeparam>
    /// <param name="column">Index among the scored columns.</param>
    /// <param name="row">Index of the row in the batch.</param>
    /// <param name="value">Receives the value; its buffer is reused if it is large enough.</param>
    /// <exception cref="InvalidOperationException">The column has another type.</exception>
    public abstract void Read<TValue>(int column, int row, ref TValue value);

    /// <summary>Fills a vector, reusing the caller's buffer if it is large enough.</summary>
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
