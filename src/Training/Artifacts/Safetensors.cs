// The safetensors format: 8 bytes little-endian length of the header; the header, JSON { name: { dtype, shape,
// data_offsets } } with "__metadata__" a map of texts; then the tensors' bytes, C order, little-endian, in the
// header's order. Source: https://github.com/huggingface/safetensors, "Format".
using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Nodes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Artifacts;

/// <summary>Reads and writes weights that Python opens too.</summary>
internal static class Safetensors
{
    private const int MostAxes = 16;

    private static readonly (ScalarType Type, string Name, int Bytes)[] Types =
    [
        (ScalarType.Float32, "F32", 4),
        (ScalarType.Float64, "F64", 8),
        (ScalarType.Float16, "F16", 2),
        (ScalarType.BFloat16, "BF16", 2),
        (ScalarType.Int64, "I64", 8),
        (ScalarType.Int32, "I32", 4),
        (ScalarType.Byte, "U8", 1),
        (ScalarType.Bool, "BOOL", 1),
    ];

    /// <summary>Writes tensors and texts, whole or not at all.</summary>
    /// <param name="path">The file, replaced as a whole.</param>
    /// <param name="tensors">By name; of any device, written in C order.</param>
    /// <param name="metadata">Texts of the header.</param>
    /// <exception cref="UserException">The place cannot be written.</exception>
    /// <exception cref="ArgumentException">A tensor's type has no name in the format.</exception>
    public static void Write(
        string path,
        IReadOnlyDictionary<string, Tensor> tensors,
        IReadOnlyDictionary<string, string> metadata
    )
    {
        var header = new JsonObject
        {
            ["__metadata__"] = new JsonObject(
                metadata.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value))
            ),
        };
        long offset = 0;
        var order = tensors.OrderBy(pair => pair.Key, StringComparer.Ordinal).ToArray();
        foreach (var (name, value) in order)
        {
            var (_, type, bytes) = Types.First(known => known.Type == value.dtype);
            var end = offset + (value.numel() * bytes);
            header[name] = new JsonObject
            {
                ["dtype"] = type,
                ["shape"] = new JsonArray([.. value.shape.Select(size => (JsonNode)size)]),
                ["data_offsets"] = new JsonArray(offset, end),
            };
            offset = end;
        }

        AtomicWrite.File(path, stream =>
        {
            var json = JsonSerializer.SerializeToUtf8Bytes(header);
            Span<byte> length = stackalloc byte[8];
            var padded = (json.Length + 7) / 8 * 8;
            BinaryPrimitives.WriteInt64LittleEndian(length, padded);
            stream.Write(length);
            stream.Write(json);
            for (var index = json.Length; index < padded; index++)
                stream.WriteByte((byte)' ');
            foreach (var (_, value) in order)
            {
                using var scope = NewDisposeScope();
                var plain = value.detach().cpu().contiguous();
                if (plain.numel() > 0)
                    stream.Write(plain.bytes);
            }
        });
    }

    /// <summary>Reads a file; the caller disposes the tensors.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The tensors on the CPU, each with memory of its own, and the header's texts.</returns>
    /// <exception cref="UserException">The file is missing, cut short or no safetensors file.</exception>
    public static (Dictionary<string, Tensor> Tensors, Dictionary<string, string> Metadata) Read(string path)
    {
        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw UserException.OfModel(path, error);
        }

        try
        {
            return Parse(bytes);
        }
        catch (Exception error)
            when (error
                    is JsonException
                        or ArgumentException
                        or InvalidOperationException
                        or FormatException
                        or KeyNotFoundException
                        or NullReferenceException
                        or OverflowException
            )
        {
            throw new UserException(
                $"{path} is not a whole safetensors file ({bytes.Length} bytes): {error.Message}",
                error
            );
        }
    }

    /// <summary>
    /// Reads the header and the tensors behind it; every offset is checked against the file's length first.
    /// </summary>
    /// <param name="bytes">The whole file.</param>
    /// <exception cref="FormatException">A length, an offset or a name is wrong.</exception>
    private static (Dictionary<string, Tensor>, Dictionary<string, string>) Parse(byte[] bytes)
    {
        if (bytes.Length < 8)
            throw new FormatException("it is shorter than its header's length");
        var length = BinaryPrimitives.ReadInt64LittleEndian(bytes);
        if (length < 2 || length > bytes.Length - 8)
            throw new FormatException("the header reaches beyond the end of the file");
        var header = JsonNode.Parse(bytes.AsSpan(8, (int)length))!.AsObject();
        var data = bytes.AsMemory(8 + (int)length);
        var tensors = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        try
        {
            foreach (var (name, node) in header.Where(pair => pair.Key != "__metadata__"))
                tensors.Add(name, ToTensor(name, node!, data.Span));
            var metadata = header["__metadata__"]
                ?.AsObject()
                .ToDictionary(pair => pair.Key, pair => pair.Value!.GetValue<string>(), StringComparer.Ordinal)
                ?? [];
            return (tensors, metadata);
        }
        catch
        {
            foreach (var tensor in tensors.Values)
                tensor.Dispose();
            throw;
        }
    }

    /// <summary>One tensor of the file.</summary>
    /// <param name="name">For an error.</param>
    /// <param name="node"><c>dtype</c>, <c>shape</c> and <c>data_offsets</c>.</param>
    /// <param name="data">All bytes behind the header.</param>
    /// <exception cref="FormatException">The shape and the offsets do not agree.</exception>
    private static Tensor ToTensor(string name, JsonNode node, ReadOnlySpan<byte> data)
    {
        var (type, _, size) = Types.First(known => known.Name == node["dtype"]!.GetValue<string>());
        var shape = node["shape"]!.AsArray().Select(value => value!.GetValue<long>()).ToArray();
        // Each size alone too: of a product that is zero or overflows, libtorch would hear sizes that nothing has
        // checked.
        if (shape.Length > MostAxes || shape.Any(axis => axis < 0 || axis > int.MaxValue))
            throw new FormatException($"the shape of {name} is not possible");
        var bytes = shape.Aggregate((Int128)size, (product, axis) => product > int.MaxValue ? product : product * axis);
        if (shape.Contains(0))
            bytes = 0;
        long start = node["data_offsets"]![0]!.GetValue<long>(),
            end = node["data_offsets"]![1]!.GetValue<long>();
        if (start < 0 || end < start || end > data.Length || end - start != bytes)
            throw new FormatException($"the data of {name} is cut short");
        var tensor = empty(shape, type).DetachFromDisposeScope();
        if (end > start)
            data[(int)start..(int)end].CopyTo(tensor.bytes);
        return tensor;
    }
}
