using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Helpers for functions of one tensor, element by element.</summary>
internal static class Pointwise
{
    /// <summary>sign(x) floor(|x|)</summary>
    public static GraphValue Truncate(LoweringContext c, GraphValue x) =>
        c.Like("Mul", [c.Like("Sign", [x]), c.Like("Floor", [c.Like("Abs", [x])])]);
}
