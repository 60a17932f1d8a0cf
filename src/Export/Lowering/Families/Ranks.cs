using TorchSharp;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Ranks that TorchSharp takes and ONNX does not.</summary>
internal static class Ranks
{
    /// <summary>
    /// Computes a value of rank 0 as a vector of one element, as TorchSharp does where an axis is named; the result
    /// has rank 0 again.
    /// </summary>
    /// <param name="c">Where the nodes are written.</param>
    /// <param name="value">Of any rank.</param>
    /// <param name="function">What is computed of a value with axes.</param>
    public static GraphValue AtLeastOne(LoweringContext c, GraphValue value, Func<GraphValue, GraphValue> function)
    {
        if (value.Rank > 0)
            return function(value);
        var result = function(Vector(c, value));
        return c.Node("Reshape", result.Type, 0, [result, c.Constants([])]);
    }

    /// <summary>
    /// A vector of all elements; of one for rank 0, of which alone where <paramref name="onlyScalar"/> is set.
    /// </summary>
    /// <param name="c">Where the nodes are written.</param>
    /// <param name="value">Of any rank.</param>
    /// <param name="onlyScalar">Whether a value that has axes stays as it is.</param>
    public static GraphValue Vector(LoweringContext c, GraphValue value, bool onlyScalar = false) =>
        value.Rank == 1 || (onlyScalar && value.Rank > 0)
            ? value
            : c.Node("Reshape", value.Type, 1, [value, c.Constant(-1)]);
}
