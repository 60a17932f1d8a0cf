// Shapes. Sizes that depend on a free axis become 0 or -1 in Reshape where that is equivalent; otherwise they are
// computed.
using TorchBridge.Export.Capture;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>
/// Lowers reshaping, transposing, repeating, flipping, diagonals and sliding windows.
/// </summary>
internal static class Reshaping
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        foreach (
            var name in (string[])
                ["view", "reshape", "view_as", "ravel", "unflatten", "atleast_1d", "atleast_2d", "atleast_3d"]
        )
            table.Operation(name, "Reshape; Flatten", ToResult, "sizes may depend on free axes, -1");
        table.Module<Unflatten>("Reshape", ToResult, "dim, unflattened_size");
        table.Operation(
            "flatten",
            "Flatten; Reshape",
            c => Flatten(c, c.Integer(0, "start_dim"), c.Integer(-1, "end_dim")),
            "start_dim, end_dim"
        );
        table.Module<Flatten>(
            "Flatten; Reshape",
            c => Flatten(c, ((Flatten)c.Module!).start_dim, ((Flatten)c.Module!).end_dim),
            "start_dim, end_dim"
        );
        table.Operation("squeeze", "Squeeze", Squeeze, "dim");
        table.Operation(
            "unsqueeze",
            "Unsqueeze",
            c =>
                c.Result(
                    c.Node(
                        "Unsqueeze",
                        c.ResultType(),
                        c.ResultRank(),
                        [c.Tensor(), c.Constant(c.Axis(c.Integer(0, "dim"), c.ResultRank()))]
                    )
                ),
            "dim"
        );
        table.Operation(
            "permute",
            "Transpose",
            c =>
                c.Result(
                    Layout.Permute(
                        c,
                        c.Tensor(),
                        [.. c.Integers("permutation", "dims", "dim")!.Select(axis => c.Axis(axis, c.Tensor().Rank))]
                    )
                ),
            "dims"
        );
        table.Operation(
            "transpose",
            "Transpose",
            c => c.Result(Swap(c, c.Tensor(), c.Integer(0, "dim0", "axis0"), c.Integer(1, "dim1", "axis1"))),
            "dim0, dim1"
        );
        foreach (var name in (string[])["t", "mT", "adjoint"])
            table.Operation(name, "Transpose", c =>
                c.Result(c.Tensor().Rank < 2 ? c.Tensor() : Swap(c, c.Tensor(), -1, -2))
            );
        table.Operation("T", "Transpose", c =>
            c.Result(
                Layout.Permute(
                    c,
                    c.Tensor(),
                    [.. Enumerable.Range(0, c.Tensor().Rank).Reverse().Select(axis => (long)axis)]
                )
            )
        );
        table.Operation("movedim", "Transpose", MoveDim, "source, destination");
        foreach (var name in (string[])["expand", "broadcast_to", "expand_as"])
            table.Operation(name, "Expand", Expand, "sizes may depend on free axes, -1");
        foreach (var name in (string[])["repeat", "tile"])
            table.Operation(name, "Tile", Repeat, "repeats");
        table.Operation("repeat_interleave", "Unsqueeze, Tile, Reshape", RepeatInterleave, "repeats: a number, dim");
        table.Operation("flip", "Slice", c => c.Result(Flip(c, c.Tensor(), c.Integers("dims", "dim")!)), "dims");
        table.Operation("fliplr", "Slice", c => c.Result(Flip(c, c.Tensor(), [1])));
        table.Operation("flipud", "Slice", c => c.Result(Flip(c, c.Tensor(), [0])));
        table.Operation("rot90", "Slice, Transpose", Rotate, "k, dims");
        table.Operation("roll", "Slice, Concat", Roll, "shifts, dims");
        table.Operation(
            "pixel_shuffle",
            "DepthToSpace; Reshape, Transpose",
            c => PixelShuffle(c, c.Integer(1, "upscale_factor")),
            "upscale_factor"
        );
        table.Module<PixelShuffle>(
            "DepthToSpace; Reshape, Transpose",
            c => PixelShuffle(c, ((PixelShuffle)c.Module!).upscale_factor),
            "upscale_factor"
        );
        table.Operation(
            "pixel_unshuffle",
            "Reshape, Transpose",
            c => PixelUnshuffle(c, c.Integer(1, "downscale_factor")),
            "downscale_factor"
        );
        table.Module<PixelUnshuffle>(
            "Reshape, Transpose",
            c => PixelUnshuffle(c, ((PixelUnshuffle)c.Module!).downscale_factor),
            "downscale_factor"
        );
        table.Module<ChannelShuffle>(
            "Reshape, Transpose",
            c => ChannelShuffle(c, ((ChannelShuffle)c.Module!).groups),
            "groups"
        );
        table.Operation(
            "channel_shuffle",
            "Reshape, Transpose",
            c => ChannelShuffle(c, c.Integer(1, "groups")),
            "groups"
        );
        table.Operation(
            "unfold",
            "Range, Mul, Add, Gather, Transpose; Pad, Gather, Reshape",
            c =>
            {
                if (c.Method.IsStatic)
                    Resampling.UnfoldFunction(c);
                else
                    Windows(c);
            },
            "dimension, size, step; of nn.functional: kernel_size, dilation, padding, stride"
        );
        foreach (var name in (string[])["diagonal", "linalg.diagonal"])
            table.Operation(
                name,
                "Reshape, Gather",
                c =>
                    c.Result(
                        Diagonal(
                            c,
                            c.Tensor(),
                            c.Integer(0, "offset"),
                            c.Integer(name == "diagonal" ? 0 : -2, "dim1"),
                            c.Integer(name == "diagonal" ? 1 : -1, "dim2")
                        )
                    ),
                "offset, dim1, dim2"
            );
        table.Operation(
            "diag",
            "Reshape, Gather; Pad, Equal, Where",
            c =>
                c.Result(
                    c.Tensor().Rank == 2
                        ? Diagonal(c, c.Tensor(), c.Integer(0, "diagonal"), 0, 1)
                        : EmbedDiagonal(c, c.Integer(0, "diagonal"), 0, 1)
                ),
            "diagonal"
        );
        table.Operation(
            "diag_embed",
            "Pad, Equal, Where",
            c => c.Result(EmbedDiagonal(c, c.Integer(0, "offset"), c.Integer(-2, "dim1"), c.Integer(-1, "dim2"))),
            "offset, dim1, dim2"
        );
    }

    /// <summary>Reshapes the first tensor to the result's shape.</summary>
    /// <param name="c">The operation.</param>
    public static void ToResult(LoweringContext c)
    {
        var input = c.Tensor();
        c.Result(
            ReshapeTo(c, input, LoweringContext.ToSizes(c.SizesOf(input)), LoweringContext.ToSizes(c.ResultSizes()))
        );
    }

    /// <summary>Reshapes a value from known sizes to known sizes.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="input">The value.</param>
    /// <param name="from">Its sizes, each fixed or varying.</param>
    /// <param name="to">The new sizes.</param>
    public static GraphValue ReshapeTo(LoweringContext c, GraphValue input, object?[] from, object?[] to)
    {
        // [a, b, c] to [a, b*c], the meaning of view(x.size(0), -1): Flatten is exact at every size.
        if (
            from.Length > 2
            && to.Length == 2
            && Same(from[0], to[0])
            && from.Skip(1).All(size => size is long)
            && to[1] is long
        )
            return c.Node("Flatten", input.Type, 2, [input], ("axis", 1L));

        var target = new object?[to.Length];
        var inferred = false;
        for (var index = 0; index < to.Length; index++)
        {
            // 0 copies the size at the same position; one other size may be left for Reshape to infer, if no size is
            // 0.
            if (to[index] is long size)
                target[index] = size;
            else if (index < from.Length && Same(from[index], to[index]))
                target[index] = 0L;
            else if (!inferred)
                (target[index], inferred) = (-1L, true);
            else
                target[index] = to[index];
        }

        if (to.Any(size => size is 0L))
            target = to; // for an empty tensor, 0 means a size of zero
        return c.Node("Reshape", input.Type, to.Length, [input, c.SizeVector(target)]);
    }

    /// <summary>Merges several axes into one.</summary>
    /// <param name="c">The operation.</param>
    /// <param name="start">First axis; negative values count from the end.</param>
    /// <param name="end">Last axis; negative values count from the end.</param>
    private static void Flatten(LoweringContext c, long start, long end)
    {
        var input = c.Tensor();
        if (input.Rank > 1 && c.Axis(start, input.Rank) == 1 && c.Axis(end, input.Rank) == input.Rank - 1)
            c.Result(c.Node("Flatten", input.Type, 2, [input], ("axis", 1L)));
        else
            ToResult(c);
    }

    /// <summary>Removes axes that have size 1 at every size of the free axes.</summary>
    private static void Squeeze(LoweringContext c)
    {
        var input = c.Tensor();
        var given = c.Integers("dim", "dims");
        var axes = given?.Select(axis => c.Axis(axis, input.Rank))
            ?? Enumerable.Range(0, input.Rank).Select(axis => (long)axis);
        var ones = axes.Where(axis => axis < input.Rank && c.FixedSize(input, (int)axis) == 1).ToArray();
        c.Result(ones.Length == 0 ? input : c.Node("Squeeze", input.Type, c.ResultRank(), [input, c.Constants(ones)]));
    }

    /// <summary>Swaps two axes; negative values count from the end.</summary>
    private static GraphValue Swap(LoweringContext c, GraphValue x, long a, long b) =>
        Layout.Swap(c, x, c.Axis(a, x.Rank), c.Axis(b, x.Rank));

    /// <summary>Moves axes to other positions; the rest keep their order.</summary>
    private static void MoveDim(LoweringContext c)
    {
        var input = c.Tensor();
        var from = c.Integers("source")!.Select(axis => c.Axis(axis, input.Rank)).ToArray();
        var to = c.Integers("destination")!.Select(axis => c.Axis(axis, input.Rank)).ToArray();
        var perm = Enumerable.Repeat(-1L, input.Rank).ToArray();
        var rest = new Queue<long>(Enumerable.Range(0, input.Rank).Select(axis => (long)axis).Except(from));
        for (var index = 0; index < Math.Min(from.Length, input.Rank); index++)
            perm[to[index]] = from[index];
        c.Result(Layout.Permute(c, input, [.. perm.Select(axis => axis >= 0 ? axis : rest.Dequeue())]));
    }

    /// <summary>Broadcasts axes of size 1.</summary>
    private static void Expand(LoweringContext c) =>
        c.Result(
            c.Node(
                "Expand",
                c.ResultType(),
                c.ResultRank(),
                [c.Tensor(), c.SizeVector(LoweringContext.ToSizes(c.ResultSizes()))]
            )
        );

    /// <summary>Repeats a tensor along its axes; the numbers of repeats may depend on free axes.</summary>
    private static void Repeat(LoweringContext c)
    {
        var input = c.Tensor();
        var repeats = (
            (c.Raw("repeats", "dims", "reps", "sizes") as object?[]) ?? throw c.Refuse("repeats is missing")
        ).ToList();
        while (repeats.Count < input.Rank)
            repeats.Insert(0, 1L);
        if (repeats.Count > input.Rank)
            input = c.Node(
                "Unsqueeze",
                input.Type,
                repeats.Count,
                [input, c.Constants([.. Enumerable.Range(0, repeats.Count - input.Rank).Select(axis => (long)axis)])]
            );
        c.Result(c.Like("Tile", [input, c.SizeVector(repeats)]));
    }

    /// <summary>Repeats every element; the number of repeats must be a single number.</summary>
    private static void RepeatInterleave(LoweringContext c)
    {
        if (c.Raw("repeats") is not long repeats)
            throw c.Refuse(
                "repeats is a tensor, so the size of the result would depend on the data. Pass a single "
                    + "number, or index with a tensor of positions"
            );
        c.Raw("output_size");
        var input = c.Raw("dim") is null ? Ranks.Vector(c, c.Tensor()) : c.Tensor();
        var axis = c.Axis(c.Integer(0, "dim"), input.Rank);
        var wide = Layout.Unsqueeze(c, input, axis + 1);
        var tiled = c.Like(
            "Tile",
            [wide, c.Constants([.. Enumerable.Range(0, wide.Rank).Select(i => i == axis + 1 ? repeats : 1)])]
        );
        c.Result(Layout.Reshape(c, tiled, c.SizeVector(LoweringContext.ToSizes(c.ResultSizes())), input.Rank));
    }

    /// <summary>Reverses axes: a slice with step -1.</summary>
    private static GraphValue Flip(LoweringContext c, GraphValue input, long[] dims)
    {
        var axes = dims.Select(axis => c.Axis(axis, input.Rank)).ToArray();
        if (axes.Length == 0 || input.Rank == 0)
            return input;
        GraphValue All(long value) => c.Constants([.. axes.Select(_ => value)]);
        return c.Like("Slice", [input, All(-1), All(long.MinValue), c.Constants(axes), All(-1)]);
    }

    /// <summary>Rotates by quarter turns in a plane.</summary>
    private static void Rotate(LoweringContext c)
    {
        var input = c.Tensor();
        var dims = c.Integers("dims") ?? [0, 1];
        var rotated = (((c.Integer(1, "k") % 4) + 4) % 4) switch
        {
            0 => input,
            1 => Swap(c, Flip(c, input, [dims[1]]), dims[0], dims[1]),
            2 => Flip(c, input, dims),
            _ => Swap(c, Flip(c, input, [dims[0]]), dims[0], dims[1]),
        };
        c.Result(rotated);
    }

    /// <summary>Shifts elements cyclically along axes.</summary>
    private static void Roll(LoweringContext c)
    {
        var input = c.Tensor();
        var shifts = c.Integers("shifts", "shift")!;
        if (c.Integers("dims", "dim") is { Length: > 0 } dims)
        {
            for (var index = 0; index < shifts.Length && input.Rank > 0; index++)
                input = Rolled(
                    c,
                    input,
                    shifts[index],
                    c.Axis(dims[index], input.Rank),
                    c.FixedSize(c.Tensor(), (int)c.Axis(dims[index], input.Rank))
                );
            c.Result(input);
            return;
        }

        var sizes = LoweringContext.ToSizes(c.ResultSizes());
        var whole = sizes.Aggregate((long?)1, (product, size) => product * (size as long?));
        c.Result(
            Layout.Reshape(
                c,
                Rolled(c, Ranks.Vector(c, input), shifts.Sum(), 0, whole),
                Layout.Sizes(c, input),
                input.Rank
            )
        );
    }

    /// <summary>Moves the elements from -shift mod size on before the rest.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">The value.</param>
    /// <param name="shift">Number of positions by which each element moves towards the end; may be negative.</param>
    /// <param name="axis">Axis, from 0.</param>
    /// <param name="size">The axis' size; null if it depends on a free axis and is computed.</param>
    private static GraphValue Rolled(LoweringContext c, GraphValue x, long shift, long axis, long? size)
    {
        if (size == 0 || (size is { } known && shift % known == 0))
            return x;
        var first = size is { } fixedSize
            ? c.Constant(((-shift % fixedSize) + fixedSize) % fixedSize)
            : new Formula(c, c.Constant(-shift))
                .Binary("Mod", new Formula(c, Layout.Size(c, x, axis)).Max(new Formula(c, c.Constant(1))))
                .Value;
        return Layout.Concat(
            c,
            axis,
            Layout.Slice(c, x, axis, first, c.Constant(long.MaxValue)),
            Layout.Slice(c, x, axis, c.Constant(0), first)
        );
    }

    /// <summary>[..., C r^2, H, W] to [..., C, H r, W r].</summary>
    private static void PixelShuffle(LoweringContext c, long factor)
    {
        var input = c.Tensor();
        if (input.Rank == 4 && input.Type == ScalarType.Float32)
        {
            c.Result(c.Like("DepthToSpace", [input], ("blocksize", factor), ("mode", "CRD")));
            return;
        }

        // [..., C r r, H, W] to [..., C, r, r, H, W], then one r after H and one after W.
        var (from, to) = (LoweringContext.ToSizes(c.SizesOf(input)), LoweringContext.ToSizes(c.ResultSizes()));
        var split = Layout.Reshape(
            c,
            input,
            c.SizeVector([.. to[..^2], factor, factor, .. from[^2..]]),
            input.Rank + 2
        );
        c.Result(
            Layout.Reshape(
                c,
                Layout.Permute(c, split, BehindSpatial(input.Rank, 0, 3, 1, 4, 2)),
                c.SizeVector(to),
                input.Rank
            )
        );
    }

    /// <summary>[..., C, H r, W r] to [..., C r^2, H, W].</summary>
    private static void PixelUnshuffle(LoweringContext c, long factor)
    {
        // [..., C, H r, W r] to [..., C, H, r, W, r], then r r before H W.
        var input = c.Tensor();
        var (from, to) = (LoweringContext.ToSizes(c.SizesOf(input)), LoweringContext.ToSizes(c.ResultSizes()));
        var split = Layout.Reshape(
            c,
            input,
            c.SizeVector([.. from[..^2], to[^2], factor, to[^1], factor]),
            input.Rank + 2
        );
        c.Result(
            Layout.Reshape(
                c,
                Layout.Permute(c, split, BehindSpatial(input.Rank, 0, 2, 4, 1, 3)),
                c.SizeVector(to),
                input.Rank
            )
        );
    }

    /// <summary>A permutation that changes only the last five axes, which are numbered from the first of
    /// them.</summary>
    private static long[] BehindSpatial(int rank, params long[] lastFive) =>
        [.. Enumerable.Range(0, rank - 3).Select(axis => (long)axis), .. lastFive.Select(axis => rank - 3 + axis)];

    /// <summary>Interleaves the channels of the groups.</summary>
    private static void ChannelShuffle(LoweringContext c, long groups)
    {
        var input = c.Tensor();
        var channels = c.FixedSize(input, 1) ?? throw c.RefuseFree("the channel axis");
        var sizes = LoweringContext.ToSizes(c.ResultSizes());
        var split = Layout.Reshape(
            c,
            input,
            c.SizeVector([sizes[0], groups, channels / groups, .. sizes[2..]]),
            input.Rank + 1
        );
        c.Result(Layout.Reshape(c, Layout.Swap(c, split, 1, 2), c.SizeVector(sizes), input.Rank));
    }

    /// <summary>Sliding windows along an axis, whose elements become the last axis.</summary>
    private static void Windows(LoweringContext c)
    {
        var input = Ranks.Vector(c, c.Tensor(), onlyScalar: true);
        var axis = c.Axis(c.Integer(0, "dimension", "dim"), input.Rank);
        var (size, step) = (c.Integer(1, "size"), c.Integer(1, "step"));
        var count = c.SizeValue(LoweringContext.ToSizes(c.ResultSizes()) is { Length: > 1 } sizes ? sizes[axis] : 1L);
        var starts = new Formula(c, Layout.Unsqueeze(c, Layout.Range(c, count), 1)) * step;
        var numbers = starts + new Formula(c, c.Constants([.. Enumerable.Range(0, (int)size).Select(i => (long)i)]));
        var windows = Layout.Move(c, Layout.Gather(c, input, numbers.Value, axis), axis + 1, input.Rank);
        c.Result(c.Tensor().Rank == 0 ? Layout.Reshape(c, windows, c.Constants([size]), 1) : windows);
    }

    /// <summary>The elements whose positions on two axes differ by an offset, as the last axis.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Tensor of rank 2 or more.</param>
    /// <param name="offset">Number of columns to the right of the main diagonal.</param>
    /// <param name="dim1">Axis of the rows.</param>
    /// <param name="dim2">Axis of the columns.</param>
    public static GraphValue Diagonal(LoweringContext c, GraphValue x, long offset, long dim1, long dim2)
    {
        var (rows, columns) = (c.Axis(dim1, x.Rank), c.Axis(dim2, x.Rank));
        long[] rest =
        [
            .. Enumerable.Range(0, x.Rank).Select(axis => (long)axis).Where(axis => axis != rows && axis != columns),
        ];
        Formula Extent(long axis) => new(c, Layout.Size(c, x, axis));
        var (height, width) = (Extent(rows), Extent(columns));
        var zero = new Formula(c, c.Constant(0));
        var count = offset >= 0 ? height.Min(width - offset) : width.Min(height + offset);
        // Element i of the diagonal is at first + i (width + 1) in the flat matrix.
        var first = offset >= 0 ? zero + offset : width * -offset;
        var numbers = new Formula(c, Layout.Range(c, count.Max(zero).Value)) * (width + 1) + first;
        var sizes = Layout.Concat(
            c,
            0,
            [
                .. rest.Length > 0
                    ? [c.Node("Gather", ScalarType.Int64, 1, [Layout.Sizes(c, x), c.Constants(rest)])]
                    : Array.Empty<GraphValue>(),
                (height * width).Value,
            ]
        );
        var flat = Layout.Reshape(c, Layout.Permute(c, x, [.. rest, rows, columns]), sizes, rest.Length + 1);
        return Layout.Gather(c, flat, numbers.Value, rest.Length);
    }

    /// <summary>Places the last axis on the diagonal of two new axes, with zeros elsewhere.</summary>
    /// <param name="c">The operation.</param>
    /// <param name="offset">Positive for a diagonal above the main one.</param>
    /// <param name="dim1">Axis of the rows in the result; negative values count from the end.</param>
    /// <param name="dim2">Axis of the columns in the result; negative values count from the end.</param>
    private static GraphValue EmbedDiagonal(LoweringContext c, long offset, long dim1, long dim2)
    {
        // Each element is put into its row and its column; one of the two starts later.
        var input = c.Tensor();
        var rank = input.Rank + 1;
        var missing = Math.Abs(offset);
        var longer = Paddings.Pad(c, input, [.. new long[(2 * input.Rank) - 1], missing], "constant", 0);
        var spread = Layout.Unsqueeze(c, longer, offset >= 0 ? rank - 1 : rank - 2);
        var places = Layout.Range(c, Layout.Size(c, longer, input.Rank - 1));
        var mask = new Formula(c, Layout.Unsqueeze(c, places, 0)) - new Formula(c, Layout.Unsqueeze(c, places, 1));
        var value = Formula.Where(mask.EqualTo(offset), new Formula(c, spread), 0).Value;
        var (rows, columns) = (c.Axis(dim1, rank), c.Axis(dim2, rank));
        var perm = Enumerable.Repeat(-1L, rank).ToArray();
        (perm[rows], perm[columns]) = (rank - 2, rank - 1);
        var rest = 0L;
        for (var axis = 0; axis < rank; axis++)
            perm[axis] = perm[axis] < 0 ? rest++ : perm[axis];
        return Layout.Permute(c, value, perm);
    }

    /// <summary>Whether two sizes are the same in every trace.</summary>
    private static bool Same(object? a, object? b) =>
        (a, b) switch
        {
            (long x, long y) => x == y,
            (VaryingInteger x, VaryingInteger y) => x.Values.AsSpan().SequenceEqual(y.Values),
            _ => false,
        };
}
