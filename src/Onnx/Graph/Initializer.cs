using System.Runtime.InteropServices;
using Google.Protobuf;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Graph;

/// <summary>
/// A tensor stored in the file: a weight, a constant, a list of axes. Its bytes are never copied and may be a
/// module's native memory, so copies of this record are cheap.
/// </summary>
/// <param name="Name">Unique name; a parameter's is its state-dict key.</param>
/// <param name="Type">Element type.</param>
/// <param name="Dims">Sizes.</param>
internal sealed record Initializer(string Name, ElementType Type, long[] Dims)
{
    /// <summary>Creates a tensor.</summary>
    /// <param name="name">Unique name.</param>
    /// <param name="type">Element type.</param>
    /// <param name="dims">Sizes.</param>
    /// <param name="data">Little-endian elements in C order. They are not copied.</param>
    public Initializer(string name, ElementType type, long[] dims, ReadOnlyMemory<byte> data)
        : this(name, type, dims) => Data = data;

    /// <summary>
    /// Little-endian elements in C order, at most 2 GB. They may be in an array, in a parsed file or in a module's
    /// native memory.
    /// </summary>
    /// <exception cref="InvalidDataException">The tensor was read from a file and holds text or a packed
    /// type.</exception>
    public ReadOnlyMemory<byte> Data
    {
        get => Stored is null ? field : TensorFields.Bytes(Stored);
        init
        {
            field = value;
            Stored = null;
        }
    }

    /// <summary>
    /// The protobuf message of a tensor that was read from a file, which is written back unchanged. Null once
    /// <see cref="Data"/> is set.
    /// </summary>
    public TensorProto? Stored { get; private init; }

    /// <summary>
    /// The state-dict key of the parameter that this tensor holds unchanged; null for a tensor that the exporter
    /// computed.
    /// </summary>
    public string? Source { get; init; }

    /// <summary>Number of elements: the product of the sizes, 1 for a scalar.</summary>
    public long Count => Dims.Aggregate(1L, (product, size) => product * size);

    /// <summary>A tensor read from a file; its elements are decoded when <see cref="Data"/> is read.</summary>
    /// <param name="stored">The protobuf message, which is kept and written back.</param>
    public static Initializer Of(TensorProto stored) =>
        new(stored.Name, (ElementType)stored.DataType, [.. stored.Dims]) { Stored = stored };

    /// <summary>A float32 tensor.</summary>
    /// <param name="name">Unique name.</param>
    /// <param name="values">Elements in C order; they are copied.</param>
    /// <param name="dims">Sizes; none for a scalar.</param>
    public static Initializer Of(string name, float[] values, params long[] dims) =>
        Of<float>(name, ElementType.Float32, values, dims);

    /// <summary>
    /// A tensor whose elements have the same bytes in memory as <paramref name="type"/> has in the file; they are
    /// copied.
    /// </summary>
    /// <typeparam name="T">The .NET type of the elements, for example <c>sbyte</c> for int8 or <c>Half</c> for
    /// float16.</typeparam>
    /// <param name="name">Unique name.</param>
    /// <param name="type">Element type in the file.</param>
    /// <param name="values">Elements in C order.</param>
    /// <param name="dims">Sizes; none for a scalar.</param>
    public static Initializer Of<T>(string name, ElementType type, ReadOnlySpan<T> values, params long[] dims)
        where T : unmanaged => new(name, type, dims, MemoryMarshal.AsBytes(values).ToArray());

    /// <summary>A one-dimensional tensor of strings, stored in UTF-8.</summary>
    /// <param name="name">Unique name.</param>
    /// <param name="texts">The elements.</param>
    public static Initializer Of(string name, IReadOnlyList<string> texts)
    {
        var stored = new TensorProto { Name = name, DataType = (int)ElementType.Text };
        stored.Dims.Add(texts.Count);
        stored.StringData.AddRange(texts.Select(ByteString.CopyFromUtf8));
        return Of(stored);
    }

    /// <summary>The elements of a float32 tensor, copied.</summary>
    /// <returns>As many numbers as <see cref="Count"/>.</returns>
    /// <exception cref="InvalidDataException">The tensor was read from a file and holds text or a packed
    /// type.</exception>
    public float[] Floats() => MemoryMarshal.Cast<byte, float>(Data.Span).ToArray();
}
