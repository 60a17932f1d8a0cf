// The `data` of a JSON tensor are either a flat row-major array, or arrays nested according to the shape. The nesting
// depth of the first element tells the two apart; in the nested form every array must have the length of its axis.
using System.Runtime.InteropServices;
using System.Text.Json;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>Reads the <c>data</c> of a JSON tensor.</summary>
internal static class JsonTensorReader
{
    /// <summary>Reads the array at which the reader is positioned, to its end.</summary>
    /// <param name="reader">Positioned at the opening bracket.</param>
    /// <param name="json">The JSON that the reader reads; strings without escapes refer to it and are not
    /// copied.</param>
    /// <param name="name">Name of the input.</param>
    /// <param name="type">Its datatype.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="limits">What is too large.</param>
    /// <exception cref="RequestRefusedException">The data contradict shape or datatype.</exception>
    public static Tensor Read(
        ref Utf8JsonReader reader,
        ReadOnlyMemory<byte> json,
        string name,
        TensorType type,
        long[] shape,
        ProtocolLimits limits
    )
    {
        var count = ShapeRules.Count(shape, type, limits, $"input '{name}'");
        // Each element takes at least one byte of JSON: a larger shape is refused before memory is allocated.
        if (count > json.Length)
            throw Invalid($"input '{name}' has the shape {ShapeRules.Text(shape)}, but fewer elements in its data");
        var walk = new JsonArrayWalk(name, shape, count);
        if (type == TensorType.Bytes)
        {
            var strings = new ReadOnlyMemory<byte>[count];
            while (walk.Next(ref reader))
                strings[walk.Index] = ReadString(ref reader, json, walk);
            return Tensor.OfStrings(name, shape, strings) with { IsText = true };
        }

        var data = new byte[count * type.SizeOf()];
        switch (type)
        {
            case TensorType.Bool:
                Fill<bool>(ref reader, ref walk, type, data);
                break;
            case TensorType.UInt8:
                Fill<byte>(ref reader, ref walk, type, data);
                break;
            case TensorType.UInt16:
                Fill<ushort>(ref reader, ref walk, type, data);
                break;
            case TensorType.UInt32:
                Fill<uint>(ref reader, ref walk, type, data);
                break;
            case TensorType.UInt64:
                Fill<ulong>(ref reader, ref walk, type, data);
                break;
            case TensorType.Int8:
                Fill<sbyte>(ref reader, ref walk, type, data);
                break;
            case TensorType.Int16:
                Fill<short>(ref reader, ref walk, type, data);
                break;
            case TensorType.Int32:
                Fill<int>(ref reader, ref walk, type, data);
                break;
            case TensorType.Int64:
                Fill<long>(ref reader, ref walk, type, data);
                break;
            case TensorType.FP16:
                Fill<Half>(ref reader, ref walk, type, data);
                break;
            case TensorType.BF16:
                Fill<BFloat16Bits>(ref reader, ref walk, type, data);
                break;
            case TensorType.FP32:
                Fill<float>(ref reader, ref walk, type, data);
                break;
            default:
                Fill<double>(ref reader, ref walk, type, data);
                break;
        }

        return new Tensor(name, type, shape) { Data = data };
    }

    /// <summary>Reads all elements of one datatype.</summary>
    /// <param name="reader">Positioned at the array.</param>
    /// <param name="walk">Iterates over the elements, and refuses data that do not fit the shape.</param>
    /// <param name="type">The datatype, for error messages.</param>
    /// <param name="data">Receives the elements; its length fits the shape.</param>
    /// <exception cref="RequestRefusedException">An element is not a value of the datatype.</exception>
    private static void Fill<T>(ref Utf8JsonReader reader, ref JsonArrayWalk walk, TensorType type, byte[] data)
        where T : unmanaged
    {
        var target = MemoryMarshal.Cast<byte, T>(data.AsSpan());
        while (walk.Next(ref reader))
        {
            if (!TryRead(ref reader, out target[walk.Index]))
                throw Invalid($"{walk.Place}: {Shown(ref reader)} is not a valid {type.NameOf()}");
        }
    }

    /// <summary>
    /// Reads the element at which the reader is positioned; returns false if it is not a value of the datatype.
    /// </summary>
    private static bool TryRead<T>(ref Utf8JsonReader reader, out T value)
        where T : unmanaged
    {
        value = default;
        if (typeof(T) == typeof(bool))
        {
            if (reader.TokenType is not (JsonTokenType.True or JsonTokenType.False))
                return false;
            value = (T)(object)(reader.TokenType == JsonTokenType.True);
            return true;
        }

        if (reader.TokenType != JsonTokenType.Number)
            return false;
        if (typeof(T) == typeof(float))
        {
            var read = reader.TryGetSingle(out var single) && float.IsFinite(single);
            value = (T)(object)single;
            return read;
        }

        if (typeof(T) == typeof(double) || typeof(T) == typeof(Half) || typeof(T) == typeof(BFloat16Bits))
            return TryReadFloating(ref reader, out value);
        return TryReadInteger(ref reader, out value);
    }

