// Resampling. TorchSharp's coordinate rules in ONNX's words: nearest is asymmetric and floor; linear and cubic are half-pixel, or
// align_corners; cubic has a = -0.75. Unfold and Fold are a convolution and a transposed one with one-hot kernels, a group a channel:
// exact for every stride, padding and dilation, and at any size.
using TorchBridge.Export.Capture;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Resampling
{
    public static void Register(OperatorTable table)
    {
        const string options = "size, scale_factor, mode, align_corners";
        table.Module<Upsample>("Resize", c => Resize(c, ModuleFields.OptionalLongs(c.Module!, "_size"), (double[]?)ModuleFields.Find(c.Module!, "_scale_factor"), ((Upsample)c.Module!).mode.ToString(), ((Upsample)c.Module!).align_corners ?? false), options);
        table.Operation("interpolate", "Resize", Interpolate, options);
        table.Operation("upsample_bilinear", "Resize", c => Resize(c, c.Integers("size"), Scales(c), "Bilinear", c.Flag(false, "align_corners")), "size, scale_factor");
        table.Module<Unfold>("Conv, Reshape", UnfoldModule, "kernel_size, dilation, padding, stride");
        table.Module<Fold>("Reshape, ConvTranspose", FoldModule, "output_size, kernel_size, dilation, padding, stride");
    }

    private static double[]? Scales(LoweringContext c) => c.Raw("scale_factor") switch
    {
        null => null,
        double scale => [scale],
        long scale => [scale],
        object?[] list => [.. list.Select(item => Convert.ToDouble(item, System.Globalization.CultureInfo.InvariantCulture))],
        _ => throw c.Refuse("scale_factor follows a free axis"),
    };

    private static void Interpolate(LoweringContext c)
    {
        if (c.Flag(false, "antialias")) throw c.Refuse("antialias");
        if (c.Flag(false, "recompute_scale_factor")) throw c.Refuse("recompute_scale_factor");
        Resize(c, c.Raw("size") is null ? null : [], Scales(c), c.Text("mode") ?? "Nearest", c.Flag(false, "align_corners"));
    }

    private static void Resize(LoweringContext c, long[]? size, double[]? scales, string mode, bool alignCorners)
    {
        var x = c.Tensor();
        var spatial = x.Rank - 2;
        var (onnxMode, coordinates) = mode.ToUpperInvariant() switch
        {
            "NEAREST" => ("nearest", "asymmetric"),
            "LINEAR" or "BILINEAR" or "TRILINEAR" => ("linear", alignCorners ? "align_corners" : "half_pixel"),
            "BICUBIC" => ("cubic", alignCorners ? "align_corners" : "half_pixel"),
            _ => throw c.Refuse($"mode {mode}; nearest, linear, bilinear, trilinear and bicubic are supported"),
        };
        (string, object)[] attributes = [("mode", onnxMode), ("coordinate_transformation_mode", coordinates), ("nearest_mode", "floor"), ("cubic_coeff_a", -0.75f)];
        if (size is null && scales is not null)
        {
            using var scope = NewDisposeScope();
            var all = Enumerable.Repeat(1f, 2).Concat((scales.Length == 1 ? Enumerable.Repeat(scales[0], spatial) : scales).Select(scale => (float)scale)).ToArray();
            c.Result(c.Like("Resize", [x, GraphValue.None, c.Computed(tensor(all), "scales")], attributes));
            return;
        }

        var sizes = LoweringContext.ToSizes(c.ResultSizes());
        c.Result(c.Like("Resize", [x, GraphValue.None, GraphValue.None, c.SizeVector(sizes)], attributes));
    }

    private static (long[] Kernel, long[] Dilation, long[] Padding, long[] Stride) Window(nn.Module module) =>
        (ModuleFields.Longs(module, "kernel_size"), ModuleFields.Longs(module, "dilation"), ModuleFields.Longs(module, "padding"), ModuleFields.Longs(module, "stride"));

    /// <summary>[channels * kh * kw, 1, kh, kw]: kernel k of each channel picks its k-th element.</summary>
    private static GraphValue OneHotKernels(LoweringContext c, long channels, long[] kernel, ScalarType type)
    {
        using var scope = NewDisposeScope();
        var count = kernel[0] * kernel[1];
        return c.Computed(eye(count, dtype: type).reshape(count, 1, kernel[0], kernel[1]).repeat(channels, 1, 1, 1), "one_hot");
    }

    private static void UnfoldModule(LoweringContext c)
    {
        var x = c.Tensor();
        if (x.Rank != 4) throw c.Refuse("an input without a batch axis; add one with unsqueeze(0)");
        var (kernel, dilation, padding, stride) = Window(c.Module!);
        var channels = c.FixedSize(x, 1) ?? throw c.Refuse("a free channel axis");
        var columns = c.Like("Conv", [x, OneHotKernels(c, channels, kernel, x.Type)], ("kernel_shape", kernel), ("strides", stride), ("dilations", dilation), ("pads", (long[])[.. padding, .. padding]), ("group", channels));
        c.Result(c.Node("Reshape", x.Type, 3, [columns, c.Constants([0, channels * kernel[0] * kernel[1], -1])]));
    }

    private static void FoldModule(LoweringContext c)
    {
        var x = c.Tensor();
        if (x.Rank != 3) throw c.Refuse("an input without a batch axis; add one with unsqueeze(0)");
        var (kernel, dilation, padding, stride) = Window(c.Module!);
        var output = ModuleFields.Longs(c.Module!, "output_size");
        var rows = c.FixedSize(x, 1) ?? throw c.Refuse("a free channel axis");
        var channels = rows / (kernel[0] * kernel[1]);
        var blocks = output.Select((size, i) => ((size + (2 * padding[i]) - (dilation[i] * (kernel[i] - 1)) - 1) / stride[i]) + 1).ToArray();
        // What the last stride leaves uncovered is output_padding.
        var rest = output.Select((size, i) => size - (((blocks[i] - 1) * stride[i]) - (2 * padding[i]) + (dilation[i] * (kernel[i] - 1)) + 1)).ToArray();
        var grid = c.Node("Reshape", x.Type, 4, [x, c.Constants([0, rows, blocks[0], blocks[1]])]);
        c.Result(c.Node("ConvTranspose", x.Type, 4, [grid, OneHotKernels(c, channels, kernel, x.Type)], ("kernel_shape", kernel), ("strides", stride), ("dilations", dilation), ("pads", (long[])[.. padding, .. padding]), ("output_padding", rest), ("group", channels)));
    }
}
