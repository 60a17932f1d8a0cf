using System.Text.Json;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>
/// An input of a JSON request whose data may not have been read yet: they may come before the datatype and shape, or
/// as binary data after the JSON.
/// </summary>
internal sealed class JsonInput
{
    /// <summary>The input's datatype.</summary>
    private TensorType type;

    /// <summary>The input's shape.</summary>
    private long[] shape = [];

    /// <summary>The tensor, if the data came after datatype and shape; otherwise null.</summary>
    private Tensor? tensor;

    /// <summary>
    /// Position of data that came before datatype or shape; they are read by <see cref="Resolve"/>.
    /// </summary>
    private (int Start, int Length)? skipped;

    /// <summary>The input's name.</summary>
    public string Name { get; private set; } = "";

    /// <summary>Size of the input's binary data in bytes; null if the data are in the JSON.</summary>
    public long? BinarySize { get; private set; }

    /// <summary>Reads an input from its JSON object.</summary>
    /// <param name="reader">Positioned at the opening brace.</param>
    /// <param name="json">The whole JSON.</param>
    /// <param name="limits">What is too large.</param>
    /// <returns>The input; <see cref="Resolve"/> gives its tensor.</returns>
    /// <exception cref="RequestRefusedException">A part is missing, or contradicts another.</exception>
    public static JsonInput Read(ref Utf8JsonReader reader, ReadOnlyMemory<byte> json, ProtocolLimits limits)
    {
        var input = new JsonInput();
        string? name = null;
        TensorType? datatype = null;
        long[]? axes = null;
        var keys = new JsonKeys("an input");
        while (keys.Next(ref reader))
        {
            switch (keys.Current)
            {
                case "name":
                    name = limits.CheckText(
                        JsonText.String(ref reader, "the name of an input"),
                        "the name of an input"
                    );
                    break;
                case "datatype":
                    datatype = TensorTypes.Find(JsonText.String(ref reader, "a datatype"))
                        ?? throw Invalid($"input '{name}' has an unknown datatype; allowed are {TensorTypes.AllNames}");
                    break;
                case "shape":
                    axes = ReadShape(ref reader, limits);
                    break;
                case "parameters":
                    var parameters = JsonParameters.Read(ref reader, "an input", limits);
                    if (parameters.TryGetValue("binary_data_size", out var size))
                        input.BinarySize = size is long and >= 0
                            ? (long)size
                            : throw Invalid($"input '{name}': binary_data_size must be a number of bytes, 0 or more");
                    if (parameters.ContainsKey("shared_memory_region"))
                        throw Invalid(
                            $"input '{name}' is in shared memory, which this server does not support; "
                                + "send the data in the request"
                        );
                    break;
                case "data":
                    if (reader.TokenType != JsonTokenType.StartArray)
                        throw Invalid($"input '{name}': `data` is not an array");
                    if (name is not null && datatype is { } known && axes is not null)
                    {
                        input.tensor = JsonTensorReader.Read(ref reader, json, name, known, axes, limits);
                        break;
                    }

                    var start = (int)reader.TokenStartIndex;
                    reader.Skip();
                    input.skipped = (start, (int)reader.BytesConsumed - start);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        input.Name = name ?? throw Invalid("an input has no `name`");
        input.type = datatype ?? throw Invalid($"input '{name}' has no `datatype`");
        input.shape = axes ?? throw Invalid($"input '{name}' has no `shape`");
        if (input.BinarySize is not null == (input.tensor is not null || input.skipped is not null))
            throw Invalid($"input '{name}' needs either `data` or the parameter `binary_data_size`");
        return input;
    }

    /// <summary>Returns the tensor, and reads its data if that has not been done yet.</summary>
    /// <param name="json">The whole JSON.</param>
    /// <param name="blob">The input's binary data.</param>
    /// <param name="limits">What is too large.</param>
    public Tensor Resolve(ReadOnlyMemory<byte> json, ReadOnlyMemory<byte> blob, ProtocolLimits limits)
    {
        if (tensor is not null)
            return tensor;
        if (skipped is not { } data)
            return RawTensorReader.Read(Name, type, shape, blob, limits);
        var slice = json.Slice(data.Start, data.Length);
        var reader = new Utf8JsonReader(slice.Span, new JsonReaderOptions { MaxDepth = limits.JsonDepth });
        reader.Read();
        return JsonTensorReader.Read(ref reader, slice, Name, type, shape, limits);
    }

    /// <summary>
    /// Reads a shape as 64-bit integers; negative and too large sizes are refused later, in <see cref="ShapeRules"/>.
    /// </summary>
    /// <param name="reader">Positioned at the array.</param>
    /// <param name="limits">Limits on the request, among them the number of axes.</param>
    private static long[] ReadShape(ref Utf8JsonReader reader, ProtocolLimits limits)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            throw Invalid("a `shape` is not an array");
        var axes = new List<long>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var axis))
                throw Invalid("an axis of a `shape` is not a whole number of 64 bits");
            if (axes.Count == limits.Rank)
                throw Invalid($"a `shape` has more than {limits.Rank} axes");
            axes.Add(axis);
        }

        return [.. axes];
    }
}
