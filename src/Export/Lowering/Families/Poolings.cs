// Pooling. Ceil mode is extra padding at the end where the sizes are fixed (the counts then are TorchSharp's: the extra is never counted).
// Adaptive pooling to 1 is global pooling; to other sizes each output i of n averages or maximises inputs floor(i h / n) to
// ceil((i + 1) h / n) - 1, axis by axis: an average is a product with a matrix, a maximum gathers the windows.
// LPPool: (sum x^p)^(1/p) with the sign as TorchSharp has it: sign(a) relu(|a|) k, to 1/p, where a is the average of x^p over k elements.
using System.Globalization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Poolings
{
    public static void Register(OperatorTable table)
    {
        const string window = "kernel_size, stride, padding, ceil_mode";
        Family<MaxPool1d, MaxPool2d, MaxPool3d>(table, "max_pool{0}d", "MaxPool", Max, window + ", dilation");
        foreach (var spatial in (int[])[1, 2, 3]) table.Operation($"max_pool{spatial}d_with_indices", "MaxPool, Mod", c => Max(c, spatial), window + ", dilation");
        Family<AvgPool1d, AvgPool2d, AvgPool3d>(table, "avg_pool{0}d", "AveragePool (Pad)", Average, window + ", count_include_pad, divisor_override");
        Family<AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d>(table, "adaptive_avg_pool{0}d", "GlobalAveragePool; MatMul", (c, n) => Adaptive(c, n, max: false), "output_size");
        table.Module<AdaptiveMaxPool1d>("GlobalMaxPool; Gather, ReduceMax", c => Adaptive(c, 1, max: true), "output_size");
        table.Module<AdaptiveMaxPool2d>("GlobalMaxPool; Gather, ReduceMax", c => Adaptive(c, 2, max: true), "output_size");
        foreach (var spatial in (int[])[1, 2]) table.Operation($"adaptive_max_pool{spatial}d", "GlobalMaxPool; Gather, ReduceMax", c => Adaptive(c, spatial, max: true), "output_size");
        table.Module<LPPool1d>("Pow, AveragePool", c => LpPool(c, 1), "norm_type, kernel_size, stride, ceil_mode");
        table.Module<LPPool2d>("Pow, AveragePool", c => LpPool(c, 2), "norm_type, kernel_size, stride, ceil_mode");
        table.Module<MaxUnpool1d>("ScatterElements", c => Unpool(c, 1), "kernel_size, stride, padding, output_size");
        table.Module<MaxUnpool2d>("ScatterElements", c => Unpool(c, 2), "kernel_size, stride, padding, output_size");
        table.Module<MaxUnpool3d>("ScatterElements", c => Unpool(c, 3), "kernel_size, stride, padding, output_size");
    }

    private static void Family<T1, T2, T3>(OperatorTable table, string operation, string onnx, Action<LoweringContext, int> rule, string options)
        where T1 : nn.Module where T2 : nn.Module where T3 : nn.Module
    {
        table.Module<T1>(onnx, c => rule(c, 1), options);
        table.Module<T2>(onnx, c => rule(c, 2), options);
        table.Module<T3>(onnx, c => rule(c, 3), options);
        foreach (var spatial in (int[])[1, 2, 3]) table.Operation(string.Format(CultureInfo.InvariantCulture, operation, spatial), onnx, c => rule(c, spatial), options);
    }

    private sealed record Window(long[] Kernel, long[] Stride, long[] Padding, long[] Dilation, bool Ceil);

    private static Window WindowOf(LoweringContext c, int spatial)
    {
        long[] Wide(long[]? values, long[] fallback) => values is null or [] ? fallback : values.Length == 1 ? [.. Enumerable.Repeat(values[0], spatial)] : values;
        long[]? Option(params string[] names) => c.Module is { } module ? ModuleFields.OptionalLongs(module, names) : c.Integers(names);
        var ones = Enumerable.Repeat(1L, spatial).ToArray();
        var kernel = Wide(Option("kernel_size", "kernelSize", "kernel"), ones);
        var ceil = c.Module is { } owner ? ModuleFields.Bool(owner, false, "ceil_mode") : c.Flag(false, "ceil_mode", "ceilMode");
        return new Window(kernel, Wide(Option("stride", "strides"), kernel), Wide(Option("padding"), new long[spatial]), Wide(Option("dilation"), ones), ceil);
    }

    /// <summary>Begin and end padding; in ceil mode with the extra that makes the last window whole.</summary>
    private static (long[] Pads, bool Ceil) Pads(LoweringContext c, GraphValue input, Window w)
    {
        var spatial = w.Kernel.Length;
        var end = w.Padding.ToArray();
        var ceil = w.Ceil;
        if (ceil)
        {
            ceil = false;
            for (var i = 0; i < spatial; i++)
            {
                var axis = input.Rank - spatial + i;
                if (c.FixedSize(input, axis) is not { } size || c.FixedResultSize(0, c.ResultRank() - spatial + i) is not { } output)
                {
                    ceil = true;
                    continue;
                }

                var needed = ((output - 1) * w.Stride[i]) + (w.Dilation[i] * (w.Kernel[i] - 1)) + 1;
                end[i] = Math.Max(w.Padding[i], needed - size - w.Padding[i]);
            }

            if (ceil) end = w.Padding.ToArray();
        }

        return ([.. w.Padding, .. end], ceil);
    }

    private static GraphValue Batched(LoweringContext c, int spatial)
    {
        var input = c.Tensor();
        return input.Rank == spatial + 2 ? input : throw c.Refuse("an input without a batch axis; add one with unsqueeze(0)");
    }

    private static void Max(LoweringContext c, int spatial)
    {
        var input = Batched(c, spatial);
        var w = WindowOf(c, spatial);
        var (pads, ceil) = Pads(c, input, w);
        (string, object)[] attributes = [("kernel_shape", w.Kernel), ("strides", w.Stride), ("pads", pads), ("dilations", w.Dilation), ("ceil_mode", ceil ? 1L : 0L)];
        if (c.ResultCount == 1)
        {
            c.Result(c.Like("MaxPool", [input], attributes));
            return;
        }

        var both = c.Nodes("MaxPool", [(input.Type, input.Rank), (ScalarType.Int64, input.Rank)], [input], attributes);
        c.Result(both[0]);
        // ONNX counts elements through batch and channels, TorchSharp within each map.
        var shape = c.Node("Shape", ScalarType.Int64, 1, [input]);
        var map = Reductions.Reduce(c, "ReduceProd", c.Node("Slice", ScalarType.Int64, 1, [shape, c.Constant(2), c.Constant(long.MaxValue)]), null, keep: false);
        c.Result(c.Node("Mod", ScalarType.Int64, input.Rank, [both[1], map]), 1);
    }

    private static void Average(LoweringContext c, int spatial)
    {
        var input = Batched(c, spatial);
        var w = WindowOf(c, spatial);
        var includePad = c.Module is { } module ? ModuleFields.Bool(module, true, "count_include_pad") : c.Flag(true, "count_include_pad");
        var divisor = c.Module is { } owner ? ModuleFields.Find(owner, "divisor_override") as long? : c.Has("divisor_override") ? c.Integer(0, "divisor_override") : null;
        c.Result(AveragePool(c, input, input, w, includePad, divisor));
    }

    /// <summary>Averages <paramref name="input"/>, whose sizes are those of <paramref name="sized"/>.</summary>
    private static GraphValue AveragePool(LoweringContext c, GraphValue input, GraphValue sized, Window w, bool includePad, long? divisor)
    {
        var spatial = w.Kernel.Length;
        var (pads, ceil) = Pads(c, sized, w);
        var extra = Enumerable.Range(0, spatial).Any(i => pads[spatial + i] != w.Padding[i]);
        if (divisor is > 0 and var value)
        {
            if (ceil) throw c.Refuse("divisor_override with ceil_mode on a free axis");
            var sum = c.Like("AveragePool", [input], ("kernel_shape", w.Kernel), ("strides", w.Stride), ("pads", pads), ("count_include_pad", 1L));
            return c.Like("Mul", [sum, c.Scalar((double)w.Kernel.Aggregate(1L, (a, b) => a * b) / value, input.Type)]);
        }

        if (includePad && extra)
        {
            // The padding counts, the extra of ceil mode does not: pad with zeros first, then the extra is left out of the count.
            long[] own = [0, 0, .. w.Padding, 0, 0, .. w.Padding];
            input = Paddings.Pad(c, input, own, "constant", 0);
            pads = [.. new long[spatial], .. Enumerable.Range(0, spatial).Select(i => pads[spatial + i] - w.Padding[i])];
            includePad = false;
        }

        return c.Like("AveragePool", [input], ("kernel_shape", w.Kernel), ("strides", w.Stride), ("pads", pads), ("ceil_mode", ceil ? 1L : 0L), ("count_include_pad", includePad ? 1L : 0L));
    }

    private static void Adaptive(LoweringContext c, int spatial, bool max)
    {
        var input = Batched(c, spatial);
        var first = input.Rank - spatial;
        var sizes = Enumerable.Range(0, spatial).Select(i => c.FixedResultSize(0, first + i)).ToArray();
        if (c.ResultCount > 1) throw c.Refuse("indices of adaptive pooling");
        if (sizes.All(size => size == 1))
        {
            c.Result(c.Like(max ? "GlobalMaxPool" : "GlobalAveragePool", [input]));
            return;
        }

        var value = input;
        for (var i = 0; i < spatial; i++)
        {
            if (c.FixedSize(input, first + i) is not { } from || sizes[i] is not { } to) throw c.Refuse("adaptive pooling of a free axis to another size than 1");
            if (from != to) value = max ? AdaptiveMaxAxis(c, value, first + i, from, to) : AdaptiveAverageAxis(c, value, first + i, from, to);
        }

        c.Result(value);
    }

    private static (long Start, long End)[] AdaptiveWindows(long from, long to) => [.. Enumerable.Range(0, (int)to).Select(i => (i * from / to, ((i + 1) * from + to - 1) / to))];

    private static GraphValue AdaptiveAverageAxis(LoweringContext c, GraphValue value, int axis, long from, long to)
    {
        using var scope = NewDisposeScope();
        var weights = new float[from * to];
        foreach (var ((start, end), i) in AdaptiveWindows(from, to).Select((window, i) => (window, i)))
        {
            for (var at = start; at < end; at++) weights[(at * to) + i] = 1f / (end - start);
        }

        var matrix = c.Computed(tensor(weights).reshape(from, to).to(value.Type), "adaptive");
        if (axis == value.Rank - 1) return c.Like("MatMul", [value, matrix]);
        var perm = Enumerable.Range(0, value.Rank).Select(i => (long)i).ToArray();
        (perm[axis], perm[^1]) = (perm[^1], perm[axis]);
        return Shapes.Permute(c, c.Like("MatMul", [Shapes.Permute(c, value, perm), matrix]), perm);
    }

    private static GraphValue AdaptiveMaxAxis(LoweringContext c, GraphValue value, int axis, long from, long to)
    {
        using var scope = NewDisposeScope();
        var windows = AdaptiveWindows(from, to);
        var widest = windows.Max(window => window.End - window.Start);
        // A shorter window repeats its last element, which changes no maximum.
        var index = windows.SelectMany(window => Enumerable.Range(0, (int)widest).Select(i => Math.Min(window.Start + i, window.End - 1))).ToArray();
        var gathered = c.Node("Gather", value.Type, value.Rank + 1, [value, c.Computed(tensor(index).reshape(to, widest), "windows")], ("axis", (long)axis));
        return Reductions.Reduce(c, "ReduceMax", gathered, [axis + 1], keep: false);
    }

    private static void LpPool(LoweringContext c, int spatial)
    {
        var input = Batched(c, spatial);
        var p = ModuleFields.Double(c.Module!, 2, "norm_type");
        var w = WindowOf(c, spatial);
        var count = w.Kernel.Aggregate(1L, (a, b) => a * b);
        var average = AveragePool(c, c.Like("Pow", [input, c.Scalar(p, input.Type)]), input, w, includePad: true, divisor: null);
        var positive = c.Like("Mul", [c.Like("Sign", [average]), c.Like("Relu", [c.Like("Abs", [average])])]);
        c.Result(c.Like("Pow", [c.Like("Mul", [positive, c.Scalar(count, input.Type)]), c.Scalar(1 / p, input.Type)]));
    }

    private static void Unpool(LoweringContext c, int spatial)
    {
        var input = Batched(c, spatial);
        var sizes = LoweringContext.ToSizes(c.ResultSizes());
        if (sizes.Skip(2).Any(size => size is not long)) throw c.Refuse("unpooling to a free size");
        var map = sizes.Skip(2).Aggregate(1L, (product, size) => product * (long)size!);
        var flat = c.Node("Reshape", input.Type, 3, [input, c.Constants([0, 0, -1])]);
        var indices = c.Node("Reshape", ScalarType.Int64, 3, [c.Tensor(1), c.Constants([0, 0, -1])]);
        var empty = c.Node("Expand", input.Type, 3, [c.Scalar(0, input.Type), c.SizeVector([sizes[0], sizes[1], map])]);
        var written = c.Like("ScatterElements", [empty, indices, flat], ("axis", 2L));
        c.Result(c.Node("Reshape", input.Type, input.Rank, [written, c.SizeVector([0L, 0L, .. sizes[2..]])]));
    }
}
