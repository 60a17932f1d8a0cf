// Embeddings. A table whose rows are renormalized (max_norm) is written after renormalization: each row w with
// |w|_p > max_norm becomes w max_norm / (|w|_p + 1e-7). EmbeddingBag is Gather, then the sum, mean or maximum of each
// bag without the entries equal to padding_index:
//   [N, L]               one bag per row
//   [M], offsets [B]     bag b has the entries offsets[b] up to offsets[b + 1]: with the membership matrix
//                        member[b, m], the bags are member x rows
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>
/// Lowers Embedding and EmbeddingBag, whose options are found by running the native module on rows that distinguish
/// them.
/// </summary>
internal static class Embeddings
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        table.Module<Embedding>("Gather", Lookup, "padding_idx, max_norm and norm_type (probed)");
        table.Module<EmbeddingBag>(
            "Gather, ReduceSum; ReduceMax; MatMul, Div",
            Bags,
            "mode, max_norm, norm_type, padding_index, include_last_offset (probed), offsets, per_sample_weights"
        );
    }

    /// <summary>Rows of a table by their indices.</summary>
    private static void Lookup(LoweringContext c)
    {
        var module = (Embedding)c.Module!;
        var norm = EmbeddingProbe.Norm(module.weight!, index => module.forward(index));
        c.Result(c.Node("Gather", c.ResultType(), c.ResultRank(), [Table(c, module.weight!, norm), c.Tensor()]));
    }

    /// <summary>The table, renormalized if the module would do so at each lookup.</summary>
    private static GraphValue Table(LoweringContext c, Tensor weight, RowNorm? norm)
    {
        if (norm is null)
            return c.Parameter(weight, "weight");
        using var scope = NewDisposeScope();
        return c.Computed(norm.Apply(weight), "weight:renormalized");
    }

    /// <summary>The sum, mean or maximum of the rows of each bag.</summary>
    private static void Bags(LoweringContext c)
    {
        var module = (EmbeddingBag)c.Module!;
        var options = EmbeddingProbe.Bag(module);
        var wide = Kernels.Wide(c.ResultType());
        var index = c.Tensor();
        var rows = new Formula(
            c,
            c.Cast(
                c.Node("Gather", module.weight!.dtype, index.Rank + 1, [Table(c, module.weight!, options.Norm), index]),
                wide
            )
        );
        if (c.OptionalTensor("perSampleWeights", "per_sample_weights") is { } weights)
            rows *= new Formula(c, Layout.Behind(c, c.Cast(weights, wide), 1));
        Formula? present = options.PaddingIndex >= 0 ? !new Formula(c, index).EqualTo(options.PaddingIndex) : null;
        if (index.Rank == 2)
        {
            if (c.Has("offsets"))
                throw c.Refuse("offsets require a flat index, but this index is [N, L]; omit the offsets");
            // [N, L]: the entries that are not padding.
            var counted = present ?? new Formula(c, index).EqualTo(new Formula(c, index));
            if (options.IncludesLastOffset)
                throw c.Refuse(
                    "with include_last_offset and an [N, L] index, libtorch drops the last bag, and divides "
                        + "the one before by a wrong number. Pass offsets, or omit include_last_offset"
                );
            c.Result(
                options.Mode == EmbeddingBagMode.Max
                    ? Largest(c, rows, counted)
                    : Summed(c, rows, counted, options.Mode == EmbeddingBagMode.Mean)
            );
            return;
        }

        var member = Membership(c, index, options.IncludesLastOffset);
        if (present is { } some)
            member &= new Formula(c, Layout.Unsqueeze(c, some.Value, 0));
        if (options.Mode == EmbeddingBagMode.Max)
        {
            c.Result(Largest(c, new Formula(c, Layout.Unsqueeze(c, rows.Value, 0)), member));
            return;
        }

        var sums = new Formula(c, c.Node("MatMul", wide, 2, [member.To(wide).Value, rows.Value]));
        c.Result(options.Mode == EmbeddingBagMode.Mean ? (sums / Count(c, member, wide)).Value : sums.Value);
    }

    /// <summary>Whether entry m belongs to bag b.</summary>
    private static Formula Membership(LoweringContext c, GraphValue index, bool includesLastOffset)
    {
        var offsets = c.Cast(
            c.OptionalTensor("offsets") ?? throw c.Refuse("a flat index needs offsets, the start of each bag"),
            ScalarType.Int64
        );
        var entries = Layout.Size(c, index, 0);
        var next = Layout.Slice(c, offsets, 0, 1, long.MaxValue);
        var starts = includesLastOffset ? Layout.Slice(c, offsets, 0, 0, -1) : offsets;
        var ends = includesLastOffset ? next : Layout.Concat(c, 0, next, entries);
        var places = new Formula(c, Layout.Unsqueeze(c, Layout.Range(c, entries), 0));
        return (places >= new Formula(c, Layout.Unsqueeze(c, starts, 1)))
            & (places < new Formula(c, Layout.Unsqueeze(c, ends, 1)));
    }

    /// <summary>Number of entries in each bag without padding, at least 1.</summary>
    private static Formula Count(LoweringContext c, Formula counted, ScalarType type)
    {
        var count = new Formula(c, Reductions.Reduce(c, "ReduceSum", counted.To(type).Value, [1], keep: true));
        return count.Max(count.Number(1));
    }

    /// <summary>The sum or mean of the rows that are not padding.</summary>
    private static GraphValue Summed(LoweringContext c, Formula rows, Formula counted, bool mean)
    {
        var chosen = Formula.Where(new Formula(c, Layout.Behind(c, counted.Value, 1)), rows, 0);
        var sums = new Formula(c, Reductions.Reduce(c, "ReduceSum", chosen.Value, [1], keep: false));
        return mean ? (sums / Count(c, counted, rows.Type)).Value : sums.Value;
    }

    /// <summary>The maximum of each column of a bag; 0 if the bag is empty.</summary>
    private static GraphValue Largest(LoweringContext c, Formula rows, Formula counted)
    {
        var mask = new Formula(c, Layout.Behind(c, counted.Value, 1));
        var chosen = Formula.Where(mask, rows, double.NegativeInfinity);
        var largest = new Formula(c, Reductions.Extreme(c, "Max", chosen.Value, [1], keep: false));
        return Formula.Where(IsAny(c, counted), largest, 0).Value;
    }

    /// <summary>Whether a bag has any entry that is not padding.</summary>
    private static Formula IsAny(LoweringContext c, Formula counted) =>
        new Formula(c, Reductions.Reduce(c, "ReduceSum", counted.To(ScalarType.Float32).Value, [1], keep: true)) > 0;
}
