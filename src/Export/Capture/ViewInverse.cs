// What it does: an in-place operation on a view changes the tensor that it is a view of. In a graph, where values
// never change, that is a new value: the old one with the view's elements replaced. Views that keep all elements are
// inverted by a reshape or a permutation; views of a part are written back by x[...] = view.
using System.Reflection;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>The operation that writes a view back into the tensor that it is a view of.</summary>
internal static class ViewInverse
{
    /// <summary>Inverts a view that keeps all elements in order.</summary>
    private static readonly MethodInfo Reshape = typeof(Tensor).GetMethod("reshape", [typeof(long[])])!;

    /// <summary>Inverts a view that permutes axes.</summary>
    private static readonly MethodInfo Permute = typeof(Tensor).GetMethod("permute", [typeof(long[])])!;

    /// <summary>Writes a view of a part into the whole.</summary>
    private static readonly MethodInfo Put = typeof(Tensor).GetMethod(
        "set_TensorItems",
        [typeof(TensorIndex[]), typeof(Tensor)]
    )!;

    /// <summary>The index <c>:</c>, which takes all of an axis.</summary>
    private static readonly IndexArgument Whole = new("Slice", null, null, null, null);

    /// <summary>Method and arguments of the operation, or null if there is none.</summary>
    /// <param name="link">How the view was created.</param>
    /// <param name="source">Value of the tensor that it is a view of.</param>
    /// <param name="view">Value of the view.</param>
    public static (MethodInfo Method, object?[] Arguments)? Of(ViewLink link, TracedValue source, TracedValue view)
    {
        if (source.Type != view.Type)
            return null;
        ValueRef into = new(source.Id),
            from = new(view.Id);
        object?[] shape = [.. source.Shape.Select(size => (object?)size)];
        var rank = source.Shape.Length;
        var op = link.Operation;
        var name = op.Module?.GetType().Name ?? OperationName.Of(op.Method);
        switch (name)
        {
            case "view"
            or "reshape"
            or "view_as"
            or "reshape_as"
            or "flatten"
            or "unflatten"
            or "squeeze"
            or "unsqueeze"
            or "contiguous"
            or "ravel"
            or "detach"
            or "alias"
            or "to"
            or "to_type"
            or "type"
            or "type_as"
            or "Flatten"
            or "Unflatten"
            or "Identity"
            or "cpu"
            or "float"
            or "expand_as"
            or "expand"
                when view.Shape.Aggregate(1L, (product, size) => product * size)
                    == shape.Aggregate(1L, (product, size) => product * (long)size!):
                return (Reshape, [from, shape]);
            case "permute"
            or "transpose"
            or "t"
            or "T"
            or "mT"
            or "movedim" when Permutation(op, name, rank) is { } order:
                return (
                    Permute,
                    [
                        from,
                        order
                            .Select((axis, at) => (axis, at))
                            .OrderBy(pair => pair.axis)
                            .Select(pair => (object?)(long)pair.at)
                            .ToArray(),
                    ]
                );
            case "index" when Indices(op) is { } indices:
                return (Put, [into, indices, from]);
            case "narrow" when Longs(op) is [var axis, var start, var length, ..]:
                return (
                    Put,
                    [into, Along(axis, rank, new IndexArgument("Slice", start, start + length, null, null)), from]
                );
            case "slice" when Longs(op) is [var axis, var start, var finish, var step, ..]:
                return (Put, [into, Along(axis, rank, new IndexArgument("Slice", start, finish, step, null)), from]);
            case "select" when Longs(op) is [var axis, var index, ..]:
                return (Put, [into, Along(axis, rank, new IndexArgument("Single", index, null, null, null)), from]);
            case "unbind":
                return (
                    Put,
                    [
                        into,
                        Along(
                            Longs(op).FirstOrDefault(),
                            rank,
                            new IndexArgument("Single", (long)link.Index, null, null, null)
                        ),
                        from,
                    ]
                );
            case "chunk" or "split" or "tensor_split":
                // The axis is the one along which the parts are shorter than the whole, or, for a single part, any.
                var split = Enumerable
                    .Range(0, rank)
                    .FirstOrDefault(axis => link.Results[0].Shape[axis] != source.Shape[axis]);
                var first = link.Results.Take(link.Index).Sum(part => part.Shape[split]);
                return (
                    Put,
                    [
                        into,
                        Along(split, rank, new IndexArgument("Slice", first, first + view.Shape[split], null, null)),
                        from,
                    ]
                );
            default:
                return null;
        }
    }

