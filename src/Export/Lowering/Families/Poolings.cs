// Pooling. Ceil mode is extra padding at the end if the sizes are fixed (the counts are then TorchSharp's: the extra
// padding is never counted). Adaptive pooling to 1 is global pooling; for other sizes, output i of n averages or
// maximises the inputs floor(i h / n) to ceil((i + 1) h / n) - 1, axis by axis: the windows are gathered. NaN is the
// largest number, but ONNX Runtime's MaxPool skips it: a second pooling finds the windows that contain one. LPPool:
// (sum x^p)^(1/p) with TorchSharp's sign: sign(a) relu(|a|) k, to the power 1/p, where a is the average of x^p over k
// elements.
using System.Globalization;
using TorchBridge.Export.Capture;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Lowers pooling: maximum, average, power-average and adaptive pooling, and unpooling.</summary>
internal static class Poolings
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        const string window = "kernel_size, stride, padding, ceil_mode";
        Family<MaxPool1d, MaxPool2d, MaxPool3d>(table, "max_pool{0}d", "MaxPool", Max, window + ", dilation");
        foreach (var spatial in (int[])[1, 2, 3])
            table.Operation(
                $"max_pool{spatial}d_with_indices",
                "MaxPool, Mod",
                c => Max(c, spatial),
                window + ", dilation"
            );
        Family<AvgPool1d, AvgPool2d, AvgPool3d>(
            table,
            "avg_pool{0}d",
            "AveragePool (Pad)",
            Average,
            window + ", count_include_pad, divisor_override"
        );
        Family<AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d>(
            table,
            "adaptive_avg_pool{0}d",
            "GlobalAveragePool; AveragePool; Gather, Where, ReduceSum",
            (c, n) => Adaptive(c, n, max: false),
            "output_size"
        );
        table.Module<AdaptiveMaxPool1d>("Gather, ReduceMax", c => Adaptive(c, 1, max: true), "output_size");
        table.Module<AdaptiveMaxPool2d>("Gather, ReduceMax", c => Adaptive(c, 2, max: true), "output_size");
        foreach (var spatial in (int[])[1, 2, 3])
        {
            if (spatial < 3) // TorchSharp's own function for three axes calls the one for one axis
            {
                table.Operation(
                    $"adaptive_max_pool{spatial}d",
                    "Gather, ReduceMax",
                    c => Adaptive(c, spatial, max: true),
                    "output_size"
                );
                table.Operation(
                    $"adaptive_max_pool{spatial}d_with_indices",
                    "Gather, ReduceMax, ArgMax",
                    c => Adaptive(c, spatial, max: true),
                    "output_size"
                );
            }

            table.Operation(
                $"max_unpool{spatial}d",
                "ScatterElements",
                c => Unpool(c, spatial),
                "kernel_size, stride, padding, output_size"
            );
        }

        foreach (var spatial in (int[])[1, 2])
            table.Operation(
                $"lp_pool{spatial}d",
                "Pow, AveragePool",
                c => LpPool(c, spatial),
                "norm_type, kernel_size, stride, ceil_mode"
            );
        table.Module<LPPool1d>("Pow, AveragePool", c => LpPool(c, 1), "norm_type, kernel_size, stride, ceil_mode");
        table.Module<LPPool2d>("Pow, AveragePool", c => LpPool(c, 2), "norm_type, kernel_size, stride, ceil_mode");
        table.Module<MaxUnpool1d>("ScatterElements", c => Unpool(c, 1), "kernel_size, stride, padding, output_size");
        table.Module<MaxUnpool2d>("ScatterElements", c => Unpool(c, 2), "kernel_size, stride, padding, output_size");
        table.Module<MaxUnpool3d>("ScatterElements", c => Unpool(c, 3), "kernel_size, stride, padding, output_size");
    }

    /// <summary>
    /// Adds one rule for the modules with one to three spatial axes, and for the functions.
    /// </summary>
    private static void Family<T1, T2, T3>(
        OperatorTable table,
        string operation,
        string onnx,
        Action<LoweringContext, int> rule,
        string options
    )
        where T1 : nn.Module
        where T2 : nn.Module
        where T3 : nn.Module
    {
        table.Module<T1>(onnx, c => rule(c, 1), options);
        table.Module<T2>(onnx, c => rule(c, 2), options);
        table.Module<T3>(onnx, c => rule(c, 3), options);
        foreach (var spatial in (int[])[1, 2, 3])
            table.Operation(
                string.Format(CultureInfo.InvariantCulture, operation, spatial),
                onnx,
                c => rule(c, spatial),
                options
            );
    }

    /// <summary>A pooling window, one number per spatial axis.</summary>
    private sealed record Window(long[] Kernel, long[] Stride, long[] Padding, long[] Dilation, bool Ceil);

    /// <summary>
    /// The window of the module or function; the stride defaults to the kernel size.
    /// </summary>
    private static Window WindowOf(LoweringContext c, int spatial)
    {
        long[] Wide(long[]? values, long[] fallback) =>
            values is null or [] ? fallback
            : values.Length == 1 ? [.. Enumerable.Repeat(values[0], spatial)]
            : values;
        long[]? Option(params string[] names) =>
            c.Module is { } module ? ModuleFields.OptionalLongs(module, names) : c.Integers(names);
        var ones = Enumerable.Repeat(1L, spatial).ToArray();
        var kernel = Wide(Option("kernel_size", "kernelSize", "kernel"), ones);
        var ceil = c.Module is { } owner
            ? ModuleFields.Bool(owner, false, "ceil_mode")
            : c.Flag(false, "ceil_mode", "ceilMode");
        return new Window(
            kernel,
            Wide(Option("stride", "strides"), kernel),
            Wide(Option("padding"), new long[spatial]),
            Wide(Option("dilation"), ones),
            ceil
        );
    }

    /// <summary>Begin and end padding; in ceil mode with the extra padding that completes the last window.</summary>
    private static (long[] Pads, bool Ceil) Pads(LoweringContext c, Window w)
    {
        var input = c.Tensor();
        var spatial = w.Kernel.Length;
        var end = w.Padding.ToArray();
        var ceil = w.Ceil;
        if (ceil)
        {
            ceil = false;
            for (var dimension = 0; dimension < spatial; dimension++)
            {
                var axis = input.Rank - spatial + dimension;
                if (
                    c.FixedSize(input, axis) is not { } size
                    || c.FixedResultSize(0, c.ResultRank() - spatial + dimension) is not { } output
                )
                {
                    ceil = true;
                    continue;
                }

                var needed =
                    ((output - 1) * w.Stride[dimension]) + (w.Dilation[dimension] * (w.Kernel[dimension] - 1)) + 1;
                end[dimension] = Math.Max(w.Padding[dimension], needed - size - w.Padding[dimension]);
            }

            if (ceil)
                end = w.Padding.ToArray();
        }

        return ([.. w.Padding, .. end], ceil);
    }

    /// <summary>Adds the batch axis that TorchSharp's pooling does not require, with a function that removes it from
    /// the result.</summary>
    private static (GraphValue Input, Func<GraphValue, GraphValue> Back) Batched(LoweringContext c, int spatial)
    {
        var input = c.Tensor();
        if (input.Rank == spatial + 2)
            return (input, value => value);
        return (Layout.Unsqueeze(c, input, 0), value => Layout.Squeeze(c, value, 0));
    }

    /// <summary>
    /// The largest element of each window, and its position in the feature map if requested.
    /// </summary>
    private static void Max(LoweringContext c, int spatial)
    {
        var (input, back) = Batched(c, spatial);
        var window = WindowOf(c, spatial);
        var (pads, ceil) = Pads(c, window);
        var padded = input;
        if (window.Kernel.Where((size, i) => pads[spatial + i] >= size).Any())
        {
            // A dilated window may extend further over the end than the padding that ONNX Runtime allows.
            long[] ends = [.. Enumerable.Range(0, spatial).Select(i => pads[spatial + i] - window.Padding[i])];
            padded = Paddings.Pad(
                c,
                input,
                [.. new long[spatial + 2], 0, 0, .. ends],
                "constant",
                double.NegativeInfinity
            );
            pads = [.. window.Padding, .. window.Padding];
        }

        (string, object)[] attributes =
        [
            ("kernel_shape", window.Kernel),
            ("strides", window.Stride),
            ("pads", pads),
            ("dilations", window.Dilation),
            ("ceil_mode", ceil ? 1L : 0L),
        ];
        if (c.ResultCount == 1)
        {
            c.Result(back(c.Like("MaxPool", [padded], attributes)));
            return;
        }

        var both = c.Nodes("MaxPool", [(input.Type, input.Rank), (ScalarType.Int64, input.Rank)], [padded], attributes);
        c.Result(back(both[0]));
        // ONNX numbers the elements across batch and channels, TorchSharp within each feature map.
        var map = new Formula(c, both[1]).Binary("Mod", new Formula(c, Map(c, padded)));
        if (padded != input)
        {
            // Positions in the padded map are converted axis by axis, from the last axis on.
            var (rest, unit) = (map, map.Number(1));
            var number = map * 0;
            for (var axis = spatial + 1; axis >= 2; axis--)
            {
                var size = new Formula(c, Layout.Size(c, padded, axis));
                number += rest.Binary("Mod", size) * unit;
                (rest, unit) = (rest / size, unit * new Formula(c, Layout.Size(c, input, axis)));
            }

            map = number;
        }

        c.Result(back(map.Value), 1);
    }

    /// <summary>The number of elements of a feature map.</summary>
    private static GraphValue Map(LoweringContext c, GraphValue x) =>
        Reductions.Reduce(c, "ReduceProd", Layout.Slice(c, Layout.Sizes(c, x), 0, 2, long.MaxValue), null, keep: false);

    /// <summary>
    /// The mean of each window, with or without the padding, or with a given divisor.
    /// </summary>
    private static void Average(LoweringContext c, int spatial)
    {
        var (input, back) = Batched(c, spatial);
        var window = WindowOf(c, spatial);
        var includePad = c.Module is { } module
            ? ModuleFields.Bool(module, true, "count_include_pad")
            : c.Flag(true, "count_include_pad");
        var divisor =
            c.Module is { } owner ? ModuleFields.Find(owner, "divisor_override") as long?
            : c.Has("divisor_override") ? c.Integer(0, "divisor_override")
            : null;
        c.Result(back(AveragePool(c, input, window, includePad, divisor)));
    }

    /// <summary>Average pooling of a value that has the argument's sizes.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="input">[N, C, spatial...]</param>
    /// <param name="w">The window.</param>
    /// <param name="includePad">Whether the zeros of the padding are included in the mean.</param>
    /// <param name="divisor">Divisor of the sums; null for the number of elements.</param>
    private static GraphValue AveragePool(LoweringContext c, GraphValue input, Window w, bool includePad, long? divisor)
    {
        var spatial = w.Kernel.Length;
        var (pads, ceil) = Pads(c, w);
        var extra = Enumerable.Range(0, spatial).Any(i => pads[spatial + i] != w.Padding[i]);
        if (divisor is > 0 and var value)
        {
            if (ceil)
                throw c.Refuse(
                    "divisor_override with ceil_mode is not supported on a free axis; fix the axis "
                        + "(ExportOptions.FreeAxes), or omit one of the two"
                );
            var sum = c.Like(
                "AveragePool",
                [input],
                ("kernel_shape", w.Kernel),
                ("strides", w.Stride),
                ("pads", pads),
                ("count_include_pad", 1L)
            );
            return c.Like("Mul", [sum, c.Scalar((double)w.Kernel.Aggregate(1L, (a, b) => a * b) / value, input.Type)]);
        }

        if (includePad && extra)
        {
            // The padding is counted, but the extra padding of ceil mode is not: pad with zeros first, so that only
            // the extra is excluded from the count.
            long[] own = [0, 0, .. w.Padding, 0, 0, .. w.Padding];
            input = Paddings.Pad(c, input, own, "constant", 0);
            pads =
            [
                .. new long[spatial],
                .. Enumerable.Range(0, spatial).Select(i => pads[spatial + i] - w.Padding[i]),
            ];
            includePad = false;
        }

        return c.Like(
            "AveragePool",
            [input],
            ("kernel_shape", w.Kernel),
            ("strides", w.Stride),
            ("pads", pads),
            ("ceil_mode", ceil ? 1L : 0L),
            ("count_include_pad", includePad ? 1L : 0L)
        );
    }

    /// <summary>Pooling to given output sizes.</summary>
    private static void Adaptive(LoweringContext c, int spatial, bool max)
    {
        var (input, back) = Batched(c, spatial);
        var sizes = LoweringContext.ToSizes(c.ResultSizes())[^spatial..];
        if (!max)
        {
            c.Result(back(AdaptiveAverage(c, input, sizes)));
            return;
        }

        var windows = Enumerable.Range(0, spatial).Select(i => WindowsOf(c, input, i, sizes)).ToArray();
        var gathered = WithWindows(c, input, windows);
        c.Result(back(Reductions.Extreme(c, "Max", gathered, [gathered.Rank - 1], keep: false)));
        if (c.ResultCount == 1)
            return;
        // The element numbers, gathered in the same way, at the position of the largest element.
        var place = Reductions.ArgWithNan(c, "ArgMax", gathered, gathered.Rank - 1, keep: true);
        long[] ones = [1, 1];
        var shape = Layout.Concat(
            c,
            0,
            c.Constants(ones),
            Layout.Slice(c, Layout.Sizes(c, input), 0, 2, long.MaxValue)
        );
        var numbers = WithWindows(c, Layout.Reshape(c, Layout.Range(c, Map(c, input)), shape, input.Rank), windows);
        var all = Layout.Expand(c, numbers, Layout.Sizes(c, gathered), gathered.Rank);
        c.Result(
            back(
                Layout.Squeeze(
                    c,
                    c.Like("GatherElements", [all, place], ("axis", gathered.Rank - 1L)),
                    gathered.Rank - 1L
                )
            ),
            1
        );
    }

    /// <summary>The elements of an axis in each window, [to, widest], where a shorter window repeats its last
    /// element, and the number of elements per window, [to, 1].</summary>
    private sealed record AxisWindows(GraphValue Numbers, GraphValue Mask, GraphValue Counts);

    /// <summary>
    /// The windows of one axis: output i of n covers the inputs floor(i h / n) up to ceil((i + 1) h / n) - 1.
    /// </summary>
    /// <param name="c">The operation.</param>
    /// <param name="input">[N, C, spatial...]</param>
    /// <param name="axis">A spatial axis, from 0.</param>
    /// <param name="sizes">The result's spatial sizes, each a long or a varying size.</param>
    private static AxisWindows WindowsOf(LoweringContext c, GraphValue input, int axis, object?[] sizes)
    {
        var from = new Formula(c, Layout.Size(c, input, 2 + axis));
        var to = new Formula(c, c.SizeValue(sizes[axis]));
        if (c.FixedSize(c.Tensor(), c.Tensor().Rank - sizes.Length + axis) is { } known)
            from = new Formula(c, c.Constant(known));
        var place = new Formula(c, Layout.Unsqueeze(c, Layout.Range(c, to.Value), 1));
        var start = place * from / to;
        var end = ((place + 1) * from + to - 1) / to;
        var widest = new Formula(c, Reductions.Extreme(c, "Max", (end - start).Value, null, keep: false));
        var numbers = start + new Formula(c, Layout.Range(c, widest.Value));
        return new AxisWindows(numbers.Min(end - 1).Value, (numbers < end).Value, (end - start).Value);
    }

    /// <summary>Gathers the windows of all spatial axes into the last axis.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">[N, C, spatial...]</param>
    /// <param name="windows">One per spatial axis.</param>
    /// <returns>A value with the result's spatial sizes, whose last axis holds the elements of a window.</returns>
    private static GraphValue WithWindows(LoweringContext c, GraphValue x, AxisWindows[] windows)
    {
        var spatial = windows.Length;
        for (var axis = 0; axis < spatial; axis++)
            x = Layout.Gather(c, x, windows[axis].Numbers, 2 + (2 * axis));
        // [N, C, oh, kh, ow, kw] to [N, C, oh, ow, kh kw]
        long[] order =
        [
            0,
            1,
            .. Enumerable.Range(0, spatial).Select(i => 2L + (2 * i)),
            .. Enumerable.Range(0, spatial).Select(i => 3L + (2 * i)),
        ];
        var ordered = Layout.Permute(c, x, order);
        if (spatial == 1)
            return ordered;
        var kept = Layout.Slice(c, Layout.Sizes(c, ordered), 0, 0, 2 + spatial);
        var width = Reductions.Reduce(
            c,
            "ReduceProd",
            Layout.Slice(c, Layout.Sizes(c, ordered), 0, 2 + spatial, long.MaxValue),
            [0],
            keep: true
        );
        return Layout.Reshape(c, ordered, Layout.Concat(c, 0, kept, width), 3 + spatial);
    }

    /// <summary>Adaptive average pooling.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="input">[N, C, spatial].</param>
    /// <param name="sizes">Sizes of the result's spatial axes, each fixed or varying.</param>
    public static GraphValue AdaptiveAverage(LoweringContext c, GraphValue input, object?[] sizes)
    {
        var spatial = sizes.Length;
        var argument = c.Tensor();
        if (sizes.All(size => size is 1L))
            return c.Like("GlobalAveragePool", [input]);
        long?[] from =
        [
            .. Enumerable.Range(0, spatial).Select(i => c.FixedSize(argument, argument.Rank - spatial + i)),
        ];
        if (
            Kernels.TypeFor("AveragePool", input.Type) is not null
            && from.Zip(sizes)
                .All(pair => pair is { First: > 0 and var size, Second: long and > 0 and var to } && size % to == 0)
        )
        {
            // Adjacent windows of the same width.
            long[] kernel = [.. from.Zip(sizes, (size, to) => size!.Value / (long)to!)];
            return c.Like("AveragePool", [input], ("kernel_shape", kernel), ("strides", kernel));
        }

        var value = new Formula(c, input).To(Kernels.Wide(input.Type));
        for (var axis = 0; axis < spatial; axis++)
        {
            if (from[axis] is { } same && sizes[axis] is long result && same == result)
                continue;
            var windows = WindowsOf(c, input, axis, sizes);
            var gathered = new Formula(c, Layout.Gather(c, value.Value, windows.Numbers, 2 + axis));
            var chosen = Formula.Where(new Formula(c, Layout.Behind(c, windows.Mask, spatial - 1 - axis)), gathered, 0);
            var sum = new Formula(c, Reductions.Reduce(c, "ReduceSum", chosen.Value, [3 + axis], keep: false));
            value =
                sum
                / new Formula(
                    c,
                    Layout.Behind(c, c.Cast(Layout.Squeeze(c, windows.Counts, 1), value.Type), spatial - 1 - axis)
                );
        }

        return value.Value;
    }

    /// <summary>The p-norm of each window, with TorchSharp's sign.</summary>
    private static void LpPool(LoweringContext c, int spatial)
    {
        var (input, back) = Batched(c, spatial);
        var order = c.Module is { } module ? ModuleFields.Double(module, 2, "norm_type") : c.Number(2, "norm_type");
        var window = WindowOf(c, spatial);
        var elements = new Formula(c, input);
        var average = new Formula(
            c,
            AveragePool(
                c,
                elements.Binary("Pow", elements.Number(order)).Value,
                window,
                includePad: true,
                divisor: null
            )
        );
        var positive =
            Pointwise.Sign(average)
            * average.Abs().Max(average.Number(0))
            * window.Kernel.Aggregate(1L, (a, b) => a * b);
        c.Result(back(positive.Binary("Pow", positive.Number(1 / order)).Value));
    }

    /// <summary>
    /// Writes elements to the positions where max pooling found them, zeros elsewhere.
    /// </summary>
    private static void Unpool(LoweringContext c, int spatial)
    {
        _ = WindowOf(c, spatial); // its effect is already in the result's sizes
        var (input, back) = Batched(c, spatial);
        var indices = c.Tensor(1).Rank == spatial + 2 ? c.Tensor(1) : Layout.Unsqueeze(c, c.Tensor(1), 0);
        var map = c.SizeVector(LoweringContext.ToSizes(c.ResultSizes())[^spatial..]);
        var leading = Layout.Slice(c, Layout.Sizes(c, input), 0, 0, 2);
        GraphValue Flat(GraphValue value) =>
            Layout.Reshape(
                c,
                value,
                Layout.Concat(
                    c,
                    0,
                    leading,
                    Reductions.Reduce(
                        c,
                        "ReduceProd",
                        Layout.Slice(c, Layout.Sizes(c, input), 0, 2, long.MaxValue),
                        [0],
                        keep: true
                    )
                ),
                3
            );
        var empty = Layout.Expand(
            c,
            c.Scalar(0, input.Type),
            Layout.Concat(c, 0, leading, Reductions.Reduce(c, "ReduceProd", map, [0], keep: true)),
            3
        );
        var written = c.Like("ScatterElements", [empty, Flat(indices), Flat(input)], ("axis", 2L));
        c.Result(back(Layout.Reshape(c, written, Layout.Concat(c, 0, leading, map), spatial + 2)));
    }
}
