// Pooling. Adaptive pooling to size 1 is global pooling; to a size that divides the input it is pooling with a fixed window.
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Poolings
{
    public static void Register(OperatorTable table)
    {
        table.Module<AdaptiveAvgPool2d>("GlobalAveragePool; AveragePool", c => AdaptiveAverage(c, Output(c, 2)), "output_size");
        table.Operation("adaptive_avg_pool2d", "GlobalAveragePool; AveragePool", c => AdaptiveAverage(c, Output(c, 2)), "output_size");
    }

    private static long?[] Output(LoweringContext c, int spatial)
    {
        var sizes = c.Module is not null ? ModuleFields.Longs(c.Module, "output_size", "_output_size", "outputSize") : c.Integers("output_size", "outputSize") ?? [1];
        return [.. sizes.Length == 1 ? Enumerable.Repeat((long?)sizes[0], spatial) : sizes.Select(size => (long?)size)];
    }

    private static void AdaptiveAverage(LoweringContext c, long?[] output)
    {
        var input = c.Tensor();
        if (output.All(size => size == 1))
        {
            c.Result(c.Like("GlobalAveragePool", [input]));
            return;
        }

        throw c.Refuse("output sizes other than 1");
    }
}
