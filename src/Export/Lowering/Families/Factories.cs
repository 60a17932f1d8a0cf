// Tensors made in forward: filled ones whose sizes may follow an axis, ranges, identity matrices.
using TorchBridge.Export.Capture;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Factories
{
    public static void Register(OperatorTable table)
    {
        foreach (var name in (string[])["zeros", "zeros_like", "new_zeros"]) table.Operation(name, "Expand", c => Filled(c, 0L), "sizes that follow free axes");
        foreach (var name in (string[])["ones", "ones_like", "new_ones"]) table.Operation(name, "Expand", c => Filled(c, 1L), "sizes that follow free axes");
        foreach (var name in (string[])["full", "full_like", "new_full"]) table.Operation(name, "Expand", c => Filled(c, c.Raw("value", "fill_value")), "sizes that follow free axes, value");
        table.Operation("fill", "Expand", c => Filled(c, c.Raw("value", "fill_value")), "value");
        table.Operation("zero", "Expand", c => Filled(c, 0L));
        table.Operation("arange", "Range", Arange, "start, stop, step; sizes that follow free axes");
        table.Operation("eye", "EyeLike", Eye, "rows, columns; sizes that follow free axes");
        table.Operation("clone", "(nothing)", c => c.Result(c.Tensor()));
        table.Operation("copy", "Expand", c => c.Result(c.Node("Expand", c.ResultType(), c.ResultRank(), [c.Cast(c.Tensor(1), c.ResultType()), c.SizeVector(LoweringContext.ToSizes(c.ResultSizes()))])));
    }

    private static void Filled(LoweringContext c, object? value)
    {
        var type = c.ResultType();
        c.Result(c.Node("Expand", type, c.ResultRank(), [c.Operand(value, type), c.SizeVector(LoweringContext.ToSizes(c.ResultSizes()))]));
    }

    private static void Arange(LoweringContext c)
    {
        var type = c.ResultType();
        GraphValue Number(object? value) => c.Operand(value, type);
        c.Result(c.Node("Range", type, 1, [Number(c.Raw("start") ?? 0L), Number(c.Raw("stop", "end")), Number(c.Raw("step") ?? 1L)]));
    }

    private static void Eye(LoweringContext c)
    {
        var type = c.ResultType();
        var zeros = c.Node("Expand", type, 2, [c.Operand(0L, type), c.SizeVector(LoweringContext.ToSizes(c.ResultSizes()))]);
        c.Result(c.Like("EyeLike", [zeros], ("dtype", (long)Onnx.ScalarTypes.ToOnnx(type))));
    }
}
