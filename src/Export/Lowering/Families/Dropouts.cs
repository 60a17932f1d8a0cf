// Dropout does nothing in eval mode: the value passes through. The functional forms are in training mode by default,
// and are then refused.
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Lowers dropout, which does nothing in eval mode, and Identity.</summary>
internal static class Dropouts
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        table.Module<Dropout>("(nothing)", PassThrough);
        table.Module<Dropout1d>("(nothing)", PassThrough);
        table.Module<Dropout2d>("(nothing)", PassThrough);
        table.Module<Dropout3d>("(nothing)", PassThrough);
        table.Module<AlphaDropout>("(nothing)", PassThrough);
        table.Module<FeatureAlphaDropout>("(nothing)", PassThrough);
        table.Module<Identity>("(nothing)", PassThrough);
        foreach (
            var name in (string[])
                ["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"]
        )
            table.Operation(name, "(nothing)", Functional, "training: false");
        foreach (var name in (string[])["contiguous", "alias", "detach", "cpu", "positive"])
            table.Operation(name, "(nothing)", PassThrough);
    }

    /// <summary>Passes the value through.</summary>
    private static void PassThrough(LoweringContext c) => c.Result(c.Tensor());

    /// <summary>
    /// The functional forms; refused in training mode, which is their default.
    /// </summary>
    private static void Functional(LoweringContext c)
    {
        if (c.Flag(true, "training", "train"))
            throw c.Refuse(
                "training is true (the default), so dropout would apply at inference too. Pass `training: "
                    + "this.training`, or use the Dropout module"
            );
        _ = c.Number(0, "p");
        PassThrough(c);
    }
}
