using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>Checks the shapes of clients before memory is allocated for them.</summary>
internal static class ShapeRules
{
    /// <summary>The number of elements of a shape, computed without overflow.</summary>
    /// <param name="shape">Sizes of the axes.</param>
    /// <param name="type">Datatype of the elements.</param>
    /// <param name="limits">Limits on the number of axes and bytes.</param>
    /// <param name="tensor">Description of the tensor, for error messages.</param>
    /// <returns>The number of elements; 0 if an axis is 0.</returns>
    /// <exception cref="RequestRefusedException">An axis is negative, there are too many axes, or the tensor exceeds
    /// the limit.</exception>
    public static long Count(IReadOnlyList<long> shape, TensorType type, ProtocolLimits limits, string tensor)
    {
        if (shape.Count > limits.Rank)
            throw Invalid($"{tensor} has {shape.Count} axes; at most {limits.Rank} are allowed");
        // An element of BYTES takes at least the four bytes of its length.
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

    /// <summary>A shape as text.</summary>
    /// <param name="shape">Sizes of the axes.</param>
    /// <returns>For example <c>[1, 3, 32, 32]</c>.</returns>
    public static string Text(IEnumerable<long> shape) => FormattableString.Invariant($"[{string.Join(", ", shape)}]");
}
