// Shapes. Sizes that follow a free axis become 0 or -1 in Reshape where that says the same, else they are computed.
using TorchBridge.Export.Capture;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Shapes
{
    public static void Register(OperatorTable table)
    {
        foreach (var name in (string[])["view", "reshape", "view_as", "ravel", "unflatten", "atleast_1d", "atleast_2d", "atleast_3d"]) table.Operation(name, "Reshape; Flatten", ToResult, "sizes that follow free axes, -1");
        table.Module<Unflatten>("Reshape", ToResult, "dim, unflattened_size");
        table.Operation("flatten", "Flatten; Reshape", c => Flatten(c, c.Integer(0, "start_dim"), c.Integer(-1, "end_dim")), "start_dim, end_dim");
        table.Module<Flatten>("Flatten; Reshape", c => Flatten(c, ((Flatten)c.Module!).start_dim, ((Flatten)c.Module!).end_dim), "start_dim, end_dim");
        table.Operation("squeeze", "Squeeze", Squeeze, "dim");
        table.Operation("unsqueeze", "Unsqueeze", c => c.Result(c.Node("Unsqueeze", c.ResultType(), c.ResultRank(), [c.Tensor(), c.Constant(c.Axis(c.Integer(0, "dim"), c.ResultRank()))])), "dim");
        table.Operation("permute", "Transpose", c => Transpose(c, [.. c.Integers("permutation", "dims", "dim")!.Select(axis => c.Axis(axis, c.Tensor().Rank))]), "dims");
        table.Operation("transpose", "Transpose", c => Swap(c, c.Integer(0, "dim0"), c.Integer(1, "dim1")), "dim0, dim1");
        foreach (var name in (string[])["t", "T", "mT", "adjoint"]) table.Operation(name, "Transpose", TransposeAll);
        table.Operation("movedim", "Transpose", MoveDim, "source, destination");
        foreach (var name in (string[])["expand", "broadcast_to", "expand_as"]) table.Operation(name, "Expand", Expand, "sizes that follow free axes, -1");
        foreach (var name in (string[])["repeat", "tile"]) table.Operation(name, "Tile", Repeat, "repeats");
        table.Operation("repeat_interleave", "Unsqueeze, Tile, Reshape", RepeatInterleave, "repeats: a number, dim");
        table.Operation("flip", "Slice", c => Flip(c, c.Integers("dims", "dim")!), "dims");
        table.Operation("fliplr", "Slice", c => Flip(c, [1]));
        table.Operation("flipud", "Slice", c => Flip(c, [0]));
        table.Operation("roll", "Slice, Concat", Roll, "shifts, dims");
        table.Operation("pixel_shuffle", "DepthToSpace", c => PixelShuffle(c, c.Integer(1, "upscale_factor")), "upscale_factor");
        table.Module<PixelShuffle>("DepthToSpace", c => PixelShuffle(c, ((PixelShuffle)c.Module!).upscale_factor), "upscale_factor");
        table.Operation("pixel_unshuffle", "Reshape, Transpose", c => PixelUnshuffle(c, c.Integer(1, "downscale_factor")), "downscale_factor");
        table.Module<PixelUnshuffle>("Reshape, Transpose", c => PixelUnshuffle(c, ((PixelUnshuffle)c.Module!).downscale_factor), "downscale_factor");
        table.Module<ChannelShuffle>("Reshape, Transpose", c => ChannelShuffle(c, ((ChannelShuffle)c.Module!).groups), "groups");
        table.Operation("channel_shuffle", "Reshape, Transpose", c => ChannelShuffle(c, c.Integer(1, "groups")), "groups");
    }

    /// <summary>Reshapes the first tensor to the result's shape.</summary>
    public static void ToResult(LoweringContext c)
    {
        var input = c.Tensor();
        c.Result(ReshapeTo(c, input, LoweringContext.ToSizes(c.SizesOf(input)), LoweringContext.ToSizes(c.ResultSizes())));
    }

    /// <summary>Reshapes a value whose sizes are known to others that are.</summary>
    public static GraphValue ReshapeTo(LoweringContext c, GraphValue input, object?[] from, object?[] to)
    {
        // [a, b, c] to [a, b*c]: what view(x.size(0), -1) means. Flatten is exact there at every size.
        if (from.Length > 2 && to.Length == 2 && Same(from[0], to[0]) && from.Skip(1).All(size => size is long) && to[1] is long)
            return c.Node("Flatten", input.Type, 2, [input], ("axis", 1L));

        var target = new object?[to.Length];
        var inferred = false;
        for (var i = 0; i < to.Length; i++)
        {
            // 0 copies the size at the same place; one other size may be left to Reshape, where no size is 0.
            if (to[i] is long size) target[i] = size;
            else if (i < from.Length && Same(from[i], to[i])) target[i] = 0L;
            else if (!inferred) (target[i], inferred) = (-1L, true);
            else target[i] = to[i];
        }

        if (to.Any(size => size is 0L)) target = to; // an empty tensor: 0 means zero there
        return c.Node("Reshape", input.Type, to.Length, [input, c.SizeVector(target)]);
    }

    /// <summary>Reorders axes.</summary>
    public static GraphValue Permute(LoweringContext c, GraphValue x, params long[] perm) => c.Like("Transpose", [x], ("perm", perm));

    private static void Flatten(LoweringContext c, long start, long end)
    {
        var input = c.Tensor();
        if (input.Rank > 1 && c.Axis(start, input.Rank) == 1 && c.Axis(end, input.Rank) == input.Rank - 1) c.Result(c.Node("Flatten", input.Type, 2, [input], ("axis", 1L)));
        else ToResult(c);
    }

    private static void Squeeze(LoweringContext c)
    {
        var input = c.Tensor();
        var given = c.Integers("dim", "dims");
        var axes = given?.Select(axis => c.Axis(axis, input.Rank)) ?? Enumerable.Range(0, input.Rank).Select(axis => (long)axis);
        var ones = axes.Where(axis => c.FixedSize(input, (int)axis) == 1).ToArray();
        c.Result(ones.Length == 0 ? input : c.Node("Squeeze", input.Type, c.ResultRank(), [input, c.Constants(ones)]));
    }

    private static void Transpose(LoweringContext c, long[] perm) => c.Result(c.Like("Transpose", [c.Tensor()], ("perm", perm)));

    private static void Swap(LoweringContext c, long a, long b)
    {
        var perm = Enumerable.Range(0, c.Tensor().Rank).Select(axis => (long)axis).ToArray();
        (a, b) = (c.Axis(a, perm.Length), c.Axis(b, perm.Length));
        (perm[a], perm[b]) = (perm[b], perm[a]);
        Transpose(c, perm);
    }

    private static void TransposeAll(LoweringContext c)
    {
        var rank = c.Tensor().Rank;
        if (rank < 2) c.Result(c.Tensor());
        else Swap(c, -1, -2);
    }

    private static void MoveDim(LoweringContext c)
    {
        var rank = c.Tensor().Rank;
        var from = c.Integers("source")!.Select(axis => c.Axis(axis, rank)).ToArray();
        var to = c.Integers("destination")!.Select(axis => c.Axis(axis, rank)).ToArray();
        var perm = Enumerable.Repeat(-1L, rank).ToArray();
        for (var i = 0; i < from.Length; i++) perm[to[i]] = from[i];
        var rest = new Queue<long>(Enumerable.Range(0, rank).Select(axis => (long)axis).Except(from));
        Transpose(c, [.. perm.Select(axis => axis >= 0 ? axis : rest.Dequeue())]);
    }

    private static void Expand(LoweringContext c) => c.Result(c.Node("Expand", c.ResultType(), c.ResultRank(), [c.Tensor(), c.SizeVector(LoweringContext.ToSizes(c.ResultSizes()))]));

    private static void Repeat(LoweringContext c)
    {
        var input = c.Tensor();
        var repeats = ((c.Raw("repeats", "dims", "reps", "sizes") as object?[]) ?? throw c.Refuse("no repeats")).ToList();
        while (repeats.Count < input.Rank) repeats.Insert(0, 1L);
        if (repeats.Count > input.Rank) input = c.Node("Unsqueeze", input.Type, repeats.Count, [input, c.Constants([.. Enumerable.Range(0, repeats.Count - input.Rank).Select(axis => (long)axis)])]);
        c.Result(c.Like("Tile", [input, c.SizeVector(repeats)]));
    }

    private static void RepeatInterleave(LoweringContext c)
    {
        if (c.Raw("repeats") is not long repeats || c.Raw("dim") is not long dim) throw c.Refuse("only a number of repeats along a given dim");
        var input = c.Tensor();
        var axis = c.Axis(dim, input.Rank);
        var wide = c.Node("Unsqueeze", input.Type, input.Rank + 1, [input, c.Constant(axis + 1)]);
        var tiled = c.Like("Tile", [wide, c.Constants([.. Enumerable.Range(0, wide.Rank).Select(i => i == axis + 1 ? repeats : 1)])]);
        c.Result(c.Node("Reshape", input.Type, input.Rank, [tiled, c.SizeVector(LoweringContext.ToSizes(c.ResultSizes()))]));
    }

    private static void Flip(LoweringContext c, long[] dims)
    {
        var input = c.Tensor();
        var axes = dims.Select(axis => c.Axis(axis, input.Rank)).ToArray();
        GraphValue All(long value) => c.Constants([.. axes.Select(_ => value)]);
        c.Result(c.Like("Slice", [input, All(-1), All(long.MinValue), c.Constants(axes), All(-1)]));
    }

    private static void Roll(LoweringContext c)
    {
        var value = c.Tensor();
        var shifts = c.Integers("shifts", "shift")!;
        var dims = c.Integers("dims", "dim") ?? throw c.Refuse("roll without dims; name the axes");
        for (var i = 0; i < shifts.Length; i++)
        {
            // The last `shift` elements come first; a slice counts from the end, so the size may be free.
            if (shifts[i] == 0) continue;
            var axis = c.Axis(dims[i], value.Rank);
            var tail = c.Like("Slice", [value, c.Constant(-shifts[i]), c.Constant(long.MaxValue), c.Constant(axis)]);
            var head = c.Like("Slice", [value, c.Constant(0), c.Constant(-shifts[i]), c.Constant(axis)]);
            value = c.Like("Concat", [tail, head], ("axis", axis));
        }

        c.Result(value);
    }

    private static void PixelShuffle(LoweringContext c, long factor) => c.Result(c.Like("DepthToSpace", [c.Tensor()], ("blocksize", factor), ("mode", "CRD")));

    private static void PixelUnshuffle(LoweringContext c, long factor)
    {
        // [N, C, H r, W r] to [N, C, H, r, W, r], then r r before H W.
        var x = c.Tensor();
        var sizes = LoweringContext.ToSizes(c.ResultSizes());
        var channels = c.FixedSize(x, 1) ?? throw c.Refuse("a free channel axis");
        var split = c.Node("Reshape", x.Type, 6, [x, c.SizeVector([0L, channels, sizes[2], factor, sizes[3], factor])]);
        c.Result(c.Node("Reshape", x.Type, 4, [Permute(c, split, 0, 1, 3, 5, 2, 4), c.SizeVector([0L, channels * factor * factor, sizes[2], sizes[3]])]));
    }

    private static void ChannelShuffle(LoweringContext c, long groups)
    {
        var x = c.Tensor();
        var channels = c.FixedSize(x, 1) ?? throw c.Refuse("a free channel axis");
        var sizes = LoweringContext.ToSizes(c.ResultSizes());
        var split = c.Node("Reshape", x.Type, 4, [x, c.Constants([0, groups, channels / groups, -1])]);
        c.Result(c.Node("Reshape", x.Type, x.Rank, [Permute(c, split, 0, 2, 1, 3), c.SizeVector([0L, .. sizes[1..]])]));
    }

    private static bool Same(object? a, object? b) => (a, b) switch
    {
        (long x, long y) => x == y,
        (VaryingInteger x, VaryingInteger y) => x.Values.AsSpan().SequenceEqual(y.Values),
        _ => false,
    };
}
