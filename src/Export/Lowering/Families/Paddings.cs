// Padding: Pad, with pads [begin of every axis, end of every axis]; TorchSharp lists pairs from the last axis
// backwards.
using TorchBridge.Export.Capture;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>
/// Lowers padding with constants, by reflection, by edge replication, and circular padding.
/// </summary>
internal static class Paddings
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        table.Module<ConstantPad1d>("Pad", Constant, "padding, value");
        table.Module<ConstantPad2d>("Pad", Constant, "padding, value");
        table.Module<ConstantPad3d>("Pad", Constant, "padding, value");
        table.Module<ZeroPad2d>("Pad", Constant, "padding");
        table.Module<ReflectionPad1d>("Pad (reflect)", c => FromModule(c, "reflect"), "padding");
        table.Module<ReflectionPad2d>("Pad (reflect)", c => FromModule(c, "reflect"), "padding");
        table.Module<ReflectionPad3d>("Pad (reflect)", c => FromModule(c, "reflect"), "padding");
        table.Module<ReplicationPad1d>("Pad (edge)", c => FromModule(c, "edge"), "padding");
        table.Module<ReplicationPad2d>("Pad (edge)", c => FromModule(c, "edge"), "padding");
        table.Module<ReplicationPad3d>("Pad (edge)", c => FromModule(c, "edge"), "padding");
        table.Operation("pad", "Pad", Functional, "constant, reflect, replicate and circular mode, value");
    }

    /// <summary>
    /// Pads every axis; circular padding is composed of slices, because Pad's `wrap` needs opset 19.
    /// </summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="input">The value to pad.</param>
    /// <param name="pads">Padding at the begin of every axis, then at the end of every axis; negative values
    /// crop.</param>
    /// <param name="mode"><c>constant</c>, <c>reflect</c>, <c>edge</c> or <c>wrap</c>.</param>
    /// <param name="value">The constant.</param>
    public static GraphValue Pad(LoweringContext c, GraphValue input, long[] pads, string mode, double value)
    {
        if (mode == "wrap")
            return Circular(c, input, pads);
        if (mode == "reflect" && pads.Any(pad => pad < 0) && pads.Any(pad => pad > 0))
            return Cut(c, Pad(c, input, [.. pads.Select(pad => Math.Max(pad, 0))], mode, value), pads);
        GraphValue[] inputs =
            mode == "constant" ? [input, c.Constants(pads), c.Scalar(value, input.Type)] : [input, c.Constants(pads)];
        return c.Like("Pad", inputs, ("mode", mode));
    }

    /// <summary>Applies negative padding after the rest, because Pad would crop first and then reflect
    /// less.</summary>
    private static GraphValue Cut(LoweringContext c, GraphValue input, long[] pads)
    {
        var rank = pads.Length / 2;
        for (var axis = 0; axis < rank; axis++)
        {
            var (before, after) = (pads[axis], pads[rank + axis]);
            if (before < 0 || after < 0)
                input = Layout.Slice(c, input, axis, Math.Max(0, -before), after < 0 ? after : long.MaxValue);
        }

        return input;
    }

    /// <summary>Converts TorchSharp's order (last axis first, begin and end) to ONNX's.</summary>
    /// <param name="padding">Pairs of begin and end, the last axis first.</param>
    /// <param name="rank">Number of axes of the tensor.</param>
    public static long[] FromTorch(long[] padding, int rank)
    {
        var pads = new long[2 * rank];
        for (var index = 0; index < padding.Length / 2; index++)
        {
            pads[rank - 1 - index] = padding[2 * index];
            pads[(2 * rank) - 1 - index] = padding[(2 * index) + 1];
        }

        return pads;
    }

    /// <summary>Circular padding: concatenates slices of the opposite ends.</summary>
    private static GraphValue Circular(LoweringContext c, GraphValue input, long[] pads)
    {
        var rank = pads.Length / 2;
        for (var axis = 0; axis < rank; axis++)
        {
            long before = pads[axis],
                after = pads[rank + axis];
            if (before == 0 && after == 0)
                continue;
            // Negative padding crops; the remaining part is repeated.
            var kept =
                before < 0 || after < 0
                    ? Layout.Slice(c, input, axis, Math.Max(0, -before), after < 0 ? after : long.MaxValue)
                    : input;
            var parts = new List<GraphValue>();
            if (before > 0)
                parts.Add(Layout.Slice(c, kept, axis, -before, long.MaxValue));
            parts.Add(kept);
            if (after > 0)
                parts.Add(Layout.Slice(c, kept, axis, 0, after));
            input = Layout.Concat(c, axis, [.. parts]);
        }

        return input;
    }

    /// <summary>Constant padding modules.</summary>
    private static void Constant(LoweringContext c) => FromModule(c, "constant");

    /// <summary>A padding module, with its own widths.</summary>
    private static void FromModule(LoweringContext c, string mode)
    {
        var input = c.Tensor();
        var padding = ModuleFields.Longs(c.Module!, "padding", "_padding");
        var spatial = c.Module!.GetType().Name[^2] - '0';
        if (padding.Length == 1)
            padding = [.. Enumerable.Repeat(padding[0], 2 * spatial)];
        c.Result(
            Pad(
                c,
                input,
                FromTorch(padding, input.Rank),
                mode,
                mode == "constant" ? ModuleFields.Double(c.Module!, 0, "value", "padding_value", "_value") : 0
            )
        );
    }

    /// <summary>pad as a function; widths may depend on free axes.</summary>
    private static void Functional(LoweringContext c)
    {
        var input = c.Tensor();
        var given = c.Raw("pad", "padding") switch
        {
            object?[] several => several,
            { } one => [.. Enumerable.Repeat(one, EveryAxis(c))],
            null => throw c.Refuse("no padding is given"),
        };
        var mode = c.Text("mode") switch
        {
            null or "Constant" or "Zeros" or "constant" => "constant",
            "Reflect" or "reflect" => "reflect",
            "Replicate" or "replicate" => "edge",
            "Circular" or "circular" => "wrap",
            var other => throw c.Refuse(
                $"padding mode {other} is not supported; supported are constant, reflect, replicate and circular"
            ),
        };
        var value = c.Number(0, "value");
        if (given.All(size => size is long))
            c.Result(Pad(c, input, FromTorch([.. given.Cast<long>()], input.Rank), mode, value));
        else if (mode == "wrap")
            throw c.Refuse(
                "the width of circular padding depends on a free axis, which is not supported; pad "
                    + "with cat and slices instead"
            );
        else
            c.Result(PadBySizes(c, input, given, mode, value));
    }

    /// <summary>Pads by widths that depend on free axes.</summary>
    private static GraphValue PadBySizes(
        LoweringContext c,
        GraphValue input,
        object?[] padding,
        string mode,
        double value
    )
    {
        var pads = Enumerable.Repeat<object?>(0L, 2 * input.Rank).ToArray();
        for (var index = 0; index < padding.Length / 2; index++)
        {
            pads[input.Rank - 1 - index] = padding[2 * index];
            pads[(2 * input.Rank) - 1 - index] = padding[(2 * index) + 1];
        }

        GraphValue[] inputs =
            mode == "constant" ? [input, c.SizeVector(pads), c.Scalar(value, input.Type)] : [input, c.SizeVector(pads)];
        return c.Like("Pad", inputs, ("mode", mode));
    }

    /// <summary>Number of widths that a single number stands for.</summary>
    private static int EveryAxis(LoweringContext c) => 2 * c.Tensor().Rank;
}
