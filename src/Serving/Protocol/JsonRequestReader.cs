using System.Text.Json;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>Reads an inference request from JSON, which binary tensors may follow.</summary>
internal static class JsonRequestReader
{
    /// <summary>Reads a request.</summary>
    /// <param name="json">The JSON object.</param>
    /// <param name="blobs">The bytes that follow the JSON: the binary tensors, in the order of the inputs.</param>
    /// <param name="limits">What is too large.</param>
    /// <exception cref="RequestRefusedException">The body is not a valid request of the protocol.</exception>
    public static InferenceRequest Read(ReadOnlyMemory<byte> json, ReadOnlyMemory<byte> blobs, ProtocolLimits limits)
    {
        try
        {
            var reader = new Utf8JsonReader(json.Span, new JsonReaderOptions { MaxDepth = limits.JsonDepth });
            var request = ReadObject(ref reader, json, blobs, limits);
            return reader.Read() ? throw Invalid("something follows the JSON object") : request;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: a string that is not valid UTF-8, or half a surrogate pair.
            throw new RequestRefusedException(
                RefusalKind.Invalid,
                $"the request is not JSON: {JsonText.Reason(error)}",
                error
            );
        }
    }

    /// <summary>Reads the request's object; keys that the protocol does not define are ignored.</summary>
    /// <param name="reader">Positioned before the first token.</param>
    /// <param name="json">The JSON that the reader reads.</param>
    /// <param name="blobs">The bytes after the JSON, which hold the data of inputs with
    /// <c>binary_data_size</c>.</param>
    /// <param name="limits">Limits on the request.</param>
    /// <exception cref="RequestRefusedException">The object is not a valid request of the protocol.</exception>
    private static InferenceRequest ReadObject(
        ref Utf8JsonReader reader,
        ReadOnlyMemory<byte> json,
        ReadOnlyMemory<byte> blobs,
        ProtocolLimits limits
    )
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            throw Invalid("the request is not a JSON object");
        string? id = null;
        Dictionary<string, object>? parameters = null;
        List<JsonInput>? inputs = null;
        List<RequestedOutput>? outputs = null;
        var keys = new JsonKeys("the request");
        while (keys.Next(ref reader))
        {
            switch (keys.Current)
            {
                case "id":
                    id = limits.CheckText(JsonText.String(ref reader, "id"), "id");
                    break;
                case "parameters":
                    parameters = JsonParameters.Read(ref reader, "the request", limits);
                    break;
                case "inputs":
                    inputs = ReadList(ref reader, "inputs", limits, json, static (ref r, j, l) =>
                        JsonInput.Read(ref r, j, l)
                    );
                    break;
                case "outputs":
                    outputs = ReadList(ref reader, "outputs", limits, json, static (ref r, _, l) =>
                        ReadOutput(ref r, l)
                    );
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        if (inputs is null)
            throw Invalid("the request has no `inputs`");
        return new InferenceRequest(
            id,
            parameters ?? InferenceRequest.NoParameters,
            Resolve(inputs, json, blobs, limits),
            outputs ?? []
        )
        {
            BinaryByDefault =
                parameters is not null && JsonParameters.Flag(parameters, "binary_data_output", "the request") == true,
        };
    }

    /// <summary>Reads one object of a list.</summary>
    private delegate T ItemReader<T>(ref Utf8JsonReader reader, ReadOnlyMemory<byte> json, ProtocolLimits limits);

    /// <summary>Reads a list of objects of limited length.</summary>
    /// <param name="reader">Positioned at the list.</param>
    /// <param name="name">The list's key, for error messages.</param>
    /// <param name="limits">Limits on the request, among them the length of the list.</param>
    /// <param name="json">The JSON that the reader reads.</param>
    /// <param name="read">Reads one object; the reader is positioned at its opening brace.</param>
    /// <exception cref="RequestRefusedException">The value is not a list of objects, or it is too long.</exception>
    private static List<T> ReadList<T>(
        ref Utf8JsonReader reader,
        string name,
        ProtocolLimits limits,
        ReadOnlyMemory<byte> json,
        ItemReader<T> read
    )
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            throw Invalid($"`{name}` is not an array");
        var items = new List<T>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
                throw Invalid($"`{name}` holds something that is not an object");
            if (items.Count == limits.Tensors)
                throw new RequestRefusedException(
                    RefusalKind.TooLarge,
                    $"`{name}` has more than {limits.Tensors} entries"
                );
            items.Add(read(ref reader, json, limits));
        }

        return items;
    }

    /// <summary>Gives each input its data, from the JSON or from the bytes that follow it.</summary>
    /// <param name="inputs">The inputs as read from the JSON.</param>
    /// <param name="json">The JSON, from which <c>data</c> is read.</param>
    /// <param name="blobs">The bytes after the JSON; the inputs must use all of them.</param>
    /// <param name="limits">Limits on the request, among them the size of the tensors.</param>
    /// <exception cref="RequestRefusedException">Data are missing, left over, or do not fit datatype and
    /// shape.</exception>
    private static Tensor[] Resolve(
        List<JsonInput> inputs,
        ReadOnlyMemory<byte> json,
        ReadOnlyMemory<byte> blobs,
        ProtocolLimits limits
    )
    {
        long bytes = 0;
        var at = 0;
        var tensors = new Tensor[inputs.Count];
        for (var index = 0; index < tensors.Length; index++)
        {
            var input = inputs[index];
            var size = input.BinarySize ?? 0;
            if (size > blobs.Length - at)
                throw Invalid(
                    $"input '{input.Name}' claims {size} bytes of binary data, "
                        + $"but only {blobs.Length - at} are left after the JSON"
                );
            tensors[index] = input.Resolve(json, blobs.Slice(at, (int)size), limits);
            at += (int)size;
            bytes += RawTensorWriter.SizeOf(tensors[index]);
            if (bytes > limits.Bytes)
                throw new RequestRefusedException(
                    RefusalKind.TooLarge,
                    $"the inputs have more than {limits.Bytes} bytes, the limit"
                );
        }

        return at == blobs.Length
            ? tensors
            : throw Invalid($"{blobs.Length - at} bytes after the JSON belong to no input");
    }

    /// <summary>Reads a requested output with its parameters.</summary>
    /// <param name="reader">Positioned at the object.</param>
    /// <param name="limits">Limits on the request, among them the length of names.</param>
    private static RequestedOutput ReadOutput(ref Utf8JsonReader reader, ProtocolLimits limits)
    {
        string? name = null;
        IReadOnlyDictionary<string, object> parameters = InferenceRequest.NoParameters;
        var keys = new JsonKeys("an output");
        while (keys.Next(ref reader))
        {
            switch (keys.Current)
            {
                case "name":
                    name = limits.CheckText(
                        JsonText.String(ref reader, "the name of an output"),
                        "the name of an output"
                    );
                    break;
                case "parameters":
                    parameters = JsonParameters.Read(ref reader, "an output", limits);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return OutputParameters.Read(name ?? throw Invalid("an output has no `name`"), parameters);
    }
}
