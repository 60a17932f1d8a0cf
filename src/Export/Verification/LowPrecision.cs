using TorchBridge.Export.Capture;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>Finds the values that are computed in float16 or bfloat16, or from such values, which their dtype alone
/// does not show.</summary>
internal sealed class LowPrecision
{
    /// <summary>
    /// The lowest precision in the computation of each traced value; null if all of it is float32 or better.
    /// </summary>
    private readonly ScalarType?[] lowest;

    /// <summary>Stores the result of <see cref="Find"/>.</summary>
    private LowPrecision(ScalarType?[] lowest) => this.lowest = lowest;

    /// <summary>Propagates low precision through a trace.</summary>
    /// <param name="traced">The merged traces.</param>
    public static LowPrecision Find(TracedGraph traced)
    {
        var lowest = new ScalarType?[traced.Values.Count];
        foreach (var op in traced.Ops)
        {
            var inherited = ValueRef
                .In(op.Arguments)
                .Select(reference => lowest[reference.Id])
                .Aggregate((ScalarType?)null, Lower);
            foreach (var id in op.Results.Where(id => id != TracedOp.Unused))
            {
                var own = traced.Values[id].Type is ScalarType.Float16 or ScalarType.BFloat16
                    ? traced.Values[id].Type
                    : (ScalarType?)null;
                lowest[id] = Lower(inherited, own);
            }
        }

        return new LowPrecision(lowest);
    }

    /// <summary>The relative tolerance of a value, as a share of its scale.</summary>
    /// <param name="id">Number of the value.</param>
    /// <param name="usual">The tolerance if everything is computed in float32.</param>
    public double ToleranceOf(int id, double usual) =>
        lowest[id] switch
        {
            ScalarType.BFloat16 => Math.Max(Tolerance.LowPrecision, usual),
            ScalarType.Float16 => Math.Max(Tolerance.HalfPrecision, usual),
            _ => usual,
        };

    /// <summary>The less precise of two dtypes; null for float32 and better.</summary>
    private static ScalarType? Lower(ScalarType? a, ScalarType? b) =>
        a == ScalarType.BFloat16 || b == ScalarType.BFloat16 ? ScalarType.BFloat16 : a ?? b;
}
