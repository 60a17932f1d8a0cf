using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Activations
{
    public static void Register(OperatorTable table)
    {
        Both<ReLU>(table, "relu", "Relu", c => c.Result(c.Like("Relu", [c.Tensor()])));
        table.Module<Softmax>("Softmax", c => Softmax(c, "Softmax", ModuleFields.Long(c.Module!, -1, "dim", "_dim")), "dim");
        table.Operation("softmax", "Softmax", c => Softmax(c, "Softmax", c.Integer(-1, "dim", "dimension")), "dim, dtype");
        table.Operation("log_softmax", "LogSoftmax", c => Softmax(c, "LogSoftmax", c.Integer(-1, "dim", "dimension")), "dim, dtype");
    }

    private static void Both<TModule>(OperatorTable table, string operation, string onnx, LoweringRule rule, string options = "") where TModule : nn.Module
    {
        table.Module<TModule>(onnx, rule, options);
        table.Operation(operation, onnx, rule, options);
    }

    private static void Softmax(LoweringContext c, string onnx, long axis)
    {
        var input = c.Cast(c.Tensor(), c.ResultType());
        c.Result(c.Like(onnx, [input], ("axis", c.Axis(axis, input.Rank))));
    }
}
