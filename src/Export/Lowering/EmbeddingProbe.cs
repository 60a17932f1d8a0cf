// Why: TorchSharp keeps the options of embeddings only in native code. They are found by running the module on rows
// that distinguish them: the rows that it looks up are replaced for the probe and restored bit for bit.
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering;

/// <summary>How rows of an embedding are renormalized.</summary>
/// <param name="Limit">max_norm: the largest norm of a row.</param>
/// <param name="Order">norm_type: the p of that norm.</param>
internal sealed record RowNorm(double Limit, double Order)
{
    /// <summary>Renormalizes all rows of a table.</summary>
    /// <param name="table">Rows by index, [rows, width].</param>
    /// <returns>A new tensor: the table as it would be after every row has been looked up.</returns>
    public Tensor Apply(Tensor table)
    {
        using var noGrad = no_grad();
        var norms = table.norm(1, keepdim: true, p: (float)Order);
        return torch.where(norms > Limit, table * (Limit / (norms + 1e-7)).to(table.dtype), table);
    }
}

/// <summary>Options of an <see cref="EmbeddingBag"/>.</summary>
/// <param name="Mode">Sum, mean or maximum.</param>
/// <param name="PaddingIndex">The index that is ignored; -1 for none.</param>
/// <param name="IncludesLastOffset">Whether the last offset marks the end of the last bag.</param>
/// <param name="Norm">Renormalization, or null.</param>
internal sealed record BagOptions(EmbeddingBagMode Mode, long PaddingIndex, bool IncludesLastOffset, RowNorm? Norm);

/// <summary>Finds the options of embeddings.</summary>
internal static class EmbeddingProbe
{
    /// <summary>Larger than any realistic max_norm.</summary>
    private const double Huge = 1e4;

    /// <summary>Smaller than any realistic max_norm.</summary>
    private const double Tiny = 1e-3;

    /// <summary>Finds how a module renormalizes row 0 when it looks it up.</summary>
    /// <param name="table">Its table.</param>
    /// <param name="lookUp">Looks up an index tensor [1, 1] that holds zero.</param>
    public static RowNorm? Norm(Tensor table, Func<Tensor, Tensor> lookUp)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var first = table.detach()[..1];
        var kept = first.clone();
        try
        {
            var index = zeros([1, 1], ScalarType.Int64, table.device);
            double Largest(Tensor row)
            {
                first.copy_(row);
                return lookUp(index).to(ScalarType.Float64).abs().max().ToDouble();
            }

            // For a row with a single non-zero element, every norm equals that element; for equal elements, the norms
            // differ by their order.
            var single = zeros_like(first);
            single[.., ..1] = full_like(single[.., ..1], Huge);
            var limit = Largest(single);
            if (limit > Huge / 2)
                return null;
            var width = table.shape[1];
            var ratio = limit / Largest(full_like(first, Huge));
            var order =
                width == 1 ? 2
                : ratio < 1.0001 ? double.PositiveInfinity
                : Math.Log(width) / Math.Log(ratio);
            return new RowNorm(Simple(limit), Simple(order));
        }
        finally
        {
            first.copy_(kept);
        }
    }

    /// <summary>The options of a module.</summary>
    /// <param name="module">The module.</param>
    public static BagOptions Bag(EmbeddingBag module)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var table = module.weight!.detach();
        var kept = table.clone();
        try
        {
            // With three offsets there are only two bags if the last offset is an end.
            var includesLast =
                module
                    .forward(
                        zeros(2, ScalarType.Int64, table.device),
                        tensor(new long[] { 0, 1, 2 }, device: table.device),
                        null
                    )
                    .shape[0] == 2;
            Tensor LookUp(Tensor index) =>
                includesLast
                    ? module.forward(
                        index.flatten(),
                        arange(0, index.numel() + 1, index.shape[1], device: table.device),
                        null
                    )
                    : module.forward(index, null, null);
            var (mode, padding) = ModeAndPadding(LookUp, table);
            // Row 0 may be the padding row; a table whose only row is the padding has nothing to renormalize.
            var asked = padding == 0 ? 1 : 0;
            var norm = asked >= table.shape[0] ? null : Norm(table[asked..], index => LookUp(index + asked));
            return new BagOptions(mode, padding, includesLast, norm);
        }
        finally
        {
            table.copy_(kept);
        }
    }

    /// <summary>
    /// Finds mode and padding index with rows that hold small multiples of a unit, too small to be renormalized.
    /// </summary>
    private static (EmbeddingBagMode Mode, long Padding) ModeAndPadding(Func<Tensor, Tensor> lookUp, Tensor table)
    {
        // Rows 1, 2, 3 … in units that no renormalization touches. A bag with only the padding index is empty, and
        // its result is 0.
        var rows = table.shape[0];
        var unit = Tiny / (Math.Max(1, table.shape[1]) * (rows + 1));
        table.copy_(
            (arange(1, rows + 1, dtype: ScalarType.Float64, device: table.device) * unit)
                .unsqueeze(1)
                .expand(table.shape)
        );
        double[] Made(Tensor index) => lookUp(index).to(ScalarType.Float64).amax([1]).data<double>().ToArray();
        var padding = Array.FindIndex(Made(arange(rows, device: table.device).unsqueeze(1)), number => number == 0);
        long[] others =
        [
            .. Enumerable.Range(0, (int)Math.Min(rows, 3)).Select(row => (long)row).Where(row => row != padding),
        ];
        if (others.Length == 0)
            return (EmbeddingBagMode.Sum, padding);
        // With a single row, the mean of its copies equals their maximum.
        var (first, second) = (others[0], others.Length > 1 ? others[1] : others[0]);
        var sum = first + second + 2;
        var made = Made(tensor(new[] { first, second }, device: table.device).reshape(1, 2))[0] / unit;
        var mode =
            Math.Abs(made - sum) < 0.1 * sum ? EmbeddingBagMode.Sum
            : Math.Abs(made - (sum / 2.0)) < 0.1 ? EmbeddingBagMode.Mean
            : EmbeddingBagMode.Max;
        return (mode, padding);
    }

    /// <summary>Rounds to the number that was set as the option; float32 results hold six digits of it.</summary>
    private static double Simple(double number) =>
        double.IsInfinity(number) || number == 0
            ? number
            : Math.Round(
                number,
                5 - (int)Math.Floor(Math.Log10(Math.Abs(number))) is var digits ? Math.Clamp(digits, 0, 15) : 0
            );
}
