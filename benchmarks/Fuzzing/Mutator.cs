using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace TorchBridge.Benchmarks.Fuzzing;

/// <summary>Makes bad inputs from good ones: changes bits, bytes and sizes, and removes, duplicates or replaces
/// parts.</summary>
internal static partial class Mutator
{
    private const int LargestInput = 1 << 22;

    // csharpier-ignore
    private static readonly long[] Interesting =
    [
        0, 1, -1, 2, 7, 8, 16, 63, 64, 127, 128, 255, 256, 1023, 4095, 32767, 32768, 65535, 65536, 1 << 20,
        int.MaxValue, int.MinValue, uint.MaxValue, 1L << 32, 1L << 40, long.MaxValue, long.MinValue
    ];

    private static readonly string[] Texts =
    [
        "0",
        "-1",
        "1",
        "99999999999",
        "9223372036854775808",
        "1e309",
        "-1e309",
        "1e-320",
        "0.5",
        "\"NaN\"",
        "\"Infinity\"",
        "\"-Infinity\"",
        "null",
        "true",
        "false",
        "\"\"",
        "[]",
        "{}",
        "[null]",
        "\"\\u0000\"",
        "[[[[[[[[[[]]]]]]]]]]",
    ];

    /// <summary>Makes a mutant of a random input of the corpus.</summary>
    public static byte[] Mutate(Random random, IReadOnlyList<byte[]> corpus, bool isText)
    {
        var input = corpus[random.Next(corpus.Count)].ToList();
        for (var steps = 1 + random.Next(1 << random.Next(3)); steps > 0; steps--)
        {
            if (isText && random.Next(3) > 0)
                input = [.. ChangeText(random, input)];
            else
                Change(random, input, corpus);
        }

        return [.. input.Take(LargestInput)];
    }

    private static void Change(Random random, List<byte> input, IReadOnlyList<byte[]> corpus)
    {
        if (input.Count == 0)
        {
            input.Add((byte)random.Next(256));
            return;
        }

        var at = random.Next(input.Count);
        var length = Math.Min(input.Count - at, 1 + random.Next(1 << random.Next(12)));
        switch (random.Next(10))
        {
            case 0:
                input[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1:
                input[at] = (byte)random.Next(256);
                break;
            case 2:
                Overwrite(input, at, Number(random));
                break;
            case 3:
                input.InsertRange(at, Number(random));
                break;
            case 4:
                input.InsertRange(at, Varint(Interesting[random.Next(Interesting.Length)]));
                break;
            case 5:
                input.RemoveRange(at, length);
                break;
            case 6:
                input.RemoveRange(at, input.Count - at);
                break;
            case 7:
                input.InsertRange(at, input.GetRange(at, length));
                break;
            case 8:
                Overwrite(input, at, Varint(Interesting[random.Next(Interesting.Length)]));
                break;
            default:
                var other = corpus[random.Next(corpus.Count)];
                if (other.Length == 0)
                    return;
                var from = random.Next(other.Length);
                Overwrite(input, at, other.AsSpan(from, Math.Min(other.Length - from, length)).ToArray());
                break;
        }
    }

    private static byte[] Number(Random random)
    {
        var bytes = new byte[8];
        var value = Interesting[random.Next(Interesting.Length)];
        if (random.Next(2) == 0)
            BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        else
            BinaryPrimitives.WriteInt64BigEndian(bytes, value);
        var size = 1 << random.Next(4);
        return random.Next(2) == 0 ? bytes[..size] : bytes[^size..];
    }

    private static byte[] Varint(long value)
    {
        var bytes = new List<byte>();
        var rest = (ulong)value;
        for (; rest > 127; rest >>= 7)
            bytes.Add((byte)(rest | 128));
        bytes.Add((byte)rest);
        return [.. bytes];
    }

    private static void Overwrite(List<byte> input, int at, byte[] bytes)
    {
        for (var i = 0; i < bytes.Length && at + i < input.Count; i++)
            input[at + i] = bytes[i];
    }

    /// <summary>Replaces a number, a string or a literal of JSON by another value.</summary>
    private static byte[] ChangeText(Random random, List<byte> input)
    {
        var text = Encoding.UTF8.GetString([.. input]);
        var values = Values().Matches(text);
        if (values.Count == 0)
            return [.. input];
        var place = values[random.Next(values.Count)];
        var value =
            random.Next(4) == 0
                ? Interesting[random.Next(Interesting.Length)].ToString(CultureInfo.InvariantCulture)
                : Texts[random.Next(Texts.Length)];
        return Encoding.UTF8.GetBytes(
            string.Concat(text.AsSpan(0, place.Index), value, text.AsSpan(place.Index + place.Length))
        );
    }

    [GeneratedRegex(
        """-?\d+(\.\d+)?([eE][-+]?\d+)?|"(?:[^"\\]|\\.)*"|true|false|null""",
        RegexOptions.CultureInvariant
    )]
    private static partial Regex Values();
}
