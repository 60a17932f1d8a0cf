using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;

namespace TorchBridge.Inference.Scoring;

/// <summary>
/// Rows of one input column, stored contiguously in one array for a tensor.
/// </summary>
internal abstract class InputBuffer
{
    /// <summary>Whether the row just read has the same length as the kept rows.</summary>
    public abstract bool Fits { get; }

    /// <summary>Reads the cursor's current row.</summary>
    /// <exception cref="InvalidOperationException">The row's length does not match the model's input.</exception>
    public abstract void Read();

    /// <summary>Keeps the row that was read.</summary>
    public abstract void Keep();

    /// <summary>Discards the kept rows.</summary>
    public abstract void Clear();

    /// <summary>Returns some of the kept rows as a tensor.</summary>
    /// <param name="start">First row.</param>
    /// <param name="rows">Number of rows.</param>
    /// <returns>A tensor over the buffer's own memory; the caller disposes it before more rows are read.</returns>
    public abstract OrtValue ToOrt(int start, int rows);

    /// <summary>
    /// Creates a buffer for the type of a column; null if rows of this type cannot be batched.
    /// </summary>
    /// <param name="row">The row or cursor to read from.</param>
    /// <param name="column">The column.</param>
    /// <param name="dimensions">Shape of the model's input, the batch first; free axes are 0 or below.</param>
    public static InputBuffer? For(DataViewRow row, DataViewSchema.Column column, int[] dimensions)
    {
        var vector = column.Type as VectorDataViewType;
        var type = vector?.ItemType.RawType ?? column.Type.RawType;
        if (type == typeof(float))
            return Make<float>();
        if (type == typeof(double))
            return Make<double>();
        if (type == typeof(long))
            return Make<long>();
        if (type == typeof(int))
            return Make<int>();
        if (type == typeof(short))
            return Make<short>();
        if (type == typeof(sbyte))
            return Make<sbyte>();
        if (type == typeof(ulong))
            return Make<ulong>();
        if (type == typeof(uint))
            return Make<uint>();
        if (type == typeof(ushort))
            return Make<ushort>();
        if (type == typeof(byte))
            return Make<byte>();
        if (type == typeof(bool))
            return Make<bool>();
        return type == typeof(ReadOnlyMemory<char>)
            ? new TextBuffer(row, column, dimensions, vector is not null)
            : null;

        InputBuffer Make<T>()
            where T : unmanaged => new NumberBuffer<T>(row, column, dimensions, vector is not null);
    }

    /// <summary>Numbers and booleans: the tensor uses the array's memory.</summary>
    private sealed class NumberBuffer<T>(DataViewRow row, DataViewSchema.Column column, int[] dimensions, bool isVector)
        : InputBuffer<T>(row, column, dimensions, isVector)
        where T : unmanaged
    {
        protected override OrtValue ToOrt(Memory<T> values, long[] shape) =>
            OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, values, shape);
    }

    /// <summary>
    /// Text: ONNX Runtime stores strings in its own format, so they are copied.
    /// </summary>
    private sealed class TextBuffer(DataViewRow row, DataViewSchema.Column column, int[] dimensions, bool isVector)
        : InputBuffer<ReadOnlyMemory<char>>(row, column, dimensions, isVector)
    {
        protected override OrtValue ToOrt(Memory<ReadOnlyMemory<char>> values, long[] shape)
        {
            var tensor = OrtValue.CreateTensorWithEmptyStrings(OrtAllocator.DefaultInstance, shape);
            for (var index = 0; index < values.Length; index++)
                tensor.StringTensorSetElementAt(values.Span[index].Span, index);
            return tensor;
        }
    }
}

/// <summary>Rows of one input column, of one element type.</summary>
internal abstract class InputBuffer<T> : InputBuffer
{
    private readonly string name;
    private readonly int[] dimensions;
    private readonly Action read;
    private T[] kept = [];
    private int keptCount;
    private T[] current = [];
    private int length;
    private int keptLength;

    /// <summary>Prepares to read a column of single values or of vectors.</summary>
    protected InputBuffer(DataViewRow row, DataViewSchema.Column column, int[] dimensions, bool isVector)
    {
        name = column.Name;
        this.dimensions = dimensions;
        if (isVector)
        {
            var getter = row.GetGetter<VBuffer<T>>(column);
            VBuffer<T> vector = default;
            read = () =>
            {
                getter(ref vector);
                if (current.Length < vector.Length)
                    current = new T[vector.Length];
                vector.CopyTo(current);
                length = vector.Length;
            };
        }
        else
        {
            var getter = row.GetGetter<T>(column);
            current = new T[1];
            length = 1;
            read = () => getter(ref current[0]);
        }
    }

    public override bool Fits => length == keptLength;

    public override void Read()
    {
        read();
        Shape(1, length); // a wrong length is an error of this row, not of its batch
    }

    public override void Keep()
    {
        var need = keptCount + (long)length;
        if (need > Array.MaxLength)
            throw new InvalidOperationException(
                $"the rows of '{name}' exceed the size of an array; set a smaller batchSize"
            );
        if (need > kept.Length)
            Array.Resize(ref kept, (int)Math.Min(Math.Max(need, 2L * kept.Length), Array.MaxLength));
        current.AsSpan(0, length).CopyTo(kept.AsSpan(keptCount));
        keptCount += length;
        keptLength = length;
    }

    public override void Clear() => keptCount = 0;

    public override OrtValue ToOrt(int start, int rows) =>
        ToOrt(kept.AsMemory(start * keptLength, rows * keptLength), Shape(rows, keptLength));

    /// <summary>Creates a tensor from some elements.</summary>
    protected abstract OrtValue ToOrt(Memory<T> values, long[] shape);

    /// <summary>
    /// The tensor's shape; a free axis besides the batch gets its size from the row's length.
    /// </summary>
    private long[] Shape(int rows, int rowLength)
    {
        var known = dimensions.Skip(1).Where(size => size > 0).Aggregate(1L, (product, size) => product * size);
        var free = dimensions.Skip(1).Count(size => size <= 0);
        if (known == 0 || rowLength % known != 0 || (free == 0 && rowLength != known))
            throw new InvalidOperationException(
                $"the column '{name}' has {rowLength} values in a row, but the model's input is "
                    + $"[{string.Join(", ", dimensions.Select(size => size > 0 ? $"{size}" : "N"))}]"
            );
        return [rows, .. dimensions.Skip(1).Select(size => size > 0 ? size : rowLength / known)];
    }
}
