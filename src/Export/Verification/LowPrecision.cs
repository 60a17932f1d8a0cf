using TorchBridge.Export.Capture;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>Which values are computed in float16 or bfloat16, or from such: their dtype alone does not say
/// it.</summary>
internal sealed class LowPrecision
{
    /// <summary>
    /// The lowest precision on the way to each traced value; null where all of it is float32 or better.
    /// </summary>
    private readonly ScalarType?[] lowest;

    /// <summary>Keeps what <see cref="Find"/> found.</summary>
    private LowPrecision(ScalarType?[] lowest) => this.lowest = lowest;

    /// <summary>Follows low precision through a trace.</summary>
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

    /// <summary>The share of its scale by which a value may differ.</summary>
    /// <param name="id">The value.</param>
    /// <param name="usual">The share where all is computed in float32.</param>
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
