// Why: TorchSharp keeps no managed copy of some options of its native modules (attention heads, activation,
// EmbeddingBag mode, RNN nonlinearity). Each candidate is built with the module's weights and run beside the module in
// eval mode on random input: exactly one may agree. Otherwise the export is refused, and the caller has to specify the
// option with ExportOptions.ModuleOptions.
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering;

/// <summary>Finds an option of a native module by trying all candidates.</summary>
internal static class ModuleProbe
{
    /// <summary>Tolerance: float32 results with the same weights differ only by rounding, while another option
    /// changes the first digits.</summary>
    private const double Allowed = 1e-4;

    /// <summary>Finds the one candidate that computes the same result as the module.</summary>
    /// <param name="c">Context of the operation, for the refusal.</param>
    /// <param name="what">Name of the option (<c>heads and activation</c>), for the message.</param>
    /// <param name="candidates">All candidates.</param>
    /// <param name="build">Builds a module for a candidate.</param>
    /// <param name="run">Runs a module on an input for which the option matters.</param>
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
                $"TorchSharp does not expose the {what} of this module, and {agreeing.Length} "
                    + "candidates compute the same "
                    + $"result{(agreeing.Length == 0 ? "" : $" ({string.Join(", ", agreeing)})")}. Specify it "
                    + $"with ExportOptions.ModuleOptions[\"{c.ModulePath}\"]."
            );
    }
}
