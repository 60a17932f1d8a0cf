using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests.Generators;

/// <summary>
/// Random operations, modules and chains of operations with random options, dtypes, shapes and values, exported and
/// compared on inputs that the export has not seen: other batches, NaN, infinities, ties, large numbers.
/// </summary>
public static class OperationGenerator
{
    /// <summary>Operations of a chain: continuous, so that a rounding stays a rounding.</summary>
    private static readonly HashSet<string> Continuous =
    [
        "abs",
        "neg",
        "square",
        "sin",
        "cos",
        "tanh",
        "sigmoid",
        "erf",
        "atan",
        "relu",
        "silu",
        "gelu",
        "softsign",
        "hardswish",
        "leaky_relu",
        "elu",
        "softplus",
        "add: number",
        "mul: number",
        "sub: of a number",
        "clamp: numbers",
        "softmax",
        "log_softmax",
        "sum",
        "mean",
        "amax",
        "amin",
        "logsumexp",
        "norm",
        "cumsum",
        "cumprod",
        "diff",
        "sort: values",
        "normalize",
        "transpose",
        "swapaxes",
        "T",
        "permute",
        "movedim",
        "unsqueeze",
        "flatten",
        "reshape",
        "expand",
        "repeat",
        "tile",
        "repeat_interleave",
        "flip",
        "roll",
        "roll: all",
        "diagonal",
        "diag_embed",
        "tril, triu",
        "unfold",
        "narrow",
        "slice",
        "select",
        "index: single",
        "index: slices",
        "pad Constant",
        "pad Reflect",
        "pad Circular",
        "interpolate: nearest",
        "interpolate: bilinear",
        "interpolate: area",
        "avg_pool2d",
        "max_pool2d",
        "adaptive_avg_pool2d",
        "layer_norm",
        "unfold: function",
        "atleast",
        "rot90",
    ];

    /// <summary>Names of the operations.</summary>
    public static IReadOnlyList<string> Operations { get; } = [.. OperationCases.All.Select(row => row.Name)];

    /// <summary>Makes, exports and compares one case.</summary>
    /// <param name="seed">Its number: the same seed gives the same case.</param>
    /// <param name="path">Where the file may be written.</param>
    /// <param name="operation">One of <see cref="Operations"/>; or null, to draw an operation, a module or a
    /// chain.</param>
    public static GeneratedResult Run(int seed, string path, string? operation = null)
    {
        using var scope = NewDisposeScope();
        var draw = new Draw(seed);
        var item = operation is not null
            ? OperationCases.Of(OperationCases.All.First(row => row.Name == operation), draw)
            : draw.Number(0, 9) switch
            {
                0 or 1 => ModuleCases.Of(draw.Pick([.. ModuleCases.All]), seed),
                2 or 3 or 4 => Chain(draw),
                _ => OperationCases.Of(draw.Pick([.. OperationCases.All]), draw),
            };
        using var module = item.Module;
        return CaseRunner.Run(item, path);
    }

    private static GeneratedCase Chain(Draw draw)
    {
        var rows = OperationCases.All.Where(row => Continuous.Contains(row.Name)).ToArray();
        var type = draw.Pick(ScalarType.Float32, ScalarType.Float32, ScalarType.Float64);
        var sizes = draw.Shape((int)draw.Number(1, 4));
        var steps = new List<Func<Tensor, Tensor>>();
        var names = new List<string>();
        var example = draw.Values(type, sizes, ValueKind.Ordinary);
        var x = example;
        for (int tries = 0, count = (int)draw.Number(2, 5); tries < 30 && steps.Count < count; tries++)
        {
            var row = draw.Pick(rows);
            if (
                !row.Ranks.Contains((int)x.dim())
                || row.Make(draw, new Shape(x.shape, x.dtype)) is not Func<Tensor, Tensor> step
            )
                continue;
            try
            {
                var next = step(x);
                if (next.numel() is 0 or > 20000)
                    continue;
                x = next;
            }
            catch (Exception error) when (error is not OutOfMemoryException)
            {
                continue; // an option that this shape does not take
            }

            steps.Add(step);
            names.Add(row.Name);
        }

        var others = new long[] { 2, 1, 5 }
            .Select(batch =>
                ($"batch {batch}", new[] { draw.Values(type, Draw.WithBatch(sizes, batch), ValueKind.Ordinary) })
            )
            .ToArray();
        return new GeneratedCase(
            $"chain of {string.Join(", ", names)}, {type} [{string.Join('x', sizes)}]",
            new Function(input => steps.Aggregate(input, (value, step) => step(value))),
            [example],
            others
        )
        {
            Slack = 100,
            Floor = 1e-5,
        };
    }
}
