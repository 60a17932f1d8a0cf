// The classification extension: instead of values an output's k largest, as BYTES "value:index" or
// "value:index:label", largest first, of every row where axis 0 is a batch. Values are written with six decimals, as
// C's %f, integers as they are.
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>Turns scores into the classes that they are of.</summary>
internal static class Classification
{
    /// <summary>The most probable classes of each row.</summary>
    /// <param name="scores">An output of numbers.</param>
    /// <param name="classes">How many are wanted; fewer where there are fewer.</param>
    /// <param name="labels">Names of the classes; empty where the model has none.</param>
    /// <param name="isBatched">Whether axis 0 is a batch.</param>
    /// <returns>BYTES [rows, classes], or [classes] where axis 0 is no batch.</returns>
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
            // A stable sort: of equals the first. NaN is the least of all, as double's order has it.
            foreach (var index in Enumerable.Range(0, width).OrderByDescending(i => values[start + i]).Take(count))
                strings.Add(Encoding.UTF8.GetBytes(Text(values[start + index], index, labels, IsWhole(scores.Type))));
        }

        return Tensor.OfStrings(scores.Name, isBatched && scores.Shape.Length > 0 ? [rows, count] : [count], strings);
    }

    /// <summary>The elements of a tensor as doubles.</summary>
    /// <param name="tensor">Of any datatype but BYTES and BOOL.</param>
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
            _ => throw Invalid($"output '{tensor.Name}' is {tensor.Type.NameOf()}; classes are found in numbers"),
        };
    }

    /// <summary>
    /// Converts elements one by one; 64-bit integers beyond 2^53 lose their last digits, which a ranking bears.
    /// </summary>
    /// <param name="data">Elements of the type, one behind the other.</param>
    /// <param name="convert">Makes a number of one.</param>
    private static double[] Convert<T>(ReadOnlySpan<byte> data, Func<T, double> convert)
        where T : unmanaged
    {
        var items = MemoryMarshal.Cast<byte, T>(data);
        var numbers = new double[items.Length];
        for (var index = 0; index < numbers.Length; index++)
            numbers[index] = convert(items[index]);
        return numbers;
    }

    /// <summary>Whether a datatype has no fractions.</summary>
    /// <param name="type">Of the output.</param>
    private static bool IsWhole(TensorType type) =>
        type is not (TensorType.FP16 or TensorType.BF16 or TensorType.FP32 or TensorType.FP64);

    /// <summary><c>value:index</c>, with the label behind it where the class has one.</summary>
    /// <param name="value">The score.</param>
    /// <param name="index">Of the class.</param>
    /// <param name="labels">Names, perhaps fewer than classes.</param>
    /// <param name="isWhole">Whether the score is an integer.</param>
    private static string Text(double value, int index, IReadOnlyList<string> labels, bool isWhole)
    {
        var number = value.ToString(isWhole ? "F0" : "F6", CultureInfo.InvariantCulture);
        return index < labels.Count
            ? string.Create(CultureInfo.InvariantCulture, $"{number}:{index}:{labels[index]}")
            : string.Create(CultureInfo.InvariantCulture, $"{number}:{index}");
    }
}
