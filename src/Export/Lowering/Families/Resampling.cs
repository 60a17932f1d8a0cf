// Resampling. If ONNX Runtime's Resize computes the same as libtorch, Resize is used: nearest is asymmetric with
// floor; linear and cubic are half-pixel, or align_corners; cubic has a = -0.75. Otherwise the elements and their
// weights are computed as in libtorch and gathered:
//   nearest    element floor(i scale), with scale = in / out or 1 / scale_factor in float32, which Resize rounds
//              differently unless out = 2^k in
//   linear     at s = max((i + 1/2) scale - 1/2, 0), or i (in - 1) / (out - 1): (1 - t) x[floor s] + t x[floor s + 1],
//              t = s - floor s
//   cubic      four elements around s, with Keys' weights
// Unfold gathers the windows, Fold adds them up again. Area is adaptive average pooling.
using System.Globalization;
using System.Numerics;
using TorchBridge.Export.Capture;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>
/// Lowers interpolation, grid sampling, affine grids, fold and unfold.
/// </summary>
internal static class Resampling
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        const string options = "size, scale_factor, recompute_scale_factor, mode, align_corners";
        table.Module<Upsample>(
            "Resize; Gather, Mul, Add",
            c =>
            {
                var module = (Upsample)c.Module!;
                Resize(
                    c,
                    module.recompute_scale_factor == true
                        ? null
                        : (double[]?)ModuleFields.Find(module, "_scale_factor"),
                    module.mode.ToString(),
                    module.align_corners ?? false
                );
            },
            options
        );
        table.Operation("interpolate", "Resize; Gather, Mul, Add; AveragePool", Interpolate, options);
        table.Operation(
            "upsample",
            "Resize; Gather, Mul, Add",
            c => Resize(c, Scales(c), c.Text("mode") ?? "Nearest", c.Flag(false, "align_corners")),
            "size, scale_factor, mode, align_corners"
        );
        table.Operation(
            "upsample_bilinear",
            "Resize; Gather, Mul, Add",
            c => Resize(c, Scales(c), "Bilinear", c.Flag(false, "align_corners")),
            "size, scale_factor, align_corners"
        );
        foreach (var name in (string[])["upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"])
            table.Operation(
                name,
                "Resize; Gather",
                c => Resize(c, Scales(c), "Nearest", c.Flag(false, "align_corners")),
                "size, scale_factor"
            );
        table.Operation("grid_sample", "GridSample", GridSample, "mode, padding_mode, align_corners");
        table.Operation("affine_grid", "MatMul", AffineGrid, "size, align_corners");
        const string window = "kernel_size, dilation, padding, stride";
        table.Module<Unfold>("Pad, Gather, Reshape", c => Unfold(c, new Window(c.Module!)), window);
        table.Module<Fold>(
            "Reshape, ScatterElements (add), Slice",
            c => Fold(c, new Window(c.Module!), ModuleFields.Longs(c.Module!, "output_size")),
            "output_size, " + window
        );
        table.Operation(
            "fold",
            "Reshape, ScatterElements (add), Slice",
            c => Fold(c, Window.Of(c), Window.Wide(c.Integers("output_size")!)),
            "output_size, " + window
        );
    }

    // ---- interpolation -------------------------------------------------------------------------------------------------------

    /// <summary>Scale factors per spatial axis; null if sizes are given.</summary>
    private static double[]? Scales(LoweringContext c) =>
        c.Raw("scale_factor", "scaleFactor", "scaleFactors") switch
        {
            null => null,
            double scale => [scale],
            long scale => [scale],
            object?[] list when list.All(item => item is double or long) =>
            [
                .. list.Select(item => Convert.ToDouble(item, CultureInfo.InvariantCulture)),
            ],
            _ => throw c.Refuse("scale_factor depends on a free axis; pass the size instead"),
        };

    /// <summary>interpolate as a function.</summary>
    private static void Interpolate(LoweringContext c)
    {
        if (c.Flag(false, "antialias"))
            throw c.Refuse(
                "antialias is not supported: ONNX has it only from opset 18 on, with other weights. Blur with a "
                    + "fixed convolution first, or resize outside the model"
            );
        var mode = c.Text("mode") ?? "Nearest";
        var corners = c.Flag(false, "align_corners");
        // A scale that is recomputed from the sizes equals the default scale.
        var scales = c.Flag(false, "recompute_scale_factor") ? null : Scales(c);
        if (mode.Equals("Area", StringComparison.OrdinalIgnoreCase))
            c.Result(Poolings.AdaptiveAverage(c, c.Tensor(), LoweringContext.ToSizes(c.ResultSizes())[2..]));
        else
            Resize(c, scales, mode, corners);
    }

    /// <summary>
    /// Resizes the spatial axes: with Resize if it computes the same result, otherwise by gathering elements and
    /// weights.
    /// </summary>
    /// <param name="c">The operation.</param>
    /// <param name="scales">Scale factors by spatial axis, or one for all; null if sizes are given instead.</param>
    /// <param name="mode">The mode in TorchSharp's spelling.</param>
    /// <param name="alignCorners">Whether the outermost elements keep their positions.</param>
    private static void Resize(LoweringContext c, double[]? scales, string mode, bool alignCorners)
    {
        var input = c.Tensor();
        var spatial = input.Rank - 2;
        if (scales is { Length: 1 } && spatial > 1)
            scales = [.. Enumerable.Repeat(scales[0], spatial)];
        var kind = mode.ToUpperInvariant() switch
        {
            "NEAREST" => "nearest",
            "LINEAR" or "BILINEAR" or "TRILINEAR" => "linear",
            "BICUBIC" => "cubic",
            _ => throw c.Refuse(
                $"mode {mode} is not supported; supported are nearest, linear, bilinear, "
                    + "trilinear, bicubic and area"
            ),
        };
        var hasKernel = input.Type is ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16;
        var isExact = Enumerable
            .Range(0, spatial)
            .All(i => kind == "nearest" ? IsPowerOfTwo(c, i, scales) : IsRatioOfSizes(c, i, scales));
        if (hasKernel && isExact && !(kind == "cubic" && spatial != 2))
        {
            (string, object)[] attributes =
            [
                ("mode", kind),
                (
                    "coordinate_transformation_mode",
                    kind == "nearest" ? "asymmetric"
                    : alignCorners ? "align_corners"
                    : "half_pixel"
                ),
                ("nearest_mode", "floor"),
                ("cubic_coeff_a", -0.75f),
            ];
            c.Result(
                c.Like(
                    "Resize",
                    [input, GraphValue.None, GraphValue.None, c.SizeVector(LoweringContext.ToSizes(c.ResultSizes()))],
                    attributes
                )
            );
            return;
        }

        if (kind != "nearest" && !is_floating_point(input.Type))
            throw c.Refuse($"{mode} is not supported for {input.Type}; cast to float32 first");
        var value = kind == "nearest" ? new Formula(c, input) : new Formula(c, input).To(Kernels.Wide(input.Type));
        for (var dimension = 0; dimension < spatial; dimension++)
        {
            if (IsCopied(c, dimension, scales))
                continue;
            var axis = new ResizedAxis(
                c,
                dimension,
                scales?[dimension],
                alignCorners,
                value.Type == ScalarType.Float64 && kind != "nearest" ? ScalarType.Float64 : ScalarType.Float32
            );
            value = axis.Apply(value, kind);
        }

        c.Result(value.Value);
    }

    /// <summary>Sizes of a spatial axis before and after resizing, in each trace.</summary>
    private static (long[] In, long[] Out) SizesOf(LoweringContext c, int axis) =>
        (
            [.. c.SizesOf(c.Tensor()).Select(shape => shape[2 + axis])],
            [.. c.ResultSizes().Select(shape => shape[2 + axis])]
        );

    /// <summary>Whether the factor is a power of two, so that each element becomes 2^k elements.</summary>
    /// <param name="c">The operation.</param>
    /// <param name="axis">A spatial axis, from 0.</param>
    /// <param name="scales">Scale factors by spatial axis; null if sizes are given instead.</param>
    /// <returns>Whether this holds in every trace.</returns>
    private static bool IsPowerOfTwo(LoweringContext c, int axis, double[]? scales)
    {
        var (from, to) = SizesOf(c, axis);
        var factor = from[0] > 0 ? to[0] / from[0] : 0;
        return factor > 0
            && BitOperations.IsPow2(factor)
            && from.Zip(to).All(pair => pair.Second == factor * pair.First)
            && (scales is null || scales[axis] == factor);
    }

    /// <summary>Whether the scale equals the ratio of the sizes.</summary>
    /// <param name="c">The operation.</param>
    /// <param name="axis">A spatial axis, from 0.</param>
    /// <param name="scales">Scale factors by spatial axis; null if sizes are given instead.</param>
    /// <returns>Whether this holds in every trace.</returns>
    private static bool IsRatioOfSizes(LoweringContext c, int axis, double[]? scales)
    {
        var (from, to) = SizesOf(c, axis);
        return scales is null || from.Zip(to).All(pair => pair.First * scales[axis] == pair.Second);
    }

    /// <summary>Whether an axis keeps its size and its elements.</summary>
    /// <param name="c">The operation.</param>
    /// <param name="axis">A spatial axis, from 0.</param>
    /// <param name="scales">Scale factors by spatial axis; null if sizes are given instead.</param>
    /// <returns>Whether this holds in every trace.</returns>
    private static bool IsCopied(LoweringContext c, int axis, double[]? scales)
    {
        var (from, to) = SizesOf(c, axis);
        return from.SequenceEqual(to) && (scales is null || scales[axis] == 1 || from.All(size => size == from[0]));
    }

    /// <summary>A resized axis, with its sizes and its scale.</summary>
    private sealed class ResizedAxis
    {
        private readonly LoweringContext c;
        private readonly int axis;
        private readonly bool alignCorners;
        private readonly ScalarType type;
        private readonly Formula from;
        private readonly Formula to;
        private readonly Formula scale;
        private readonly Formula places;

        /// <summary>Computes the positions and the scale of one axis.</summary>
        /// <param name="c">Receives the nodes.</param>
        /// <param name="spatialAxis">A spatial axis, from 0.</param>
        /// <param name="factor">The caller's scale factor, or null for the ratio of the sizes.</param>
        /// <param name="alignCorners">Whether the first and last elements keep their positions.</param>
        /// <param name="type">The dtype of positions and weights.</param>
        public ResizedAxis(LoweringContext c, int spatialAxis, double? factor, bool alignCorners, ScalarType type)
        {
            this.c = c;
            this.alignCorners = alignCorners;
            this.type = type;
            axis = 2 + spatialAxis;
            var sizes = LoweringContext.ToSizes(c.ResultSizes());
            from = new Formula(
                c,
                c.FixedSize(c.Tensor(), axis) is { } known ? c.Constant(known) : Layout.Size(c, c.Tensor(), axis)
            );
            to = new Formula(c, c.SizeValue(sizes[axis]));
            var ratio = from.To(type) / to.To(type);
            // If the size stays the same or doubles, libtorch copies elements, whatever the factor is.
            scale = factor is { } given
                ? Formula.Where(from.EqualTo(to) | (from * 2).EqualTo(to), ratio, ratio.Number(1 / given))
                : ratio;
            places = new Formula(c, Layout.Range(c, to.Value)).To(type);
        }

        /// <summary>Resizes a value along this axis.</summary>
        /// <param name="x">The value.</param>
        /// <param name="kind"><c>nearest</c>, <c>linear</c> or <c>cubic</c>.</param>
        public Formula Apply(Formula x, string kind)
        {
            if (kind == "nearest")
                return Take(x, (places * scale).Apply("Floor"));
            var at = alignCorners
                ? places * ((from - 1).To(type) / (to - 1).Max(to.Number(1)).To(type))
                : (places + 0.5) * scale - 0.5;
            if (kind == "linear" && !alignCorners)
                at = at.Max(at.Number(0));
            var first = at.Apply("Floor");
            if (kind == "linear")
                first = first.Min((from - 1).To(type));
            var rest = at - first;
            if (kind == "linear")
                return Take(x, first) * Weight(x, 1 - rest) + Take(x, first + 1) * Weight(x, rest);
            // Keys' weights for the distances t + 1, t, 1 - t, 2 - t.
            const double a = -0.75;
            Formula Near(Formula t) => (t * (a + 2) - (a + 3)) * t * t + 1;
            Formula Far(Formula t) => ((t * a - 5 * a) * t + 8 * a) * t - 4 * a;
            return Take(x, first - 1) * Weight(x, Far(rest + 1))
                + Take(x, first) * Weight(x, Near(rest))
                + Take(x, first + 1) * Weight(x, Near(1 - rest))
                + Take(x, first + 2) * Weight(x, Far(2 - rest));
        }

        /// <summary>Gathers elements by index along the axis; the indices are clamped to it.</summary>
        private Formula Take(Formula x, Formula number)
        {
            var inside = number.To(ScalarType.Int64).Max(from.Number(0)).Min(from - 1);
            return new Formula(c, Layout.Gather(c, x.Value, inside.Value, axis));
        }

        /// <summary>
        /// Reshapes the weights of the positions so that they broadcast along the axis.
        /// </summary>
        private Formula Weight(Formula x, Formula weight) =>
            new(c, Layout.Behind(c, weight.To(x.Type).Value, x.Value.Rank - 1 - axis));
    }

    /// <summary>Samples an image at the positions of a grid: GridSample of opset 16.</summary>
    private static void GridSample(LoweringContext c)
    {
        var (x, grid) = (c.Tensor(), c.Tensor(1));
        if (x.Rank != 4)
            throw c.Refuse(
                "grid_sample of volumes is not supported: ONNX has it only from opset 20 on, and ONNX Runtime "
                    + "only for images [N, C, H, W]"
            );
        var mode = (c.Text("mode") ?? "Bilinear").ToLowerInvariant();
        var padding = (c.Text("padding_mode") ?? "Zeros").ToLowerInvariant();
        var corners = c.Flag(false, "align_corners") ? 1L : 0L;
        c.Result(
            c.Node(
                "GridSample",
                x.Type,
                4,
                [x, c.Cast(grid, x.Type)],
                ("mode", mode),
                ("padding_mode", padding),
                ("align_corners", corners)
            )
        );
    }

    /// <summary>The grid of an affine map: the base grid times its matrix.</summary>
    private static void AffineGrid(LoweringContext c)
    {
        // The grid of the identity is the base grid: [x, y, 1] for each position.
        using var scope = NewDisposeScope();
        var theta = c.Tensor();
        var sizes = LoweringContext.ToSizes(c.ResultSizes());
        if (sizes[1..].Any(size => size is not long))
            throw c.RefuseFree("an axis of the grid");
        c.Raw("size");
        long[] map = [.. sizes[1..^1].Cast<long>()];
        var spatial = map.Length;
        var type = Kernels.Wide(theta.Type);
        var identity = eye(spatial, spatial + 1, type).unsqueeze(0);
        var places = nn
            .functional.affine_grid(identity, [1, 1, .. map], c.Flag(false, "align_corners"))
            .reshape(-1, spatial);
        var with = c.Computed(cat([places, ones(places.shape[0], 1, type)], 1), "grid");
        var grid = c.Node("MatMul", type, 3, [with, Layout.Swap(c, c.Cast(theta, type), 1, 2)]);
        c.Result(Layout.Reshape(c, grid, c.SizeVector(sizes), sizes.Length));
    }

    // ---- windows -------------------------------------------------------------------------------------------------------------

    /// <summary>The window options of unfold and fold, two numbers each.</summary>
    private sealed record Window(long[] Kernel, long[] Dilation, long[] Padding, long[] Stride)
    {
        /// <summary>Reads a module's options.</summary>
        /// <param name="module">Unfold or Fold.</param>
        public Window(nn.Module module)
            : this(
                ModuleFields.Longs(module, "kernel_size"),
                ModuleFields.Longs(module, "dilation"),
                ModuleFields.Longs(module, "padding"),
                ModuleFields.Longs(module, "stride")
            ) { }

        /// <summary>Reads a function's arguments.</summary>
        /// <param name="c">The operation.</param>
        public static Window Of(LoweringContext c)
        {
            long[] Option(string name, long fallback) => Wide(c.Integers(name) ?? [fallback]);
            return new Window(
                Option("kernel_size", 1),
                Option("dilation", 1),
                Option("padding", 0),
                Option("stride", 1)
            );
        }

        /// <summary>One number for both axes, or one for each.</summary>
        /// <param name="sizes">One or two numbers.</param>
        public static long[] Wide(long[] sizes) => sizes.Length == 1 ? [sizes[0], sizes[0]] : sizes;
    }

    /// <summary>nn.functional.unfold.</summary>
    /// <param name="c">The operation.</param>
    public static void UnfoldFunction(LoweringContext c) => Unfold(c, Window.Of(c));

    /// <summary>The windows of an image as columns [N, C kh kw, L].</summary>
    private static void Unfold(LoweringContext c, Window w)
    {
        var unbatched = c.Tensor().Rank == 3;
        var input = unbatched ? Layout.Unsqueeze(c, c.Tensor(), 0) : c.Tensor();
        var channels = c.FixedSize(c.Tensor(), unbatched ? 0 : 1) ?? throw c.RefuseFree("the channel axis");
        if (w.Padding.Any(size => size != 0))
            input = Paddings.Pad(c, input, [0, 0, .. w.Padding, 0, 0, .. w.Padding], "constant", 0);
        var blocks = new Formula[2];
        for (var index = 0; index < 2; index++)
        {
            // [N, C, H, W] to [N, C, kh, nh, kw, nw]
            var size = new Formula(c, Layout.Size(c, input, 2 + (2 * index)));
            blocks[index] = (size - (w.Dilation[index] * (w.Kernel[index] - 1)) - 1) / w.Stride[index] + 1;
            var starts = new Formula(c, Layout.Unsqueeze(c, Layout.Range(c, blocks[index].Value), 0)) * w.Stride[index];
            var offsets = c.Constants([
                .. Enumerable.Range(0, (int)w.Kernel[index]).Select(k => k * w.Dilation[index]),
            ]);
            input = Layout.Gather(
                c,
                input,
                (starts + new Formula(c, Layout.Unsqueeze(c, offsets, 1))).Value,
                2 + (2 * index)
            );
        }

        var columns = Layout.Permute(c, input, 0, 1, 2, 4, 3, 5);
        var sizes = Layout.Concat(
            c,
            0,
            Layout.Size(c, input, 0),
            c.Constant(channels * w.Kernel[0] * w.Kernel[1]),
            (blocks[0] * blocks[1]).Value
        );
        var result = Layout.Reshape(c, columns, sizes, 3);
        c.Result(unbatched ? Layout.Squeeze(c, result, 0) : result);
    }

    /// <summary>Combines columns into an image, adding up overlapping windows.</summary>
    private static void Fold(LoweringContext c, Window w, long[] output)
    {
        using var scope = NewDisposeScope();
        var unbatched = c.Tensor().Rank == 2;
        var input = unbatched ? Layout.Unsqueeze(c, c.Tensor(), 0) : c.Tensor();
        var rows = c.FixedSize(c.Tensor(), unbatched ? 0 : 1) ?? throw c.RefuseFree("the channel axis");
        var channels = rows / (w.Kernel[0] * w.Kernel[1]);
        long[] padded = [.. output.Select((size, i) => size + (2 * w.Padding[i]))];
        // The position of each element of each block in the padded map: [kh, kw, nh, nw].
        Tensor Places(int i)
        {
            var count = ((padded[i] - (w.Dilation[i] * (w.Kernel[i] - 1)) - 1) / w.Stride[i]) + 1;
            return (arange(w.Kernel[i]) * w.Dilation[i]).unsqueeze(1) + (arange(count) * w.Stride[i]).unsqueeze(0);
        }

        var (vertical, horizontal) = (Places(0), Places(1));
        var places = (vertical.unsqueeze(1).unsqueeze(3) * padded[1]) + horizontal.unsqueeze(0).unsqueeze(2);
        var batch = Layout.Size(c, input, 0);
        GraphValue Sizes(long width) => Layout.Concat(c, 0, batch, c.Constants([channels, width]));
        var flat = Layout.Reshape(c, input, Sizes(places.numel()), 3);
        var index = Layout.Expand(c, c.Computed(places.reshape(1, 1, -1), "places"), Sizes(places.numel()), 3);
        var canvas = Layout.Expand(c, c.Scalar(0, input.Type), Sizes(padded[0] * padded[1]), 3);
        var summed = Indexing.Scattered(c, canvas, index, flat, 2, "add");
        var map = Layout.Reshape(
            c,
            summed,
            Layout.Concat(c, 0, batch, c.Constants([channels, padded[0], padded[1]])),
            4
        );
        for (var position = 0; position < 2; position++)
        {
            if (w.Padding[position] > 0)
                map = Layout.Slice(c, map, 2 + position, w.Padding[position], w.Padding[position] + output[position]);
        }

        c.Result(unbatched ? Layout.Squeeze(c, map, 0) : map);
    }
}