    /// <summary>Whether an operation always returns a view of its first tensor, whatever the sizes.</summary>
    public static bool IsView(MethodBase method) =>
        OperationName.Of(method)
            is "view"
                or "view_as"
                or "unsqueeze"
                or "squeeze"
                or "permute"
                or "transpose"
                or "t"
                or "T"
                or "mT"
                or "movedim"
                or "narrow"
                or "slice"
                or "select"
                or "unbind"
                or "chunk"
                or "split"
                or "tensor_split"
                or "expand"
                or "expand_as"
                or "detach"
                or "alias"
                or "diagonal"
                or "unfold";

    /// <summary>Indices that take all of every axis but one.</summary>
    /// <param name="axis">The axis; negative values count from the end.</param>
    /// <param name="rank">Number of axes.</param>
    /// <param name="index">The index along that axis.</param>
    private static object?[] Along(long axis, int rank, IndexArgument index) =>
        [.. Enumerable.Range(0, rank).Select(i => (object?)(i == (axis < 0 ? axis + rank : axis) ? index : Whole))];

    /// <summary>
    /// The integers in an operation's arguments, in order, including those in lists; the receiver is skipped.
    /// </summary>
    /// <param name="op">The operation that created the view.</param>
    private static long[] Longs(TracedOp op) =>
        [
            .. op
                .Arguments.Skip(1)
                .SelectMany(argument =>
                    argument switch
                    {
                        long number => [number],
                        object?[] list => list.OfType<long>(),
                        _ => Enumerable.Empty<long>(),
                    }
                ),
        ];

    /// <summary>The indices with which a view was read, so that it can be written back at the same
    /// position.</summary>
    /// <param name="op">A read of <c>x[...]</c>.</param>
    /// <returns>Null if one of them is a tensor or depends on a size.</returns>
    private static object?[]? Indices(TracedOp op)
    {
        var indices = op
            .Arguments.Skip(1)
            .SelectMany(argument => argument is object?[] list ? list : [argument])
            .Select(argument =>
                argument is long number ? new IndexArgument("Single", number, null, null, null) : argument
            )
            .ToArray();
        return indices.All(index => index is IndexArgument) ? indices : null;
    }

    /// <summary>The source axis of each axis of a view.</summary>
    /// <param name="op">The operation that created the view.</param>
    /// <param name="name">Its name, see <see cref="OperationName"/>.</param>
    /// <param name="rank">Number of axes of both.</param>
    /// <returns>Null if the operation or its arguments are not supported.</returns>
    private static long[]? Permutation(TracedOp op, string name, int rank)
    {
        long At(long axis) => axis < 0 ? axis + rank : axis;
        var order = Enumerable.Range(0, rank).Select(axis => (long)axis).ToArray();
        var given = Longs(op);
        switch (name)
        {
            case "permute":
                return given.Length == rank ? [.. given.Select(At)] : null;
            case "transpose" when given.Length == 2:
                (order[At(given[0])], order[At(given[1])]) = (At(given[1]), At(given[0]));
                return order;
            case "t" or "T" or "mT" when rank >= 2:
                if (name == "T")
                    return [.. order.Reverse()];
                (order[rank - 2], order[rank - 1]) = (order[rank - 1], order[rank - 2]);
                return order;
            default:
                return rank < 2 && name is "t" or "T" ? order : null;
        }
    }
}
