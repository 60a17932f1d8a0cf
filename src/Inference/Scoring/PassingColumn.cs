// Pass-through columns. A batch is read ahead of its reader, so the requested values of the other columns are kept,
// one per row. Ownership follows ML.NET's getter protocol: a getter may reuse or dispose the value that its caller
// passes. So vectors are copied, sequences are enumerated while their row is current, and a picture that the reader
// no longer needs is returned to its source.
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Scoring;

/// <summary>The values of one column, one per row of the batch.</summary>
internal abstract class PassingColumn
{
    private static readonly MethodInfo MakeMethod = typeof(PassingColumn).GetMethod(
        nameof(Make),
        BindingFlags.NonPublic | BindingFlags.Static
    )!;
    private static readonly MethodInfo MakeOwnedMethod = typeof(PassingColumn).GetMethod(
        nameof(MakeOwned),
        BindingFlags.NonPublic | BindingFlags.Static
    )!;
    private static readonly MethodInfo MakeVectorMethod = typeof(PassingColumn).GetMethod(
        nameof(MakeVector),
        BindingFlags.NonPublic | BindingFlags.Static
    )!;
    private static readonly MethodInfo MakeSequenceMethod = typeof(PassingColumn).GetMethod(
        nameof(MakeSequence),
        BindingFlags.NonPublic | BindingFlags.Static
    )!;

    /// <summary>Approximate size of the value read last, in bytes.</summary>
    public abstract long Bytes { get; }

    /// <summary>Creates a pass-through column for the type of a column.</summary>
    /// <param name="row">The row or cursor to read from.</param>
    /// <param name="column">The column.</param>
    /// <returns>A column that keeps values by the rules of their type: vectors are copied, sequences are enumerated,
    /// pictures change owner.</returns>
    public static PassingColumn Of(DataViewRow row, DataViewSchema.Column column)
    {
        var type = column.Type.RawType;
        var generic = type.IsGenericType ? type.GetGenericTypeDefinition() : null;
        MethodInfo method;
        if (generic == typeof(VBuffer<>))
            method = MakeVectorMethod.MakeGenericMethod(type.GetGenericArguments());
        else if (generic == typeof(IEnumerable<>))
            method = MakeSequenceMethod.MakeGenericMethod(type.GetGenericArguments());
        else if (typeof(IDisposable).IsAssignableFrom(type) && type.IsClass)
            method = MakeOwnedMethod.MakeGenericMethod(type);
        else
            method = MakeMethod.MakeGenericMethod(type);
        return (PassingColumn)method.Invoke(null, BindingFlags.DoNotWrapExceptions, null, [row, column], null)!;
    }

    /// <summary>Reads the value of the cursor's current row. An error is kept with the value and thrown only if the
    /// value is read.</summary>
    /// <param name="slot">Index of the row in the batch.</param>
    public abstract void Read(int slot);

    /// <summary>Creates a getter for the row that <paramref name="slot"/> returns.</summary>
    /// <typeparam name="TValue">Type requested by the reader, which must be the column's type.</typeparam>
    /// <param name="slot">Returns the index of the row in the batch.</param>
    /// <exception cref="InvalidOperationException">The column has another type.</exception>
    public abstract ValueGetter<TValue> Getter<TValue>(Func<int> slot);

    private static Column<T> Make<T>(DataViewRow row, DataViewSchema.Column column) => new(row.GetGetter<T>(column));

    private static OwnedColumn<T> MakeOwned<T>(DataViewRow row, DataViewSchema.Column column)
        where T : class, IDisposable => new(row.GetGetter<T>(column));

    private static VectorColumn<T> MakeVector<T>(DataViewRow row, DataViewSchema.Column column) =>
        new(row.GetGetter<VBuffer<T>>(column));

    private static SequenceColumn<T> MakeSequence<T>(DataViewRow row, DataViewSchema.Column column) =>
        new(row.GetGetter<IEnumerable<T>>(column));

    /// <summary>Values that can be copied directly: numbers, text, ids.</summary>
    private class Column<T>(ValueGetter<T> source) : PassingColumn
    {
        private T[] values = [];
        private Exception?[] errors = [];

        public override long Bytes => 0;

        public override void Read(int slot)
        {
            if (slot >= values.Length)
                Grow(Math.Max(slot + 1, 2 * values.Length));
            errors[slot] = null;
            try
            {
                source(ref values[slot]);
                Keep(slot, ref values[slot]);
            }
            catch (Exception error)
            {
                errors[slot] = error;
            }
        }

        public override ValueGetter<TValue> Getter<TValue>(Func<int> slot)
        {
            ValueGetter<T> getter = (ref T value) =>
            {
                var at = slot();
                if (errors[at] is { } error)
                    ExceptionDispatchInfo.Throw(error);
                Give(at, ref values[at], ref value);
            };
            return getter as ValueGetter<TValue>
                ?? throw new InvalidOperationException(
                    $"the column has the type {typeof(T)}, but {typeof(TValue)} was requested"
                );
        }

        protected virtual void Grow(int size)
        {
            Array.Resize(ref values, size);
            Array.Resize(ref errors, size);
        }

        protected virtual void Keep(int slot, ref T value) { }

        protected virtual void Give(int slot, ref T kept, ref T value) => value = kept;
    }

    /// <summary>Vectors: their buffers are copied, so that the reader may modify its own.</summary>
    private sealed class VectorColumn<T>(ValueGetter<VBuffer<T>> source) : Column<VBuffer<T>>(source)
    {
        private long bytes;

        public override long Bytes => bytes;

        protected override void Keep(int slot, ref VBuffer<T> value) =>
            bytes = (long)value.GetValues().Length * Unsafe.SizeOf<T>();

        protected override void Give(int slot, ref VBuffer<T> kept, ref VBuffer<T> value) => kept.CopyTo(ref value);
    }

    /// <summary>Sequences, enumerated while their row is current.</summary>
    private sealed class SequenceColumn<T>(ValueGetter<IEnumerable<T>> source) : Column<IEnumerable<T>>(source)
    {
        protected override void Keep(int slot, ref IEnumerable<T> value) => value = value is null ? null! : [.. value];
    }

    /// <summary>
    /// Disposable objects, mainly pictures: passed to the reader and back to the source.
    /// </summary>
    private sealed class OwnedColumn<T>(ValueGetter<T> source) : Column<T>(source)
        where T : class, IDisposable
    {
        private T?[] given = [];
        private long bytes;

        public override long Bytes => bytes;

        protected override void Grow(int size)
        {
            base.Grow(size);
            Array.Resize(ref given, size);
        }

        protected override void Keep(int slot, ref T value)
        {
            given[slot] = null;
            bytes = value is MLImage picture ? 4L * picture.Width * picture.Height : 0;
        }

        /// <summary>Returns the reader's last picture to the source, which disposes or reuses it for a later row, as
        /// it would without this column.</summary>
        protected override void Give(int slot, ref T kept, ref T value)
        {
            if (given[slot] is null)
            {
                given[slot] = kept;
                kept = value;
            }

            value = given[slot]!;
        }
    }
}
