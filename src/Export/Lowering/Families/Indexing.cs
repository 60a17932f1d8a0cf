// Indexing. x[...] is processed axis by axis: a number is Gather with a scalar, a slice is Slice, None is Unsqueeze.
// Index tensors come last: a single one is Gather; several are moved to the front and become GatherND, and the axes
// that they create are moved back to the position of the first of them if they were adjacent. x[...] = y writes to
// the positions that the same indexing of the element numbers gives: numbers = Range(size of x) in x's shape, then
// ScatterElements on the flat tensor. Writing through a mask is Where.
using TorchBridge.Export.Capture;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>
/// Lowers reading and writing by index: x[...], gather, scatter, index_select and similar operations.
/// </summary>
internal static class Indexing
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        const string options = "numbers, slices, ellipsis, None, booleans, index tensors";
        table.Operation(
            "index",
            "Gather; Slice; Unsqueeze; GatherND",
            c => c.Result(Index(c, c.Tensor(), c.Positional.Skip(1))),
            options + "; no masks"
        );
        table.Operation(
            "index_put",
            "Range, Reshape, ScatterElements; Where",
            IndexPut,
            options + ", masks; accumulate"
        );
        table.Operation(
            "gather",
            "GatherElements",
            c =>
                c.Result(
                    AlongAxis(c, (x, axis) =>
                        c.Node(
                            "GatherElements",
                            x.Type,
                            x.Rank,
                            [x, Ranks.Vector(c, Numbers(c, c.Tensor(1)), onlyScalar: true)],
                            ("axis", axis)
                        )
                    )
                ),
            "dim"
        );
        table.Operation("take_along_dim", "Expand, GatherElements", TakeAlong, "dim");
        table.Operation(
            "index_select",
            "Gather",
            c => c.Result(AlongAxis(c, (x, axis) => Layout.Gather(c, x, Ranks.Vector(c, c.Tensor(1)), axis))),
            "dim"
        );
        table.Operation("take", "Reshape, Gather", c =>
            c.Result(Layout.Gather(c, Ranks.Vector(c, c.Tensor()), c.Tensor(1), 0))
        );
        table.Operation("scatter", "ScatterElements", c => Scatter(c, "none"), "dim; source: tensor or number");
        table.Operation("scatter_add", "ScatterElements (add)", c => Scatter(c, "add"), "dim");
        table.Operation("index_add", "ScatterElements (add)", c => IndexRows(c, "add"), "dim, alpha");
        table.Operation("index_copy", "ScatterElements", c => IndexRows(c, "none"), "dim");
        table.Operation("index_fill", "ScatterElements, Where", IndexFill, "dim, value");
        table.Operation(
            "select_scatter",
            "Gather, ScatterElements",
            c => WriteAt(c, numbers => Layout.Gather(c, numbers, c.Operand(c.Raw("index"), ScalarType.Int64), Dim(c))),
            "dim, index"
        );
        table.Operation(
            "slice_scatter",
            "Slice, ScatterElements",
            c =>
                WriteAt(c, numbers =>
                    Layout.Slice(
                        c,
                        numbers,
                        Dim(c),
                        c.SizeValue(c.Raw("start") ?? 0L),
                        c.SizeValue(c.Raw("end") ?? long.MaxValue),
                        c.Integer(1, "step")
                    )
                ),
            "dim, start, end, step"
        );
        table.Operation(
            "diagonal_scatter",
            "Gather, ScatterElements",
            c =>
                WriteAt(c, numbers =>
                    Reshaping.Diagonal(c, numbers, c.Integer(0, "offset"), c.Integer(0, "dim1"), c.Integer(1, "dim2"))
                ),
            "offset, dim1, dim2"
        );
        table.Operation("one_hot", "OneHot", OneHot, "num_classes");
    }

    /// <summary>The axis argument, from 0.</summary>
    private static long Dim(LoweringContext c) => c.Axis(c.Integer(0, "dim"), c.Tensor().Rank);

    /// <summary>Casts indices to a type that ONNX accepts: int32 or int64.</summary>
    private static GraphValue Numbers(LoweringContext c, GraphValue index) =>
        index.Type == ScalarType.Int32 ? index : c.Cast(index, ScalarType.Int64);

    // ---- reading -------------------------------------------------------------------------------------------------------------

    /// <summary>The indices of x[...] one by one, with nested lists flattened.</summary>
    private static IEnumerable<IndexArgument> Flat(LoweringContext c, object? argument) =>
        argument switch
        {
            IndexArgument index => [index],
            ValueRef tensor => [new IndexArgument("Tensor", null, null, null, tensor)],
            object?[] list => list.SelectMany(item => Flat(c, item)),
            long or VaryingInteger => [new IndexArgument("Single", argument, null, null, null)],
            null => [],
            var other => throw c.Refuse($"an index of type {other} is not supported"),
        };

    /// <summary>An index tensor, and the axis of the value that it indexes.</summary>
    private sealed record TensorIndexAt(GraphValue Index, int Axis);

    /// <summary>
    /// The elements that x[...] reads. A mask is refused, because the number of elements depends on the data.
    /// </summary>
    /// <param name="c">The operation, for error messages.</param>
    /// <param name="value">The value to read from.</param>
    /// <param name="arguments">Indices, or lists of them.</param>
    /// <exception cref="ExportException">One of them is a mask.</exception>
    private static GraphValue Index(LoweringContext c, GraphValue value, IEnumerable<object?> arguments)
    {
        var (basic, tensors) = Basic(c, value, arguments);
        if (tensors.Any(tensor => IsMask(tensor.Index)))
            throw c.Refuse(
                "indexing with a mask returns a number of elements that depends on the data. Use torch.where or "
                    + "masked_fill"
            );
        return tensors switch
        {
            [] => basic,
            [var only] => Layout.Gather(c, basic, Numbers(c, only.Index), only.Axis),
            _ => GatherNd(c, basic, tensors),
        };
    }

    /// <summary>Applies all indices that are not tensors.</summary>
    /// <param name="c">The operation.</param>
    /// <param name="value">The value to read from.</param>
    /// <param name="arguments">Indices, or lists of them.</param>
    /// <returns>The value after single numbers, slices and new axes have been applied, and the index tensors with
    /// their axes in it.</returns>
    private static (GraphValue Value, List<TensorIndexAt> Tensors) Basic(
        LoweringContext c,
        GraphValue value,
        IEnumerable<object?> arguments
    )
    {
        var indices = arguments.SelectMany(argument => Flat(c, argument)).ToArray();
        int AxesOf(IndexArgument index) =>
            index.Kind switch
            {
                "Single" or "Slice" => 1,
                "Tensor" => c.Operand(index.Tensor) is var tensor && IsMask(tensor) ? tensor.Rank : 1,
                _ => 0,
            };
        var (axis, left) = (0, indices.Sum(AxesOf));
        var tensors = new List<TensorIndexAt>();
        foreach (var index in indices)
        {
            left -= AxesOf(index);
            switch (index.Kind)
            {
                case "Ellipsis":
                    axis = value.Rank - left;
                    break;
                case "None" or "Null":
                    value = Layout.Unsqueeze(c, value, axis++);
                    break;
                case "Bool":
                    value = Layout.Unsqueeze(c, value, axis);
                    tensors.Add(new TensorIndexAt(c.Constants(index.Start is 0L ? [] : [0]), axis++));
                    break;
                case "Single":
                    value = Layout.Gather(c, value, c.Operand(index.Start, ScalarType.Int64), axis);
                    break;
                case "Slice":
                    if (index.Start is not null || index.Stop is not null || index.Step is not null)
                        value = c.Like(
                            "Slice",
                            [
                                value,
                                c.SizeValue(index.Start ?? 0L),
                                c.SizeValue(index.Stop ?? long.MaxValue),
                                c.Constant(axis),
                                c.SizeValue(index.Step ?? 1L),
                            ]
                        );
                    axis++;
                    break;
                case "Tensor":
                    var tensor = c.Operand(index.Tensor);
                    tensors.Add(new TensorIndexAt(tensor, axis));
                    axis += AxesOf(index);
                    break;
                default:
                    throw c.Refuse($"an index of kind {index.Kind} is not supported");
            }
        }

        return (value, tensors);
    }

    /// <summary>Whether an index tensor is a mask rather than indices.</summary>
    private static bool IsMask(GraphValue index) => index.Type is ScalarType.Bool or ScalarType.Byte;

    /// <summary>
    /// Gathers elements by several index tensors at once, which are broadcast against each other.
    /// </summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="value">The value to read from.</param>
    /// <param name="tensors">Two or more index tensors, by ascending axis.</param>
    private static GraphValue GatherNd(LoweringContext c, GraphValue value, List<TensorIndexAt> tensors)
    {
        // Broadcast to one shape by adding zeros in the others' shapes.
        var parts = tensors.Select(tensor => c.Cast(tensor.Index, ScalarType.Int64)).ToArray();
        var rank = parts.Max(part => part.Rank);
        var zeros = parts.Select(part => new Formula(c, part) * 0).Aggregate((a, b) => a + b);
        var wide = parts.Select(part => Layout.Unsqueeze(c, (new Formula(c, part) + zeros).Value, rank)).ToArray();
        long[] axes = [.. tensors.Select(tensor => (long)tensor.Axis)];
        long[] rest = [.. Enumerable.Range(0, value.Rank).Select(axis => (long)axis).Except(axes)];
        var front = Layout.Permute(c, value, [.. axes, .. rest]);
        var chosen = c.Node("GatherND", value.Type, rank + rest.Length, [front, Layout.Concat(c, rank, wide)]);
        var areSideBySide = axes[^1] - axes[0] == axes.Length - 1;
        if (!areSideBySide || axes[0] == 0)
            return chosen;
        var before = (int)axes[0];
        int[] order =
        [
            .. Enumerable.Range(rank, before),
            .. Enumerable.Range(0, rank),
            .. Enumerable.Range(rank + before, rest.Length - before),
        ];
        return Layout.Permute(c, chosen, [.. order.Select(axis => (long)axis)]);
    }

    /// <summary>Applies a function along an axis; a tensor without axes is treated as a vector, and the result has
    /// TorchSharp's rank.</summary>
    /// <param name="c">The operation; <c>dim</c> is among its arguments.</param>
    /// <param name="function">Called with the tensor, of rank 1 or more, and the axis from 0.</param>
    private static GraphValue AlongAxis(LoweringContext c, Func<GraphValue, long, GraphValue> function)
    {
        var result = function(Ranks.Vector(c, c.Tensor(), onlyScalar: true), Dim(c));
        return c.ResultRank() == 0 && result.Rank > 0 ? Layout.Reshape(c, result, c.Constants([]), 0) : result;
    }

    /// <summary>
    /// Gathers elements along an axis by an index of the same rank; both are broadcast on the other axes.
    /// </summary>
    private static void TakeAlong(LoweringContext c)
    {
        var (x, index) = (c.Tensor(), c.Cast(c.Tensor(1), ScalarType.Int64));
        if (c.Raw("dim") is null || (c.Method.IsStatic && c.Tensor().Rank != index.Rank))
        {
            c.Result(c.Node("GatherElements", x.Type, 1, [Ranks.Vector(c, x), Ranks.Vector(c, index)], ("axis", 0L)));
            return;
        }

        // Both are broadcast, except on the axis itself.
        var axis = Dim(c);
        var sizes = LoweringContext.ToSizes(c.ResultSizes());
        var of = LoweringContext.ToSizes(c.SizesOf(x));
        GraphValue Wide(GraphValue value, object?[] to, object?[] from) =>
            to.Zip(from).All(pair => Equals(pair.First, pair.Second))
                ? value
                : Layout.Expand(c, value, c.SizeVector(to), to.Length);
        object?[] target = [.. sizes.Select((size, i) => i == axis ? of[i] : size)];
        var wide = Wide(x, target, of);
        c.Result(
            c.Like(
                "GatherElements",
                [wide, Wide(index, sizes, LoweringContext.ToSizes(c.SizesOf(c.Tensor(1))))],
                ("axis", axis)
            )
        );
    }

    // ---- writing -------------------------------------------------------------------------------------------------------------

    /// <summary>
    /// x[...] = y and index_put_: writes or adds at the indexed positions.
    /// </summary>
    private static void IndexPut(LoweringContext c)
    {
        var input = c.Tensor();
        // x[...] = y has the value last, index_put_(y, indices, accumulate) first.
        var isSetter = c.Method.Name.StartsWith("set_", StringComparison.Ordinal);
        var accumulate = !isSetter && c.Flag(false, "accumulate");
        var source = isSetter ? c.Positional[^1] : c.Raw("value");
        object?[] arguments = isSetter ? [.. c.Positional.Skip(1).SkipLast(1)] : [c.Raw("indices")];
        var value = new Formula(c, c.Operand(source, input.Type));
        var masks = Basic(c, input, arguments).Tensors.Where(tensor => IsMask(tensor.Index)).ToArray();
        if (masks.Length == 0)
        {
            c.Result(
                Write(c, input, numbers => Index(c, numbers, arguments), value.Value, accumulate ? "add" : "none")
            );
            return;
        }

        var (part, tensors) = Basic(c, input, arguments);
        if (tensors.Count > 1)
            throw c.Refuse(
                "a mask is combined with other index tensors, which is not supported; write with torch.where"
            );
        var (mask, axis) = (tensors[0].Index, tensors[0].Axis);
        var behind = part.Rank - axis - mask.Rank;
        if (
            value.Value.Rank > behind
            && !(value.Value.Rank == behind + 1 && source is ValueRef one && c.FixedSize(c.Operand(one), 0) == 1)
        )
            throw c.Refuse(
                "writing several values through a mask depends on the number of true elements, and so on the "
                    + "data. Write with torch.where, or write a single value"
            );
        var wide = new Formula(c, Layout.Behind(c, c.Cast(mask, ScalarType.Bool), behind));
        var old = new Formula(c, part);
        var written = Formula.Where(wide, accumulate ? old + value : value, old);
        if (
            arguments
                .SelectMany(argument => Flat(c, argument))
                .All(index =>
                    index.Kind is "Tensor" or "Ellipsis" or "Slice" && index is { Start: null, Stop: null, Step: null }
                )
        )
            c.Result(written.Value);
        else
            c.Result(Write(c, input, numbers => Basic(c, numbers, arguments).Value, written.Value, "none"));
    }

    /// <summary>
    /// Writes a tensor at selected positions: select_scatter, slice_scatter and similar operations.
    /// </summary>
    private static void WriteAt(LoweringContext c, Func<GraphValue, GraphValue> choose) =>
        c.Result(Write(c, c.Tensor(), choose, c.Cast(c.OptionalTensor("src")!.Value, c.Tensor().Type), "none"));

    /// <summary>Writes at the positions that a selection of the element numbers gives.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">The value to write into; the result is a new value.</param>
    /// <param name="choose">Selects elements; it is applied to the element numbers in C order, to find the
    /// positions.</param>
    /// <param name="updates">The values to write, broadcast to the selection.</param>
    /// <param name="reduction">none to overwrite, or add.</param>
    private static GraphValue Write(
        LoweringContext c,
        GraphValue x,
        Func<GraphValue, GraphValue> choose,
        GraphValue updates,
        string reduction
    )
    {
        var sizes = Layout.Sizes(c, x);
        var numbers = Layout.Reshape(c, Layout.Range(c, Reductions.Count(c, x, null)), sizes, x.Rank);
        var chosen = choose(numbers);
        var wide = Layout.Expand(c, updates, Layout.Sizes(c, chosen), chosen.Rank);
        var written = Scattered(c, Ranks.Vector(c, x), Ranks.Vector(c, chosen), Ranks.Vector(c, wide), 0, reduction);
        return Layout.Reshape(c, written, sizes, x.Rank);
    }

    /// <summary>ScatterElements; float16 and bfloat16 are summed in float32, small integers in int32, and booleans
    /// combined by OR.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">The value to write into; the result is a new value of the same dtype.</param>
    /// <param name="index">Positions along the axis, int64; negative values count from the end.</param>
    /// <param name="updates">The values to write, in the shape of <paramref name="index"/>.</param>
    /// <param name="axis">Axis, from 0.</param>
    /// <param name="reduction">none to overwrite, or an ONNX reduction such as add.</param>
    public static GraphValue Scattered(
        LoweringContext c,
        GraphValue x,
        GraphValue index,
        GraphValue updates,
        long axis,
        string reduction
    )
    {
        var type =
            reduction == "none"
                ? x.Type
                : x.Type switch
                {
                    ScalarType.Float16 or ScalarType.BFloat16 => ScalarType.Float32,
                    ScalarType.Bool or ScalarType.Byte or ScalarType.Int8 or ScalarType.Int16 => ScalarType.Int32,
                    var other => other,
                };
        (string, object)[] attributes =
            reduction == "none" ? [("axis", axis)] : [("axis", axis), ("reduction", reduction)];
        return c.Cast(
            c.Like("ScatterElements", [c.Cast(x, type), Numbers(c, index), c.Cast(updates, type)], attributes),
            x.Type
        );
    }

    /// <summary>Writes or adds elements along an axis at the positions in an index tensor.</summary>
    private static void Scatter(LoweringContext c, string reduction)
    {
        c.Result(AlongAxis(c, (x, axis) =>
            {
                var index = Ranks.Vector(c, c.Tensor(1), onlyScalar: true);
                if (c.Raw("src", "value", "values") is not ValueRef)
                    return Scattered(
                        c,
                        x,
                        index,
                        Layout.Expand(c, c.Operand(c.Raw("src", "value"), x.Type), Layout.Sizes(c, index), index.Rank),
                        axis,
                        reduction
                    );
                // ONNX requires indices and updates of the same shape; TorchSharp accepts a larger source and reads
                // its leading part.
                var source = Ranks.Vector(c, c.Cast(c.Tensor(2), x.Type), onlyScalar: true);
                var front = c.Like(
                    "Slice",
                    [
                        source,
                        c.Constants(new long[index.Rank]),
                        Layout.Sizes(c, index),
                        c.Constants([.. Enumerable.Range(0, index.Rank).Select(i => (long)i)]),
                    ]
                );
                return Scattered(c, x, index, front, axis, reduction);
            }));
    }

    /// <summary>Adds or writes rows of an axis.</summary>
    private static void IndexRows(LoweringContext c, string reduction)
    {
        c.Result(AlongAxis(c, (x, axis) =>
            {
                var source = new Formula(
                    c,
                    Ranks.Vector(c, c.Cast(c.OptionalTensor("source")!.Value, x.Type), onlyScalar: true)
                );
                if (reduction == "add" && c.Number(1, "alpha") is var alpha && alpha != 1)
                    source = x.Type == ScalarType.Bool ? source & source.Number(alpha) : source * alpha;
                var rows = Layout.Behind(c, Ranks.Vector(c, Numbers(c, c.Tensor(1))), x.Rank - 1 - (int)axis);
                return Scattered(
                    c,
                    x,
                    Layout.Expand(c, rows, Layout.Sizes(c, source.Value), x.Rank),
                    source.Value,
                    axis,
                    reduction
                );
            }));
    }

    /// <summary>Writes a number into the indexed rows of an axis.</summary>
    private static void IndexFill(LoweringContext c)
    {
        c.Result(AlongAxis(c, (x, axis) =>
            {
                // The indexed rows, as a mask along the axis.
                var index = Ranks.Vector(c, Numbers(c, c.Tensor(1)));
                GraphValue Filled(bool value, GraphValue sizes) =>
                    Layout.Expand(c, c.Scalar(value ? 1 : 0, ScalarType.Bool), sizes, 1);
                var rows = c.Like(
                    "ScatterElements",
                    [Filled(false, Layout.Size(c, x, axis)), index, Filled(true, Layout.Sizes(c, index))],
                    ("axis", 0L)
                );
                var mask = new Formula(c, Layout.Behind(c, rows, x.Rank - 1 - (int)axis));
                return Formula.Where(mask, new Formula(c, c.Operand(c.Raw("value"), x.Type)), new Formula(c, x)).Value;
            }));
    }

    /// <summary>
    /// 1 at the index of each class, 0 elsewhere; the number of classes must be given.
    /// </summary>
    private static void OneHot(LoweringContext c)
    {
        var classes = c.Integer(-1, "num_classes");
        if (classes < 0)
            throw c.Refuse(
                "num_classes is not given, so the size of the result would depend on the data; pass num_classes"
            );
        using var scope = NewDisposeScope();
        c.Result(
            c.Node(
                "OneHot",
                ScalarType.Int64,
                c.ResultRank(),
                [c.Tensor(), c.IntegerScalar(classes), c.Computed(tensor(new long[] { 0, 1 }), "off_on")],
                ("axis", -1L)
            )
        );
    }
}
