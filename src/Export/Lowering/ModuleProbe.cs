// Why: TorchSharp keeps no managed copy of some options of its native modules (attention heads, activation,
// EmbeddingBag mode, RNN nonlinearity). Each candidate is built, given the module's weights, and run beside the
// module in eval mode on random input: exactly one may agree. Otherwise the export is refused, and the caller says it
// with ExportOptions.ModuleOptions.
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering;

/// <summary>Finds an option of a native module by trying all there are.</summary>
internal static class ModuleProbe
{
    /// <summary>Float32 results of the same weights differ by rounding only; another option differs in the first
    /// digits.</summary>
    private const double Allowed = 1e-4;

    /// <summary>The one candidate that computes what the module computes.</summary>
    /// <param name="c">For the refusal.</param>
    /// <param name="what">What is looked for (<c>heads and activation</c>).</param>
    /// <param name="candidates">All there are.</param>
    /// <param name="build">Makes a module of a candidate.</param>
    /// <param name="run">Runs a module on an input that shows the option.</param>
    public static T Find<T>(
        LoweringContext c,
        string what,
        IEnumerable<T> candidates,
        Func<T, nn.Module> build,
        Func<nn.Module, Tensor> run
    )
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var weights = c.Module!.named_parameters()
            .ToDictionary(pair => pair.name, pair => (Tensor)pair.parameter, StringComparer.Ordinal);
        var expected = run(c.Module!);
        var agreeing = candidates
            .Where(candidate =>
            {
                using var twin = build(candidate);
                twin.eval();
                foreach (var (name, parameter) in twin.named_parameters())
                {
                    if (
                        !weights.TryGetValue(name, out var weight)
                        || !weight.shape.AsSpan().SequenceEqual(parameter.shape)
                    )
                        return false;
                    parameter.copy_(weight);
                }

                return (run(twin) - expected).abs().max().ToDouble()
                    <= Allowed * Math.Max(1e-3, expected.abs().max().ToDouble());
            })
            .ToArray();
        return agreeing.Length == 1
            ? agreeing[0]
            : throw c.Refuse(
                $"TorchSharp keeps the {what} of this module in native code, and {agreeing.Length} "
                    + "candidates compute what it "
                    + $"computes{(agreeing.Length == 0 ? "" : $" ({string.Join(", ", agreeing)})")}. Say it "
                    + $"with ExportOptions.ModuleOptions[\"{c.ModulePath}\"]."
            );
    }
}
