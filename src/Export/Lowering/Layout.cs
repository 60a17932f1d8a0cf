using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering;

/// <summary>
/// Adds nodes that move elements and read sizes. Axes are non-negative; <c>c</c> receives the nodes.
/// </summary>
internal static class Layout
{
    /// <summary>All sizes of a value, an int64 vector.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Any value.</param>
    /// <returns>int64 [rank].</returns>
    public static GraphValue Sizes(LoweringContext c, GraphValue x) => c.Node("Shape", ScalarType.Int64, 1, [x]);

    /// <summary>The size of an axis, an int64 vector with one element.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Any value.</param>
    /// <param name="axis">Axis, from 0.</param>
    /// <returns>int64, a scalar.</returns>
    public static GraphValue Size(LoweringContext c, GraphValue x, long axis) =>
        c.Node("Gather", ScalarType.Int64, 1, [Sizes(c, x), c.Constant(axis)]);

    /// <summary>All sizes, with the size of one axis replaced.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Any value.</param>
    /// <param name="axis">Axis, from 0.</param>
    /// <param name="size">The new size, int64 [1].</param>
    /// <returns>int64 [rank].</returns>
    public static GraphValue SizesWith(LoweringContext c, GraphValue x, long axis, GraphValue size) =>
        c.Node("ScatterElements", ScalarType.Int64, 1, [Sizes(c, x), c.Constant(axis), size], ("axis", 0L));

    /// <summary>Reshapes a vector with one element to a scalar.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="one">A vector with one element.</param>
    /// <returns>A scalar (rank 0).</returns>
    public static GraphValue Scalar(LoweringContext c, GraphValue one) =>
        one.Rank == 0 ? one : c.Node("Squeeze", one.Type, 0, [one, c.Constant(0)]);

    /// <summary>The numbers 0 to <paramref name="count"/> - 1, int64.</summary>
    public static GraphValue Range(LoweringContext c, GraphValue count) =>
        c.Node("Range", ScalarType.Int64, 1, [c.IntegerScalar(0), Scalar(c, count), c.IntegerScalar(1)]);

    /// <summary>Elements from <paramref name="start"/> up to <paramref name="end"/>; negative positions count from
    /// the end.</summary>
    public static GraphValue Slice(LoweringContext c, GraphValue x, long axis, long start, long end, long step = 1) =>
        Slice(c, x, axis, c.Constant(start), c.Constant(end), step);

    /// <summary>Elements from <paramref name="start"/> up to <paramref name="end"/>, both vectors with one
    /// element.</summary>
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

    /// <summary>Adds axes of size 1.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Any value.</param>
    /// <param name="axes">Positions of the new axes in the result.</param>
    public static GraphValue Unsqueeze(LoweringContext c, GraphValue x, params long[] axes) =>
        axes.Length == 0 ? x : c.Node("Unsqueeze", x.Type, x.Rank + axes.Length, [x, c.Constants(axes)]);

    /// <summary>Adds axes of size 1 at the end.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Any value.</param>
    /// <param name="count">Number of axes to add.</param>
    public static GraphValue Behind(LoweringContext c, GraphValue x, int count) =>
        Unsqueeze(c, x, [.. Enumerable.Range(x.Rank, count).Select(axis => (long)axis)]);

    /// <summary>Adds axes of size 1 at the front until there are <paramref name="rank"/>.</summary>
    public static GraphValue InFront(LoweringContext c, GraphValue x, int rank) =>
        Unsqueeze(c, x, [.. Enumerable.Range(0, Math.Max(0, rank - x.Rank)).Select(axis => (long)axis)]);

    /// <summary>Removes axes of size 1.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Any value.</param>
    /// <param name="axes">Axes of size 1.</param>
    public static GraphValue Squeeze(LoweringContext c, GraphValue x, params long[] axes) =>
        c.Node("Squeeze", x.Type, x.Rank - axes.Length, [x, c.Constants(axes)]);

    /// <summary>Reorders axes.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Any value.</param>
    /// <param name="perm">For each axis of the result, the source axis.</param>
    public static GraphValue Permute(LoweringContext c, GraphValue x, params long[] perm) =>
        perm.SequenceEqual(Enumerable.Range(0, perm.Length).Select(axis => (long)axis))
            ? x
            : c.Like("Transpose", [x], ("perm", perm));

    /// <summary>Swaps two axes.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Any value.</param>
    /// <param name="a">The first axis; negative values count from the end.</param>
    /// <param name="b">The second axis.</param>
    public static GraphValue Swap(LoweringContext c, GraphValue x, long a, long b)
    {
        if (x.Rank < 2)
            return x;
        var perm = Enumerable.Range(0, x.Rank).Select(axis => (long)axis).ToArray();
        (perm[a], perm[b]) = (b, a);
        return Permute(c, x, perm);
    }

    /// <summary>Moves an axis to another position.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Any value.</param>
    /// <param name="from">Current position.</param>
    /// <param name="to">New position.</param>
    public static GraphValue Move(LoweringContext c, GraphValue x, long from, long to)
    {
        var perm = Enumerable.Range(0, x.Rank).Select(axis => (long)axis).Where(axis => axis != from).ToList();
        perm.Insert((int)to, from);
        return Permute(c, x, [.. perm]);
    }

    /// <summary>Reshapes a value; 0 in the sizes means a size of 0.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Any value.</param>
    /// <param name="sizes">int64 vector; -1 for the size to infer.</param>
    /// <param name="rank">Rank of the result.</param>
    public static GraphValue Reshape(LoweringContext c, GraphValue x, GraphValue sizes, int rank) =>
        c.Node("Reshape", x.Type, rank, [x, sizes], ("allowzero", 1L));

    /// <summary>The product of sizes, a vector with one element; 1 for no axes.</summary>
    /// <param name="c">Receives the nodes.</param>
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

    /// <summary>Broadcasts axes of size 1.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Any value.</param>
    /// <param name="sizes">int64 [rank].</param>
    /// <param name="rank">Rank of the result.</param>
    public static GraphValue Expand(LoweringContext c, GraphValue x, GraphValue sizes, int rank) =>
        c.Node("Expand", x.Type, Math.Max(x.Rank, rank), [x, sizes]);

    /// <summary>Concatenates values along an axis.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="axis">The axis.</param>
    /// <param name="parts">Parts of one type and rank.</param>
    public static GraphValue Concat(LoweringContext c, long axis, params GraphValue[] parts) =>
        parts.Length == 1 ? parts[0] : c.Like("Concat", parts, ("axis", axis));

    /// <summary>Gathers slices along an axis by index; the axes of the indices replace the axis.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Any value.</param>
    /// <param name="numbers">The indices, int64.</param>
    /// <param name="axis">The axis.</param>
    public static GraphValue Gather(LoweringContext c, GraphValue x, GraphValue numbers, long axis) =>
        c.Node("Gather", x.Type, x.Rank - 1 + numbers.Rank, [x, numbers], ("axis", axis));
}
