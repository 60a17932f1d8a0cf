using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>Splits a body into its JSON and its binary tensors, as the header <c>Inference-Header-Content-Length</c>
/// says.</summary>
internal static class BinaryBody
{
    /// <summary>The header's name.</summary>
    public const string LengthHeader = "Inference-Header-Content-Length";

    /// <summary>Reads the header. Only digits are taken: no sign, no space, no second value.</summary>
    /// <param name="values">Its values; none where the header is not there.</param>
    /// <param name="bodyLength">Bytes of the body.</param>
    /// <returns>Bytes of the JSON part: 0 for a raw request, null for a body that is JSON as a whole.</returns>
    /// <exception cref="RequestRefusedException">It is no number of bytes, or more than the body has.</exception>
    public static int? ReadLength(IReadOnlyList<string?> values, int bodyLength)
    {
        if (values.Count == 0)
            return null;
        if (values.Count > 1)
            throw Invalid($"{LengthHeader} is there {values.Count} times");
        var text = values[0] ?? "";
        // Ten digits: an int has no more, and longer ones are refused before they are computed with.
        if (text.Length is 0 or > 10 || text.AsSpan().IndexOfAnyExceptInRange('0', '9') >= 0)
            throw Invalid($"{LengthHeader} is not a number of bytes");
        var length = long.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
        return length <= bodyLength
            ? (int)length
            : throw Invalid($"{LengthHeader} is {length}, and the body has {bodyLength} bytes");
    }

    /// <summary>Reads a raw request: the whole body is the one input, a batch of one.</summary>
    /// <param name="body">The elements; for BYTES the one element.</param>
    /// <param name="inputs">What the model takes: one input with at most one free axis beside the batch.</param>
    /// <param name="isBatched">Whether axis 0 is a batch, which is one here.</param>
    /// <param name="limits">What is too large.</param>
    /// <exception cref="RequestRefusedException">The model takes several inputs, or the bytes fit none of its
    /// shapes.</exception>
    public static InferenceRequest ReadRaw(
        ReadOnlyMemory<byte> body,
        IReadOnlyList<TensorSpec> inputs,
        bool isBatched,
        ProtocolLimits limits
    )
    {
        if (inputs.Count != 1)
            throw Invalid($"a raw request needs a model of one input; this one takes {inputs.Count}");
        var input = inputs[0];
        var tensor =
            input.Type == TensorType.Bytes
                ? RawString(body, input)
                : RawTensorReader.Read(input.Name, input.Type, RawShape(body.Length, input, isBatched), body, limits);
        return new InferenceRequest(null, InferenceRequest.NoParameters, [tensor], []) { BinaryByDefault = true };
    }

    /// <summary>A body of BYTES: one element, without its length before it.</summary>
    /// <param name="body">All of it is one element.</param>
    /// <param name="input">The model's one input.</param>
    private static Tensor RawString(ReadOnlyMemory<byte> body, TensorSpec input)
    {
        if (input.Shape.Any(axis => axis is not (1 or TensorSpec.Free)))
            throw Invalid($"a raw request of BYTES is one element, and input '{input.Name}' is {input.ShapeText}");
        return Tensor.OfStrings(input.Name, [.. input.Shape.Select(_ => 1L)], [body]);
    }

    /// <summary>The shape that the body's length leaves for the one free axis.</summary>
    /// <param name="length">Bytes of the body.</param>
    /// <param name="input">The model's one input.</param>
    /// <param name="isBatched">Whether axis 0 is the batch.</param>
    private static long[] RawShape(int length, TensorSpec input, bool isBatched)
    {
        var shape = input.Shape.ToArray();
        if (isBatched)
            shape[0] = 1;
        var free = Array.FindAll(shape, axis => axis == TensorSpec.Free).Length;
        if (free > 1)
            throw Invalid(
                $"a raw request needs an input with at most one free axis, and '{input.Name}' is {input.ShapeText}"
            );
        if (free == 0)
            return shape;
        var known = shape
            .Where(axis => axis != TensorSpec.Free)
            .Aggregate((Int128)input.Type.SizeOf(), (product, axis) => product * axis);
        if (known == 0 || length % known != 0)
            throw Invalid(
                $"{length} bytes are no whole number of rows of input '{input.Name}', {input.ShapeText} of {input.Type.NameOf()}"
            );
        shape[Array.IndexOf(shape, TensorSpec.Free)] = (long)(length / known);
        return shape;
    }
}
