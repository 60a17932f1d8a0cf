// Paddings: Pad, with pads [begin of every axis, end of every axis]; TorchSharp counts pairs from the last axis backwards.
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Paddings
{
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

    /// <summary>Pads every axis; circular padding is put together from slices, because Pad's `wrap` needs opset 19.</summary>
    public static GraphValue Pad(LoweringContext c, GraphValue input, long[] pads, string mode, double value)
    {
        if (mode == "wrap") return Circular(c, input, pads);
        GraphValue[] inputs = mode == "constant" ? [input, c.Constants(pads), c.Scalar(value, input.Type)] : [input, c.Constants(pads)];
        return c.Like("Pad", inputs, ("mode", mode));
    }

    /// <summary>Turns TorchSharp's order (last axis first, begin and end) into ONNX's.</summary>
    public static long[] FromTorch(long[] padding, int rank)
    {
        var pads = new long[2 * rank];
        for (var i = 0; i < padding.Length / 2; i++)
        {
            pads[rank - 1 - i] = padding[2 * i];
            pads[(2 * rank) - 1 - i] = padding[(2 * i) + 1];
        }

        return pads;
    }

    private static GraphValue Circular(LoweringContext c, GraphValue input, long[] pads)
    {
        var rank = pads.Length / 2;
        for (var axis = 0; axis < rank; axis++)
        {
            long before = pads[axis], after = pads[rank + axis];
            if (before == 0 && after == 0) continue;
            var parts = new List<GraphValue>();
            if (before > 0) parts.Add(Slice(c, input, axis, -before, long.MaxValue));
            parts.Add(input);
            if (after > 0) parts.Add(Slice(c, input, axis, 0, after));
            input = c.Like("Concat", [.. parts], ("axis", (long)axis));
        }

        return input;
    }

    private static GraphValue Slice(LoweringContext c, GraphValue input, int axis, long start, long end) =>
        c.Like("Slice", [input, c.Constant(start), c.Constant(end), c.Constant(axis)]);

    private static void Constant(LoweringContext c) => FromModule(c, "constant");

    private static void FromModule(LoweringContext c, string mode)
    {
        var input = c.Tensor();
        var padding = ModuleFields.Longs(c.Module!, "padding", "_padding");
        var spatial = c.Module!.GetType().Name[^2] - '0';
        if (padding.Length == 1) padding = [.. Enumerable.Repeat(padding[0], 2 * spatial)];
        c.Result(Pad(c, input, FromTorch(padding, input.Rank), mode, mode == "constant" ? ModuleFields.Double(c.Module!, 0, "value", "padding_value", "_value") : 0));
    }

    private static void Functional(LoweringContext c)
    {
        var input = c.Tensor();
        var padding = c.Integers("pad", "padding") ?? throw c.Refuse("no padding is given");
        var mode = c.Text("mode") switch
        {
            null or "Constant" or "Zeros" or "constant" => "constant",
            "Reflect" or "reflect" => "reflect",
            "Replicate" or "replicate" => "edge",
            "Circular" or "circular" => "wrap",
            var other => throw c.Refuse($"padding mode {other}"),
        };
        c.Result(Pad(c, input, FromTorch(padding, input.Rank), mode, c.Number(0, "value")));
    }
}
