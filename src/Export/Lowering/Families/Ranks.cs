using TorchSharp;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Handles ranks that TorchSharp accepts and ONNX does not.</summary>
internal static class Ranks
{
    /// <summary>
    /// Treats a value of rank 0 as a vector with one element, as TorchSharp does if an axis is given; the result has
    /// rank 0 again.
    /// </summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="value">Value of any rank.</param>
    /// <param name="function">Computes the result for a value with axes.</param>
    public static GraphValue AtLeastOne(LoweringContext c, GraphValue value, Func<GraphValue, GraphValue> function)
    {
        if (value.Rank > 0)
            return function(value);
        var result = function(Vector(c, value));
        return c.Node("Reshape", result.Type, 0, [result, c.Constants([])]);
    }

    /// <summary>
    /// Flattens a value to a vector; only values of rank 0 if <paramref name="onlyScalar"/> is set.
    /// </summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="value">Value of any rank.</param>
    /// <param name="onlyScalar">Whether a value that has axes is returned unchanged.</param>
    public static GraphValue Vector(LoweringContext c, GraphValue value, bool onlyScalar = false) =>
        value.Rank == 1 || (onlyScalar && value.Rank > 0)
            ? value
            : c.Node("Reshape", value.Type, 1, [value, c.Constant(-1)]);
}
