// In protobuf's wire format, a field begins with a varint (field number << 3 | wire type). Depending on the wire type
// it is followed by a varint, by 8 bytes, by a length and as many bytes, or by 4 bytes.
namespace TorchBridge.Serving.Runtime;

/// <summary>Reads the fields of a protobuf message one by one.</summary>
/// <param name="message">The message's bytes.</param>
internal ref struct WireReader(ReadOnlySpan<byte> message)
{
    /// <summary>The bytes that have not been read yet.</summary>
    private ReadOnlySpan<byte> rest = message;

    /// <summary>Number of the current field.</summary>
    public int Field { get; private set; }

    /// <summary>Content of a field with a length; empty for other fields.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    /// <summary>Whether the field has a length, as messages, strings and bytes have.</summary>
    public bool HasLength { get; private set; }

    /// <summary>Value of a varint field; 0 for other fields.</summary>
    public ulong Number { get; private set; }

    /// <summary>Moves to the next field; returns false at the end.</summary>
    /// <exception cref="FormatException">The bytes are not a message.</exception>
    public bool Next()
    {
        if (rest.IsEmpty)
            return false;
        var tag = Varint();
        Field = (int)(tag >> 3);
        HasLength = false;
        Bytes = default;
        Number = 0;
        switch (tag & 7)
        {
            case 0:
                Number = Varint();
                break;
            case 1:
                Skip(sizeof(ulong));
                break;
            case 2:
                HasLength = true;
                Bytes = Skip(Varint());
                break;
            case 5:
                Skip(sizeof(uint));
                break;
            default:
                throw new FormatException("a field has an unknown wire type");
        }

        return true;
    }

    /// <summary>Reads a varint: seven bits per byte, lowest first.</summary>
    private ulong Varint()
    {
        ulong value = 0;
        for (var shift = 0; shift < 64; shift += 7)
        {
            if (rest.IsEmpty)
                break;
            var next = rest[0];
            rest = rest[1..];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
                return value;
        }

        throw new FormatException("a number is incomplete or too long");
    }

    /// <summary>Skips some bytes and returns them.</summary>
    /// <param name="length">Number of bytes.</param>
    /// <exception cref="FormatException">The message is shorter.</exception>
    private ReadOnlySpan<byte> Skip(ulong length)
    {
        if (length > (ulong)rest.Length)
            throw new FormatException("a field is longer than its message");
        var bytes = rest[..(int)length];
        rest = rest[(int)length..];
        return bytes;
    }
}
