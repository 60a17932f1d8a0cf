using System.Runtime.InteropServices;
using Google.Protobuf;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Graph;

/// <summary>
/// A tensor that stands in the file: a weight, a constant, an axis list. Its bytes may be a module's own native
/// memory, so copies of the record are cheap.
/// </summary>
/// <param name="Name">Unique name; a parameter's is its state-dict key.</param>
/// <param name="Type">Element type.</param>
/// <param name="Dims">Sizes.</param>
internal sealed record Initializer(string Name, ElementType Type, long[] Dims)
{
    /// <summary>Makes a tensor.</summary>
    /// <param name="name">Unique name.</param>
    /// <param name="type">Element type.</param>
    /// <param name="dims">Sizes.</param>
    /// <param name="data">Little-endian elements in C order. They are not copied.</param>
    public Initializer(string name, ElementType type, long[] dims, ReadOnlyMemory<byte> data)
        : this(name, type, dims) => Data = data;

    /// <summary>
    /// Little-endian elements in C order, at most 2 GB; wherever they stand: an array, a parsed file, a module's own
    /// native memory.
    /// </summary>
    /// <exception cref="InvalidDataException">The tensor was read from a file, and holds text or a packed
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
    /// The message of a tensor that was read from a file: written again as it stood. Null once <see cref="Data"/> is set.
    /// </summary>
    public TensorProto? Stored { get; private init; }

    /// <summary>The state-dict key whose bytes these are, unchanged; null for a tensor that the exporter
    /// computed.</summary>
    public string? Source { get; init; }

    /// <summary>Number of elements: the product of the sizes, 1 for a scalar.</summary>
    public long Count => Dims.Aggregate(1L, (product, size) => product * size);

    /// <summary>
    /// A tensor as a file holds it; its elements are read when they are asked for.
    /// </summary>
    /// <param name="stored">The message, which is kept and written again.</param>
    public static Initializer Of(TensorProto stored) =>
        new(stored.Name, (ElementType)stored.DataType, [.. stored.Dims]) { Stored = stored };

    /// <summary>A tensor of float32.</summary>
    /// <param name="name">Unique name.</param>
    /// <param name="values">Elements in C order; they are copied.</param>
    /// <param name="dims">Sizes; none for a scalar.</param>
    public static Initializer Of(string name, float[] values, params long[] dims) =>
        Of<float>(name, ElementType.Float32, values, dims);

    /// <summary>
    /// A tensor of elements that stand in memory as <paramref name="type"/> does in the file; they are copied.
    /// </summary>
    /// <typeparam name="T">Has the same bytes in memory as the element type in the file: <c>sbyte</c> for int8,
    /// <c>Half</c> for float16.</typeparam>
    /// <param name="name">Unique name.</param>
    /// <param name="type">Element type in the file.</param>
    /// <param name="values">Elements in C order.</param>
    /// <param name="dims">Sizes; none for a scalar.</param>
    public static Initializer Of<T>(string name, ElementType type, ReadOnlySpan<T> values, params long[] dims)
        where T : unmanaged => new(name, type, dims, MemoryMarshal.AsBytes(values).ToArray());

    /// <summary>A vector of texts, in UTF-8.</summary>
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
    /// <exception cref="InvalidDataException">The tensor was read from a file, and holds text or a packed
    /// type.</exception>
    public float[] Floats() => MemoryMarshal.Cast<byte, float>(Data.Span).ToArray();
}
