// The protocol's classification extension: instead of all values of an output, the reply holds the k largest ones as
// BYTES "value:index" or "value:index:label", largest first; for each row if axis 0 is the batch axis. Floats are
// written with six decimals, as by C's %f; integers are written in full.
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>Converts scores to the classes with the highest scores.</summary>
internal static class Classification
{
    /// <summary>The classes with the highest scores of each row.</summary>
    /// <param name="scores">An output that holds numbers.</param>
    /// <param name="classes">How many classes to return per row; all of them if there are fewer.</param>
    /// <param name="labels">Names of the classes; empty if the model has none.</param>
    /// <param name="isBatched">Whether axis 0 is the batch axis.</param>
    /// <returns>A BYTES tensor [rows, classes], or [classes] if axis 0 is not the batch axis.</returns>
    /// <exception cref="RequestRefusedException">The output holds no numbers.</exception>
    public static Tensor Of(Tensor scores, int classes, IReadOnlyList<string> labels, bool isBatched)
    {
        var values = Numbers(scores);
        var rows = isBatched && scores.Shape.Length > 0 ? scores.Shape[0] : 1;
        var width = rows == 0 ? 0 : (int)(values.Length / rows);
        var count = Math.Min(classes, width);
        var strings = new List<ReadOnlyMemory<byte>>();
        for (var row = 0; row < rows; row++)
        {
            var start = row * width;
            // The sort is stable, so equal scores keep their order. double's ordering puts NaN last.
            foreach (var index in Enumerable.Range(0, width).OrderByDescending(i => values[start + i]).Take(count))
                strings.Add(Encoding.UTF8.GetBytes(Text(values[start + index], index, labels, IsWhole(scores.Type))));
        }

        return Tensor.OfStrings(scores.Name, isBatched && scores.Shape.Length > 0 ? [rows, count] : [count], strings);
    }

    /// <summary>The elements of a tensor as doubles.</summary>
    /// <param name="tensor">A tensor of any datatype except BYTES and BOOL.</param>
    public static double[] Numbers(Tensor tensor)
    {
        var data = tensor.Data.Span;
        return tensor.Type switch
        {
            TensorType.FP32 => Convert<float>(data, item => item),
            TensorType.FP64 => Convert<double>(data, item => item),
            TensorType.FP16 => Convert<Half>(data, item => (double)item),
            TensorType.BF16 => Convert<BFloat16Bits>(data, item => item.ToSingle()),
            TensorType.UInt8 => Convert<byte>(data, item => item),
            TensorType.UInt16 => Convert<ushort>(data, item => item),
            TensorType.UInt32 => Convert<uint>(data, item => item),
            TensorType.UInt64 => Convert<ulong>(data, item => item),
            TensorType.Int8 => Convert<sbyte>(data, item => item),
            TensorType.Int16 => Convert<short>(data, item => item),
            TensorType.Int32 => Convert<int>(data, item => item),
            TensorType.Int64 => Convert<long>(data, item => item),
            _ => throw Invalid($"output '{tensor.Name}' is {tensor.Type.NameOf()}; classification needs numbers"),
        };
    }

    /// <summary>
    /// Converts elements one by one. 64-bit integers beyond 2^53 lose their last digits, which is acceptable for a
    /// ranking.
    /// </summary>
    /// <param name="data">The elements' bytes.</param>
    /// <param name="convert">Converts one element to a double.</param>
    private static double[] Convert<T>(ReadOnlySpan<byte> data, Func<T, double> convert)
        where T : unmanaged
    {
        var items = MemoryMarshal.Cast<byte, T>(data);
        var numbers = new double[items.Length];
        for (var index = 0; index < numbers.Length; index++)
            numbers[index] = convert(items[index]);
        return numbers;
    }

    /// <summary>Whether a datatype is an integer type.</summary>
    /// <param name="type">The datatype of the output.</param>
    private static bool IsWhole(TensorType type) =>
        type is not (TensorType.FP16 or TensorType.BF16 or TensorType.FP32 or TensorType.FP64);

    /// <summary>
    /// Formats a class as <c>value:index</c>, or <c>value:index:label</c> if the class has a label.
    /// </summary>
    /// <param name="value">The score.</param>
    /// <param name="index">Index of the class.</param>
    /// <param name="labels">Labels of the classes; there may be fewer labels than classes.</param>
    /// <param name="isWhole">Whether the score is an integer.</param>
    private static string Text(double value, int index, IReadOnlyList<string> labels, bool isWhole)
    {
        var number = value.ToString(isWhole ? "F0" : "F6", CultureInfo.InvariantCulture);
        return index < labels.Count
            ? string.Create(CultureInfo.InvariantCulture, $"{number}:{index}:{labels[index]}")
            : string.Create(CultureInfo.InvariantCulture, $"{number}:{index}");
    }
}