    /// <summary>
    /// Reads a number of a floating-point datatype; returns false if it is too large for the datatype.
    /// </summary>
    private static bool TryReadFloating<T>(ref Utf8JsonReader reader, out T value)
        where T : unmanaged
    {
        value = default;
        if (!reader.TryGetDouble(out var number) || !double.IsFinite(number))
            return false;
        if (typeof(T) == typeof(double))
        {
            value = (T)(object)number;
            return true;
        }

        if (typeof(T) == typeof(Half))
        {
            var half = (Half)number;
            value = (T)(object)half;
            return Half.IsFinite(half);
        }

        var bits = BFloat16Bits.From((float)number);
        value = (T)(object)bits;
        return float.IsFinite(bits.ToSingle());
    }

    /// <summary>Reads an integer; returns false if it is outside the range of the datatype.</summary>
    private static bool TryReadInteger<T>(ref Utf8JsonReader reader, out T value)
        where T : unmanaged
    {
        value = default;
        if (typeof(T) == typeof(ulong))
        {
            var read =
                reader.TryGetUInt64(out var unsigned)
                || (TryGetWhole(ref reader, out var whole) && whole >= 0 && (unsigned = (ulong)whole) >= 0);
            value = (T)(object)unsigned;
            return read;
        }

        if (!reader.TryGetInt64(out var number) && !TryGetWhole(ref reader, out number))
            return false;
        if (typeof(T) == typeof(long))
            value = (T)(object)number;
        else if (typeof(T) == typeof(int) && number is >= int.MinValue and <= int.MaxValue)
            value = (T)(object)(int)number;
        else if (typeof(T) == typeof(uint) && number is >= 0 and <= uint.MaxValue)
            value = (T)(object)(uint)number;
        else if (typeof(T) == typeof(short) && number is >= short.MinValue and <= short.MaxValue)
            value = (T)(object)(short)number;
        else if (typeof(T) == typeof(ushort) && number is >= 0 and <= ushort.MaxValue)
            value = (T)(object)(ushort)number;
        else if (typeof(T) == typeof(sbyte) && number is >= sbyte.MinValue and <= sbyte.MaxValue)
            value = (T)(object)(sbyte)number;
        else if (typeof(T) == typeof(byte) && number is >= 0 and <= byte.MaxValue)
            value = (T)(object)(byte)number;
        else
            return false;
        return true;
    }

    /// <summary>
    /// Reads an integer that is written as <c>2.0</c> or <c>1e3</c>, up to 2^53, where a double is exact.
    /// </summary>
    /// <param name="reader">Positioned at the number.</param>
    /// <param name="number">Receives the integer.</param>
    private static bool TryGetWhole(ref Utf8JsonReader reader, out long number)
    {
        var read = reader.TryGetDouble(out var real) && Math.Floor(real) == real && Math.Abs(real) <= 1L << 53;
        number = read ? (long)real : 0;
        return read;
    }

    /// <summary>The bytes of a string, copied only if it contains escapes.</summary>
    /// <param name="reader">Positioned at the string.</param>
    /// <param name="json">The JSON that the reader reads; the result refers to it if it contains no escapes.</param>
    /// <param name="walk">Describes the element, for error messages.</param>
    /// <exception cref="RequestRefusedException">The element is not a string, or is not valid UTF-8.</exception>
    private static ReadOnlyMemory<byte> ReadString(
        ref Utf8JsonReader reader,
        ReadOnlyMemory<byte> json,
        JsonArrayWalk walk
    )
    {
        if (reader.TokenType != JsonTokenType.String)
            throw Invalid($"{walk.Place}: {Shown(ref reader)} is not a string");
        // GetString below throws on invalid UTF-8.
        if (!reader.ValueIsEscaped)
        {
            var plain = json.Slice((int)reader.TokenStartIndex + 1, reader.ValueSpan.Length);
            if (System.Text.Unicode.Utf8.IsValid(plain.Span))
                return plain;
        }

        return System.Text.Encoding.UTF8.GetBytes(reader.GetString()!);
    }

    /// <summary>A token for an error message: shortened, and only ASCII.</summary>
    /// <param name="reader">Positioned at the value.</param>
    private static string Shown(ref Utf8JsonReader reader)
    {
        const int most = 24;
        if (reader.TokenType == JsonTokenType.String)
            return "a string";
        var text = System.Text.Encoding.ASCII.GetString(reader.ValueSpan[..Math.Min(most, reader.ValueSpan.Length)]);
        return reader.ValueSpan.Length > most ? $"{text}…" : text;
    }
}
