// Searching. The position of a number in a sorted list is the number of elements that are less (or not greater, with
// right: true), found by counting. NaN belongs after all of them.
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Lowers searching in sorted lists, and set membership.</summary>
internal static class Searching
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        table.Operation(
            "bucketize",
            "Unsqueeze, Less, Not, ReduceSum",
            c => c.Result(Places(c, c.Tensor(), c.Tensor(1))),
            "right, outInt32"
        );
        table.Operation("searchsorted", "Unsqueeze, Less, Not, ReduceSum", SearchSorted, "right, out_int32, sorter");
        table.Operation("isin", "Unsqueeze, Equal, ReduceMax", IsIn, "invert");
    }

    /// <summary>The number of sorted elements before each value.</summary>
    private static GraphValue Places(LoweringContext c, GraphValue values, GraphValue sorted)
    {
        c.Flag(false, "outInt32", "out_int32"); // its effect is already in the result's dtype
        var type = promote_types(values.Type, sorted.Type);
        var value = new Formula(c, Layout.Behind(c, c.Cast(values, type), 1));
        var boundary = new Formula(
            c,
            sorted.Rank > 1 ? Layout.Unsqueeze(c, c.Cast(sorted, type), sorted.Rank - 1L) : c.Cast(sorted, type)
        );
        var isBefore = c.Flag(false, "right") ? !(boundary > value) : !(boundary >= value);
        return Reductions.Reduce(
            c,
            "ReduceSum",
            isBefore.To(ScalarType.Int64).Value,
            [isBefore.Value.Rank - 1],
            keep: false
        );
    }

    /// <summary>searchsorted, with a sorter if there is one.</summary>
    private static void SearchSorted(LoweringContext c)
    {
        var sorted = c.OptionalTensor("sorted_sequence")!.Value;
        if (c.OptionalTensor("sorter") is { } order)
            sorted = c.Like("GatherElements", [sorted, c.Cast(order, ScalarType.Int64)], ("axis", sorted.Rank - 1L));
        var values = c.OptionalTensor("values")
            ?? c.Scalar(c.Number(0, "values"), is_floating_point(sorted.Type) ? sorted.Type : ScalarType.Float32);
        c.Result(Places(c, values, sorted));
    }

    /// <summary>Whether each element is one of a set.</summary>
    private static void IsIn(LoweringContext c)
    {
        var (x, among) = (c.Tensor(), c.Tensor(1));
        c.Flag(false, "assumeUnique"); // only a performance hint
        var type = promote_types(x.Type, among.Type);
        var equal = new Formula(c, Layout.Behind(c, c.Cast(x, type), 1)).EqualTo(
            new Formula(c, c.Cast(Ranks.Vector(c, among), type))
        );
        var any =
            new Formula(c, Reductions.Reduce(c, "ReduceSum", equal.To(ScalarType.Int32).Value, [x.Rank], keep: false))
            > 0;
        c.Result(c.Flag(false, "invert") ? (!any).Value : any.Value);
    }
}
