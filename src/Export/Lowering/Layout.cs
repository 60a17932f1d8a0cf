using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering;

/// <summary>
/// Writes nodes that move elements and read sizes. Axes are counted from the front; <c>c</c> is where the nodes are
/// written.
/// </summary>
internal static class Layout
{
    /// <summary>All sizes of a value, an int64 vector.</summary>
    /// <param name="c">Where nodes are added.</param>
    /// <param name="x">Any value.</param>
    /// <returns>int64 [rank].</returns>
    public static GraphValue Sizes(LoweringContext c, GraphValue x) => c.Node("Shape", ScalarType.Int64, 1, [x]);

    /// <summary>The size of an axis, an int64 vector of one element.</summary>
    /// <param name="c">Where nodes are added.</param>
    /// <param name="x">Any value.</param>
    /// <param name="axis">From 0.</param>
    /// <returns>int64, a scalar.</returns>
    public static GraphValue Size(LoweringContext c, GraphValue x, long axis) =>
        c.Node("Gather", ScalarType.Int64, 1, [Sizes(c, x), c.Constant(axis)]);

    /// <summary>The sizes with that of one axis replaced.</summary>
    /// <param name="c">Where nodes are added.</param>
    /// <param name="x">Any value.</param>
    /// <param name="axis">From 0.</param>
    /// <param name="size">What stands there instead, int64 [1].</param>
    /// <returns>int64 [rank].</returns>
    public static GraphValue SizesWith(LoweringContext c, GraphValue x, long axis, GraphValue size) =>
        c.Node("ScatterElements", ScalarType.Int64, 1, [Sizes(c, x), c.Constant(axis), size], ("axis", 0L));

    /// <summary>A vector of one element as a scalar.</summary>
    /// <param name="c">Where nodes are added.</param>
    /// <param name="one">A vector of one element.</param>
    /// <returns>Rank 0.</returns>
    public static GraphValue Scalar(LoweringContext c, GraphValue one) =>
        one.Rank == 0 ? one : c.Node("Squeeze", one.Type, 0, [one, c.Constant(0)]);

    /// <summary>The numbers 0 to <paramref name="count"/> - 1, int64.</summary>
    public static GraphValue Range(LoweringContext c, GraphValue count) =>
        c.Node("Range", ScalarType.Int64, 1, [c.IntegerScalar(0), Scalar(c, count), c.IntegerScalar(1)]);

    /// <summary>Elements from <paramref name="start"/> up to <paramref name="end"/>, which may count from the
    /// end.</summary>
    public static GraphValue Slice(LoweringContext c, GraphValue x, long axis, long start, long end, long step = 1) =>
        Slice(c, x, axis, c.Constant(start), c.Constant(end), step);

    /// <summary>Elements from <paramref name="start"/> up to <paramref name="end"/>, vectors of one element.</summary>
    public static GraphValue Slice(
        LoweringContext c,
        GraphValue x,
        long axis,
        GraphValue start,
        GraphValue end,
        long step = 1
    ) =>
        c.Like(
            "Slice",
            step == 1 ? [x, start, end, c.Constant(axis)] : [x, start, end, c.Constant(axis), c.Constant(step)]
        );

    /// <summary>Adds axes of size 1; they are counted in the result.</summary>
    /// <param name="c">Where nodes are added.</param>
    /// <param name="x">Any value.</param>
    /// <param name="axes">Places of the new axes in the result.</param>
    public static GraphValue Unsqueeze(LoweringContext c, GraphValue x, params long[] axes) =>
        axes.Length == 0 ? x : c.Node("Unsqueeze", x.Type, x.Rank + axes.Length, [x, c.Constants(axes)]);

    /// <summary>Adds axes of size 1 at the end.</summary>
    /// <param name="c">Where nodes are added.</param>
    /// <param name="x">Any value.</param>
    /// <param name="count">How many axes of size 1.</param>
    public static GraphValue Behind(LoweringContext c, GraphValue x, int count) =>
        Unsqueeze(c, x, [.. Enumerable.Range(x.Rank, count).Select(axis => (long)axis)]);

    /// <summary>Adds axes of size 1 at the front until there are <paramref name="rank"/>.</summary>
    public static GraphValue InFront(LoweringContext c, GraphValue x, int rank) =>
        Unsqueeze(c, x, [.. Enumerable.Range(0, Math.Max(0, rank - x.Rank)).Select(axis => (long)axis)]);

