// Indexing. x[...] is taken apart axis by axis: a number is Gather with a scalar, a slice is Slice, None is Unsqueeze, an index tensor
// is Gather; two or more index tensors from the first axis on are GatherND. x[...] = y writes where the same indexing of the element
// numbers points: numbers = Range(size of x) as x's shape; ScatterElements on the flat tensor.
using TorchBridge.Export.Capture;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Indexing
{
    public static void Register(OperatorTable table)
    {
        const string options = "numbers, slices, ellipsis, None, index tensors";
        table.Operation("index", "Gather; Slice; Unsqueeze; GatherND", c => c.Result(Index(c, c.Tensor(), Indices(c))), options);
        table.Operation("index_put", "Range, Reshape, ScatterElements", IndexPut, options);
        table.Operation("gather", "GatherElements", c => c.Result(c.Node("GatherElements", c.ResultType(), c.ResultRank(), [c.Tensor(), c.Tensor(1)], ("axis", Dim(c)))), "dim");
        table.Operation("take_along_dim", "GatherElements", c => c.Result(c.Node("GatherElements", c.ResultType(), c.ResultRank(), [c.Tensor(), c.Tensor(1)], ("axis", Dim(c)))), "dim");
        table.Operation("index_select", "Gather", c => c.Result(c.Node("Gather", c.ResultType(), c.ResultRank(), [c.Tensor(), c.Tensor(1)], ("axis", Dim(c)))), "dim");
        table.Operation("take", "Reshape, Gather", c => c.Result(c.Node("Gather", c.ResultType(), c.ResultRank(), [c.Node("Reshape", c.ResultType(), 1, [c.Tensor(), c.Constant(-1)]), c.Tensor(1)])));
        table.Operation("scatter", "ScatterElements", c => Scatter(c, "none"), "dim; source: tensor or number");
        table.Operation("scatter_add", "ScatterElements (add)", c => Scatter(c, "add"), "dim");
        table.Operation("index_fill", "ScatterElements", IndexFill, "dim, value");
        table.Operation("one_hot", "OneHot", OneHot, "num_classes");
        table.Module<Embedding>("Gather", c => c.Result(c.Node("Gather", c.ResultType(), c.ResultRank(), [c.Parameter(((Embedding)c.Module!).weight!, "weight"), c.Tensor()])), "padding_idx");
    }

    private static long Dim(LoweringContext c) => c.Axis(c.Integer(0, "dim"), c.Tensor().Rank);

    private static IndexArgument[] Indices(LoweringContext c) =>
        [.. c.Positional.Skip(1).SelectMany(Flat)];

    private static IEnumerable<IndexArgument> Flat(object? argument) => argument switch
    {
        IndexArgument index => [index],
        object?[] list => list.SelectMany(Flat),
        long or VaryingInteger => [new IndexArgument("Single", argument, null, null, null)],
        _ => [],
    };

    private static GraphValue Index(LoweringContext c, GraphValue value, IndexArgument[] indices)
    {
        var explicitAxes = indices.Count(index => index.Kind is "Single" or "Slice" or "Tensor");
        var tensors = indices.Where(index => index.Kind == "Tensor").ToArray();
        if (tensors.Length > 1) return GatherNd(c, value, indices, tensors);
        var axis = 0;
        foreach (var index in indices)
        {
            switch (index.Kind)
            {
                case "Ellipsis":
                    axis = value.Rank - explicitAxes;
                    break;
                case "None" or "Null":
                    value = c.Node("Unsqueeze", value.Type, value.Rank + 1, [value, c.Constant(axis++)]);
                    break;
                case "Single":
                    value = c.Node("Gather", value.Type, value.Rank - 1, [value, c.Operand(index.Start, ScalarType.Int64)], ("axis", (long)axis));
                    explicitAxes--;
                    break;
                case "Slice":
                    if (index.Start is not null || index.Stop is not null || index.Step is not null)
                        value = c.Like("Slice", [value, c.SizeValue(index.Start ?? 0L), c.SizeValue(index.Stop ?? long.MaxValue), c.Constant(axis), c.SizeValue(index.Step ?? 1L)]);
                    axis++;
                    explicitAxes--;
                    break;
                case "Tensor":
                    var at = c.Operand(index.Tensor, Type(c, index));
                    if (at.Type is ScalarType.Bool or ScalarType.Byte) throw c.Refuse("a mask as an index gives a number of elements that depends on the data. Use torch.where or masked_fill");
                    value = c.Node("Gather", value.Type, value.Rank - 1 + at.Rank, [value, at], ("axis", (long)axis));
                    axis += at.Rank;
                    explicitAxes--;
                    break;
                default:
                    throw c.Refuse($"an index of kind {index.Kind}");
            }
        }

        return value;
    }

    private static GraphValue GatherNd(LoweringContext c, GraphValue value, IndexArgument[] indices, IndexArgument[] tensors)
    {
        if (!indices.Take(tensors.Length).All(index => index.Kind == "Tensor") || !indices.Skip(tensors.Length).All(index => index is { Kind: "Slice", Start: null, Stop: null, Step: null } or { Kind: "Ellipsis" }))
            throw c.Refuse("several index tensors that are not the first indices");
        var parts = tensors.Select(index => c.Operand(index.Tensor, ScalarType.Int64)).ToArray();
        var rank = parts.Max(part => part.Rank);
        var shape = LoweringContext.ToSizes(c.ResultSizes())[..rank];
        var wide = parts.Select(part => c.Node("Unsqueeze", ScalarType.Int64, rank + 1, [c.Node("Expand", ScalarType.Int64, rank, [part, c.SizeVector(shape)]), c.Constant(rank)])).ToArray();
        var stacked = c.Node("Concat", ScalarType.Int64, rank + 1, wide, ("axis", (long)rank));
        return c.Node("GatherND", value.Type, value.Rank - parts.Length + rank, [value, stacked]);
    }

    private static ScalarType Type(LoweringContext c, IndexArgument index) =>
        c.Tensors().Length > 0 && index.Tensor is ValueRef ? TypeOf(c, index) : ScalarType.Int64;

    private static ScalarType TypeOf(LoweringContext c, IndexArgument index)
    {
        var position = Array.IndexOf([.. c.Positional.Skip(1).SelectMany(Flat).Where(item => item.Tensor is not null)], index);
        return c.Tensor(1 + position).Type;
    }

    private static void IndexPut(LoweringContext c)
    {
        var x = c.Tensor();
        var source = c.Positional[^1];
        var indices = Indices(c);
        var shape = c.Node("Shape", ScalarType.Int64, 1, [x]);
        var all = c.Node("Range", ScalarType.Int64, 1, [c.IntegerScalar(0), c.Node("Size", ScalarType.Int64, 0, [x]), c.IntegerScalar(1)]);
        var numbers = c.Node("Reshape", ScalarType.Int64, x.Rank, [all, shape]);
        var chosen = Index(c, numbers, indices);
        var updates = c.Node("Expand", x.Type, chosen.Rank, [c.Operand(source, x.Type), c.Node("Shape", ScalarType.Int64, 1, [chosen])]);
        var flat = c.Node("Reshape", x.Type, 1, [x, c.Constant(-1)]);
        var written = c.Node("ScatterElements", x.Type, 1, [flat, c.Node("Reshape", ScalarType.Int64, 1, [chosen, c.Constant(-1)]), c.Node("Reshape", x.Type, 1, [updates, c.Constant(-1)])], ("axis", 0L));
        c.Result(c.Node("Reshape", x.Type, x.Rank, [written, shape]));
    }

    private static void Scatter(LoweringContext c, string reduction)
    {
        var x = c.Tensor();
        var index = c.Tensor(1);
        var source = c.Raw("src", "value", "values") is ValueRef ? c.Tensor(2) : c.Node("Expand", x.Type, index.Rank, [c.Operand(c.Raw("src", "value"), x.Type), c.Node("Shape", ScalarType.Int64, 1, [index])]);
        // ONNX wants indices and updates of one shape; TorchSharp takes a larger source and reads its front.
        if (c.Raw("src", "value", "values") is ValueRef)
        {
            var sizes = LoweringContext.ToSizes(c.SizesOf(index));
            source = c.Like("Slice", [source, c.Constants(new long[index.Rank]), c.SizeVector(sizes), c.Constants([.. Enumerable.Range(0, index.Rank).Select(axis => (long)axis)])]);
        }

        c.Result(c.Like("ScatterElements", [x, index, source], ("axis", Dim(c)), ("reduction", reduction)));
    }

    private static void IndexFill(LoweringContext c)
    {
        // Rows of the axis that are in the index: one-hot of the index, any.
        var x = c.Tensor();
        var axis = Dim(c);
        var size = c.FixedSize(x, (int)axis) ?? throw c.Refuse("the axis is free");
        var hot = c.Node("OneHot", ScalarType.Float32, 2, [c.Cast(c.Tensor(1), ScalarType.Int64), c.IntegerScalar(size), c.Computed(tensor(new float[] { 0, 1 }), "off_on")]);
        var mask = c.Cast(Reductions.Reduce(c, "ReduceMax", hot, [0], keep: false), ScalarType.Bool);
        var wide = c.Node("Reshape", ScalarType.Bool, x.Rank, [mask, c.Constants([.. Enumerable.Range(0, x.Rank).Select(i => i == axis ? size : 1)])]);
        c.Result(c.Node("Where", x.Type, x.Rank, [wide, c.Operand(c.Raw("value"), x.Type), x]));
    }

    private static void OneHot(LoweringContext c)
    {
        var classes = c.Integer(-1, "num_classes");
        if (classes < 0) throw c.Refuse("num_classes is not given, so that the size depends on the data");
        using var scope = NewDisposeScope();
        c.Result(c.Node("OneHot", ScalarType.Int64, c.ResultRank(), [c.Tensor(), c.IntegerScalar(classes), c.Computed(tensor(new long[] { 0, 1 }), "off_on")], ("axis", -1L)));
    }
}
