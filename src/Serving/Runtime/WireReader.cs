// The wire format of protocol buffers: a field is a varint (number << 3 | kind), then a varint, 8 bytes, a length and
// its bytes, or 4 bytes.
namespace TorchBridge.Serving.Runtime;

/// <summary>Goes through the fields of a message without building it.</summary>
/// <param name="message">The message's bytes.</param>
internal ref struct WireReader(ReadOnlySpan<byte> message)
{
    /// <summary>What is not read yet.</summary>
    private ReadOnlySpan<byte> rest = message;

    /// <summary>Number of the field.</summary>
    public int Field { get; private set; }

    /// <summary>Bytes of a field with a length; empty for the others.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    /// <summary>Whether the field has a length: a message, a text, bytes.</summary>
    public bool HasLength { get; private set; }

    /// <summary>Value of a field that is a number.</summary>
    public ulong Number { get; private set; }

    /// <summary>Goes to the next field; false at the end.</summary>
    /// <exception cref="FormatException">The bytes are no message.</exception>
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
                throw new FormatException("a field has a kind that is not in use");
        }

        return true;
    }

    /// <summary>A number of seven bits per byte, lowest first.</summary>
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

        throw new FormatException("a number does not end");
    }

    /// <summary>Goes over some bytes, and gives them.</summary>
    /// <param name="length">Bytes of the field.</param>
    /// <exception cref="FormatException">The message ends before.</exception>
    private ReadOnlySpan<byte> Skip(ulong length)
    {
        if (length > (ulong)rest.Length)
            throw new FormatException("a field is longer than its message");
        var bytes = rest[..(int)length];
        rest = rest[(int)length..];
        return bytes;
    }
}