    /// <summary>Drops axes of size 1.</summary>
    /// <param name="c">Where nodes are added.</param>
    /// <param name="x">Any value.</param>
    /// <param name="axes">Axes of size 1.</param>
    public static GraphValue Squeeze(LoweringContext c, GraphValue x, params long[] axes) =>
        c.Node("Squeeze", x.Type, x.Rank - axes.Length, [x, c.Constants(axes)]);

    /// <summary>Reorders axes.</summary>
    /// <param name="c">Where nodes are added.</param>
    /// <param name="x">Any value.</param>
    /// <param name="perm">For each axis of the result the one that it was.</param>
    public static GraphValue Permute(LoweringContext c, GraphValue x, params long[] perm) =>
        perm.SequenceEqual(Enumerable.Range(0, perm.Length).Select(axis => (long)axis))
            ? x
            : c.Like("Transpose", [x], ("perm", perm));

    /// <summary>Exchanges two axes.</summary>
    /// <param name="c">Where nodes are added.</param>
    /// <param name="x">Any value.</param>
    /// <param name="a">An axis, from 0 or from the end.</param>
    /// <param name="b">Another one.</param>
    public static GraphValue Swap(LoweringContext c, GraphValue x, long a, long b)
    {
        if (x.Rank < 2)
            return x;
        var perm = Enumerable.Range(0, x.Rank).Select(axis => (long)axis).ToArray();
        (perm[a], perm[b]) = (b, a);
        return Permute(c, x, perm);
    }

    /// <summary>Moves an axis to another place.</summary>
    /// <param name="c">Where nodes are added.</param>
    /// <param name="x">Any value.</param>
    /// <param name="from">Where the axis is.</param>
    /// <param name="to">Where it goes.</param>
    public static GraphValue Move(LoweringContext c, GraphValue x, long from, long to)
    {
        var perm = Enumerable.Range(0, x.Rank).Select(axis => (long)axis).Where(axis => axis != from).ToList();
        perm.Insert((int)to, from);
        return Permute(c, x, [.. perm]);
    }

    /// <summary>Gives a value sizes: an int64 vector in which 0 is a size.</summary>
    /// <param name="c">Where nodes are added.</param>
    /// <param name="x">Any value.</param>
    /// <param name="sizes">int64; -1 for the one that follows from the others.</param>
    /// <param name="rank">How many sizes there are.</param>
    public static GraphValue Reshape(LoweringContext c, GraphValue x, GraphValue sizes, int rank) =>
        c.Node("Reshape", x.Type, rank, [x, sizes], ("allowzero", 1L));

    /// <summary>The product of sizes, a vector of one element; 1 for none.</summary>
    /// <param name="c">Where nodes are added.</param>
    /// <param name="x">Any value.</param>
    /// <param name="axes">Axes whose sizes are multiplied.</param>
    public static GraphValue Product(LoweringContext c, GraphValue x, params long[] axes) =>
        axes.Length == 0
            ? c.Constant(1)
            : c.Node(
                "ReduceProd",
                ScalarType.Int64,
                1,
                [c.Node("Gather", ScalarType.Int64, 1, [Sizes(c, x), c.Constants(axes)])],
                ("keepdims", 1L)
            );

    /// <summary>Repeats axes of size 1.</summary>
    /// <param name="c">Where nodes are added.</param>
    /// <param name="x">Any value.</param>
    /// <param name="sizes">int64 [rank].</param>
    /// <param name="rank">Of the result.</param>
    public static GraphValue Expand(LoweringContext c, GraphValue x, GraphValue sizes, int rank) =>
        c.Node("Expand", x.Type, Math.Max(x.Rank, rank), [x, sizes]);

    /// <summary>Joins along an axis.</summary>
    /// <param name="c">Where nodes are added.</param>
    /// <param name="axis">Along which.</param>
    /// <param name="parts">Of one type and rank.</param>
    public static GraphValue Concat(LoweringContext c, long axis, params GraphValue[] parts) =>
        parts.Length == 1 ? parts[0] : c.Like("Concat", parts, ("axis", axis));

    /// <summary>Rows of an axis by their numbers; the axes of the numbers take the place of the axis.</summary>
    /// <param name="c">Where nodes are added.</param>
    /// <param name="x">Any value.</param>
    /// <param name="numbers">int64; its axes take the place of the one that is gathered along.</param>
    /// <param name="axis">Along which.</param>
    public static GraphValue Gather(LoweringContext c, GraphValue x, GraphValue numbers, long axis) =>
        c.Node("Gather", x.Type, x.Rank - 1 + numbers.Rank, [x, numbers], ("axis", axis));
}
