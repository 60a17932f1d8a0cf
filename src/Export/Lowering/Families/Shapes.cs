// Shapes. Sizes that follow a free axis become 0 or -1 in Reshape where that says the same, else they are computed.
using TorchBridge.Export.Capture;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Shapes
{
    public static void Register(OperatorTable table)
    {
        foreach (var name in (string[])["view", "reshape"]) table.Operation(name, "Reshape; Flatten", c => Reshape(c, (object?[])c.Raw("shape", "size")!), "sizes that follow free axes, -1");
        table.Operation("flatten", "Flatten; Reshape", c => Flatten(c, c.Integer(0, "start_dim"), c.Integer(-1, "end_dim")), "start_dim, end_dim");
        table.Module<Flatten>("Flatten; Reshape", c => Flatten(c, ModuleFields.Long(c.Module!, 1, "start_dim", "_start_dim", "startDim"), ModuleFields.Long(c.Module!, -1, "end_dim", "_end_dim", "endDim")), "start_dim, end_dim");
    }

    /// <summary>Reshapes the first tensor to the result's shape.</summary>
    public static void Reshape(LoweringContext c, object?[] sizes)
    {
        var input = c.Tensor();
        var from = LoweringContext.ToSizes(c.SizesOf(input));
        var to = LoweringContext.ToSizes(c.ResultSizes());
        c.Result(ReshapeTo(c, input, from, to));
    }

    /// <summary>Reshapes a value whose sizes are known to others that are.</summary>
    public static GraphValue ReshapeTo(LoweringContext c, GraphValue input, object?[] from, object?[] to)
    {
        // [a, b, c] to [a, b*c]: what view(x.size(0), -1) means. Flatten is exact there at every size.
        if (from.Length > 2 && to.Length == 2 && Same(from[0], to[0]) && from.Skip(1).All(size => size is long) && to[1] is long)
            return c.Node("Flatten", input.Type, 2, [input], ("axis", 1L));

        var target = new object?[to.Length];
        var inferred = false;
        for (var i = 0; i < to.Length; i++)
        {
            // 0 copies the size at the same place; one other size may be left to Reshape, where no size is 0.
            if (to[i] is long size) target[i] = size;
            else if (i < from.Length && Same(from[i], to[i])) target[i] = 0L;
            else if (!inferred) (target[i], inferred) = (-1L, true);
            else target[i] = to[i];
        }

        if (target.Any(size => size is 0L) && to.Any(size => size is 0L)) target = to; // an empty tensor: 0 means zero there
        return c.Node("Reshape", input.Type, to.Length, [input, c.SizeVector(target)]);
    }

    private static void Flatten(LoweringContext c, long start, long end)
    {
        var input = c.Tensor();
        if (input.Rank == 0 || c.Axis(start, input.Rank) == c.Axis(end, input.Rank) && input.Rank > 0 && c.ResultRank() == input.Rank)
        {
            c.Result(input.Rank == 0 ? c.Node("Reshape", input.Type, 1, [input, c.Constants([1])]) : input);
            return;
        }

        if (c.Axis(start, input.Rank) == 1 && c.Axis(end, input.Rank) == input.Rank - 1)
        {
            c.Result(c.Node("Flatten", input.Type, 2, [input], ("axis", 1L)));
            return;
        }

        Reshape(c, []);
    }

    private static bool Same(object? a, object? b) => (a, b) switch
    {
        (long x, long y) => x == y,
        (VaryingInteger x, VaryingInteger y) => x.Values.AsSpan().SequenceEqual(y.Values),
        _ => false,
    };
}
