using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>
/// Reads request bodies that hold binary data: the header <c>Inference-Header-Content-Length</c>, which says where
/// the JSON ends and the binary tensors begin, and raw requests, which hold no JSON.
/// </summary>
internal static class BinaryBody
{
    /// <summary>The header's name.</summary>
    public const string LengthHeader = "Inference-Header-Content-Length";

    /// <summary>Reads the header. Only digits are accepted: no sign, no space, no second value.</summary>
    /// <param name="values">The header's values; empty if the header is absent.</param>
    /// <param name="bodyLength">Length of the body in bytes.</param>
    /// <returns>Length of the JSON part in bytes: 0 for a raw request, null for a body that consists only of
    /// JSON.</returns>
    /// <exception cref="RequestRefusedException">The header is not a number of bytes, or exceeds the body's
    /// length.</exception>
    public static int? ReadLength(IReadOnlyList<string?> values, int bodyLength)
    {
        if (values.Count == 0)
            return null;
        if (values.Count > 1)
            throw Invalid($"{LengthHeader} is given {values.Count} times; give it once");
        var text = values[0] ?? "";
        // An int has at most ten digits; longer numbers are refused before they are parsed.
        if (text.Length is 0 or > 10 || text.AsSpan().IndexOfAnyExceptInRange('0', '9') >= 0)
            throw Invalid($"{LengthHeader} is not a number of bytes");
        var length = long.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
        return length <= bodyLength
            ? (int)length
            : throw Invalid($"{LengthHeader} is {length}, but the body has only {bodyLength} bytes");
    }

    /// <summary>Reads a raw request: the whole body is the model's only input, as a batch of one.</summary>
    /// <param name="body">The elements; for BYTES, a single element.</param>
    /// <param name="inputs">The model's inputs: there must be one, with at most one dynamic axis apart from the
    /// batch.</param>
    /// <param name="isBatched">Whether axis 0 is the batch axis; its size is then 1.</param>
    /// <param name="limits">Limits on the request.</param>
    /// <exception cref="RequestRefusedException">The model does not have exactly one input, or the bytes do not fit
    /// its shape.</exception>
    public static InferenceRequest ReadRaw(
        ReadOnlyMemory<byte> body,
        IReadOnlyList<TensorSpec> inputs,
        bool isBatched,
        ProtocolLimits limits
    )
    {
        if (inputs.Count != 1)
            throw Invalid($"a raw request needs a model with one input; this one has {inputs.Count}");
        var input = inputs[0];
        var tensor =
            input.Type == TensorType.Bytes
                ? RawString(body, input)
                : RawTensorReader.Read(input.Name, input.Type, RawShape(body.Length, input, isBatched), body, limits);
        return new InferenceRequest(null, InferenceRequest.NoParameters, [tensor], []) { BinaryByDefault = true };
    }

    /// <summary>The tensor of a raw request of BYTES: one element, without a length before it.</summary>
    /// <param name="body">The whole body, which is one element.</param>
    /// <param name="input">The model's only input.</param>
    private static Tensor RawString(ReadOnlyMemory<byte> body, TensorSpec input)
    {
        if (input.Shape.Any(axis => axis is not (1 or TensorSpec.Free)))
            throw Invalid($"a raw request of BYTES has one element, but input '{input.Name}' is {input.ShapeText}");
        return Tensor.OfStrings(input.Name, [.. input.Shape.Select(_ => 1L)], [body]);
    }

    /// <summary>The input's shape, with the size of the dynamic axis computed from the body's length.</summary>
    /// <param name="length">Length of the body in bytes.</param>
    /// <param name="input">The model's only input.</param>
    /// <param name="isBatched">Whether axis 0 is the batch axis.</param>
    private static long[] RawShape(int length, TensorSpec input, bool isBatched)
    {
        var shape = input.Shape.ToArray();
        if (isBatched)
            shape[0] = 1;
        var free = Array.FindAll(shape, axis => axis == TensorSpec.Free).Length;
        if (free > 1)
            throw Invalid(
                $"a raw request needs an input with at most one axis of size -1, but '{input.Name}' is {input.ShapeText}"
            );
        if (free == 0)
            return shape;
        var known = shape
            .Where(axis => axis != TensorSpec.Free)
            .Aggregate((Int128)input.Type.SizeOf(), (product, axis) => product * axis);
        if (known == 0 || length % known != 0)
            throw Invalid(
                $"{length} bytes do not fit the shape of input '{input.Name}', {input.ShapeText} of {input.Type.NameOf()}"
            );
        shape[Array.IndexOf(shape, TensorSpec.Free)] = (long)(length / known);
        return shape;
    }
}
