using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>Checks of shapes that come from outside, before memory is taken for them.</summary>
internal static class ShapeRules
{
    /// <summary>Elements of a shape, by checked multiplication.</summary>
    /// <param name="shape">Sizes of the axes.</param>
    /// <param name="type">Datatype of the elements.</param>
    /// <param name="limits">Most axes and bytes.</param>
    /// <param name="tensor">What to call it in an error.</param>
    /// <returns>Elements; 0 where an axis is 0.</returns>
    /// <exception cref="RequestRefusedException">An axis is negative, there are too many, or the tensor is larger
    /// than the limit.</exception>
    public static long Count(IReadOnlyList<long> shape, TensorType type, ProtocolLimits limits, string tensor)
    {
        if (shape.Count > limits.Rank)
            throw Invalid($"{tensor} has {shape.Count} axes; at most {limits.Rank} are read");
        // An element of BYTES takes four bytes at least, its length.
        var size = Math.Max(type.SizeOf(), type == TensorType.Bytes ? sizeof(uint) : 1);
        var isEmpty = false;
        foreach (var axis in shape)
        {
            if (axis < 0)
                throw Invalid($"{tensor} has the shape {Text(shape)}: an axis is negative");
            isEmpty |= axis == 0;
        }

        if (isEmpty)
            return 0;
        Int128 count = 1;
        foreach (var axis in shape)
        {
            count *= axis;
            if (count * size <= limits.Bytes)
                continue;
            throw new RequestRefusedException(
                RefusalKind.TooLarge,
                $"{tensor} has the shape {Text(shape)}, which is more than {limits.Bytes} bytes of {type.NameOf()}"
            );
        }

        return (long)count;
    }

    /// <summary>A shape as people read it.</summary>
    /// <param name="shape">Sizes of the axes.</param>
    /// <returns><c>[1, 3, 32, 32]</c>.</returns>
    public static string Text(IEnumerable<long> shape) => FormattableString.Invariant($"[{string.Join(", ", shape)}]");
}
