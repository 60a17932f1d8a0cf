using System.Runtime.CompilerServices;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace TorchBridge.Inference.Scoring;

/// <summary>One output of some rows, copied from native memory.</summary>
internal abstract class OutputRows
{
    /// <summary>Reads a row's value.</summary>
    /// <typeparam name="TValue">Type requested by the reader.</typeparam>
    /// <param name="row">The row.</param>
    /// <param name="value">Receives the value.</param>
    /// <exception cref="InvalidOperationException">The column has another type.</exception>
    public abstract void Read<TValue>(int row, ref TValue value);

    /// <summary>Appends the rows of other parts of the same output.</summary>
    /// <param name="others">The same output of the following parts, in order.</param>
    public abstract OutputRows With(IEnumerable<OutputRows> others);

    /// <summary>Whether a row equals the result of another run up to rounding.</summary>
    /// <param name="row">Row of this output.</param>
    /// <param name="other">Another run's output.</param>
    /// <param name="otherRow">Row of the other output.</param>
    public abstract bool Agrees(int row, OutputRows other, int otherRow);

    /// <summary>Copies an output. Returns null if axis 0 is not the batch; a single row may have any shape.</summary>
    /// <param name="value">The model's output.</param>
    /// <param name="rows">Number of input rows.</param>
    /// <param name="name">Name of the output, for error messages.</param>
    /// <exception cref="NotSupportedException">ML.NET has no type for the output.</exception>
    public static OutputRows? Of(OrtValue value, int rows, string name)
    {
        var info = value.GetTensorTypeAndShape();
        if (rows > 1 && (info.Shape.Length == 0 || info.Shape[0] != rows))
            return null;
        var width = (int)(info.ElementCount / rows);
        return info.ElementDataType switch
        {
            TensorElementType.Float => Copy<float>(value, width),
            TensorElementType.Double => Copy<double>(value, width),
            TensorElementType.Int64 => Copy<long>(value, width),
            TensorElementType.Int32 => Copy<int>(value, width),
            TensorElementType.Int16 => Copy<short>(value, width),
            TensorElementType.Int8 => Copy<sbyte>(value, width),
            TensorElementType.UInt64 => Copy<ulong>(value, width),
            TensorElementType.UInt32 => Copy<uint>(value, width),
            TensorElementType.UInt16 => Copy<ushort>(value, width),
            TensorElementType.UInt8 => Copy<byte>(value, width),
            TensorElementType.Bool => Copy<bool>(value, width),
            TensorElementType.String => new OutputRows<ReadOnlyMemory<char>>(
                [.. value.GetStringTensorAsArray().Select(text => text.AsMemory())],
                width
            ),
            var other => throw new NotSupportedException(
                $"the output '{name}' has the element type {other}; ML.NET supports float, double, integers, "
                    + $"bool and text"
            ),
        };
    }

    /// <summary>Copies the elements of a tensor of numbers.</summary>
    private static OutputRows<T> Copy<T>(OrtValue value, int width)
        where T : unmanaged => new(value.GetTensorDataAsSpan<T>().ToArray(), width);
}

/// <summary>One output of some rows, with its elements row by row.</summary>
internal sealed class OutputRows<T>(T[] values, int width) : OutputRows
{
    /// <summary>Tolerance between two runs, relative to a row's largest value: float32 sums of deep networks in
    /// another order differ by about 1e-5.</summary>
    private const double Rounding = 1e-4;

    private readonly T[] own = values;
    private readonly int ownWidth = width;

    public override OutputRows With(IEnumerable<OutputRows> others) =>
        new OutputRows<T>([.. own, .. others.Cast<OutputRows<T>>().SelectMany(other => other.own)], ownWidth);

    public override bool Agrees(int row, OutputRows other, int otherRow)
    {
        if (other is not OutputRows<T> same || same.ownWidth != ownWidth)
            return false;
        var ours = own.AsSpan(row * ownWidth, ownWidth);
        var theirs = same.own.AsSpan(otherRow * ownWidth, ownWidth);
        if (typeof(T) == typeof(float))
            return Close(ours, theirs, value => Unsafe.As<T, float>(ref value));
        if (typeof(T) == typeof(double))
            return Close(ours, theirs, value => Unsafe.As<T, double>(ref value));
        for (var index = 0; index < ownWidth; index++)
        {
            if (
                typeof(T) == typeof(ReadOnlyMemory<char>)
                    ? ours[index]!.ToString() != theirs[index]!.ToString()
                    : !EqualityComparer<T>.Default.Equals(ours[index], theirs[index])
            )
                return false;
        }

        return true;
    }

    public override void Read<TValue>(int row, ref TValue value)
    {
        if (typeof(TValue) == typeof(VBuffer<T>))
        {
            ScoredBatch.Fill<T>(own.AsSpan(row * ownWidth, ownWidth), ref Unsafe.As<TValue, VBuffer<T>>(ref value));
        }
        else if (typeof(TValue) == typeof(T) && ownWidth == 1)
        {
            Unsafe.As<TValue, T>(ref value) = own[row];
        }
        else if (typeof(TValue) == typeof(T))
        {
            // The column has the type that the file declares for the output, but the model computes another one.
            throw new InvalidDataException(
                $"the model declares an output with one value per row but returns {ownWidth}: the declaration in "
                    + $"the file is wrong. Export the model again"
            );
        }
        else
        {
            throw new InvalidOperationException(
                $"the column has {ownWidth} values of type {typeof(T).Name} per row, but {typeof(TValue)} was "
                    + $"requested"
            );
        }
    }

    /// <summary>
    /// Whether two rows of numbers are equal up to rounding, relative to the largest expected value. NaN only equals
    /// NaN.
    /// </summary>
    private static bool Close(ReadOnlySpan<T> ours, ReadOnlySpan<T> theirs, Func<T, double> number)
    {
        double largest = 0;
        foreach (var value in theirs)
        {
            var magnitude = Math.Abs(number(value));
            if (double.IsFinite(magnitude))
                largest = Math.Max(largest, magnitude);
        }

        for (var index = 0; index < ours.Length; index++)
        {
            if (
                !(
                    Onnx.Compare.ArrayComparison.Difference(number(ours[index]), number(theirs[index]))
                    <= Rounding * largest
                )
            )
                return false;
        }

        return true;
    }
}
