using TorchBridge.Export.Onnx;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests.Generators;

/// <summary>
/// Random graphs of convolutions, norms, scales and shifts, with layers and norms that are used twice, values with
/// several readers, branches that meet again and values that are outputs: what BatchNorm is folded into. The judge is
/// the same network in float64.
/// </summary>
public static class FoldingGenerator
{
    /// <summary>Makes, exports and compares one case.</summary>
    /// <param name="seed">Its number: the same seed gives the same case.</param>
    /// <param name="path">Where the file may be written.</param>
    public static GeneratedResult Run(int seed, string path)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(seed);
        var draw = new Draw(seed);
        using var network = new RandomNetwork(draw);
        network.eval();
        var name = $"#{seed} {network.Text}";
        var example = draw.Values(ScalarType.Float32, network.Shape(2), ValueKind.Ordinary);
        ExportReport report;
        try
        {
            report = OnnxExporter.Export(network, example, path, new ExportOptions { Verify = false });
        }
        catch (ParityException error)
        {
            return new GeneratedResult(GeneratedOutcome.Wrong, name, error.Message);
        }
        catch (ExportException error)
        {
            return new GeneratedResult(GeneratedOutcome.Refused, name, error.Message);
        }

        Tensor[] others =
        [
            example,
            .. new long[] { 1, 3, 5 }.Select(rows =>
                draw.Values(ScalarType.Float32, network.Shape(rows), ValueKind.Ordinary)
            ),
        ];
        return Difference(network, path, others) is { } difference
            ? new GeneratedResult(GeneratedOutcome.Wrong, name, difference)
            : new GeneratedResult(GeneratedOutcome.Right, name, $"{report.Folded.Count} folded");
    }

    private static string? Difference(RandomNetwork network, string path, Tensor[] inputs)
    {
        using var noGrad = no_grad();
        using var file = new OrtModel(path, optimize: true);
        var actual = inputs.Select(input => file.Run([input])).ToArray();
        var single = inputs.Select(input => Functions.Forward(network, [input])).ToArray();
        network.to(ScalarType.Float64);
        for (var i = 0; i < inputs.Length; i++)
        {
            var exact = Functions.Forward(network, [inputs[i].to(ScalarType.Float64)]);
            for (var output = 0; output < exact.Length; output++)
            {
                var (got, want, eager) = (actual[i][output], exact[output], single[i][output]);
                if (!got.shape.AsSpan().SequenceEqual(want.shape))
                    return $"output {output} has shape [{string.Join(", ", got.shape)}]";
                var largest = Largest(want);
                // Folding moves roundings about: its file may be off by some times what float32 itself is off by.
                var allowed = (8 * Largest(eager.to(ScalarType.Float64) - want)) + (2e-5 * largest);
                var off = Largest(got.to(ScalarType.Float64) - want);
                if (!(off <= allowed))
                    return FormattableString.Invariant(
                        $"output {output} is off by {off:G3} of {largest:G3}, allowed {allowed:G3}"
                    );
            }
        }

        return null;
    }

    private static double Largest(Tensor tensor) => tensor.abs().max().item<double>();

    private sealed class RandomNetwork : nn.Module<Tensor, (Tensor, Tensor)>
    {
        private readonly List<Func<List<Tensor>, Tensor>> steps = [];
        private readonly List<string> names = [];
        private readonly List<(nn.Module<Tensor, Tensor> Layer, string Name, long From, long To)> layers = [];
        private readonly List<long> channels = [];
        private readonly List<long> sides = [];
        private readonly Draw draw;
        private readonly int dimensions;
        private readonly int secondOutput;

        public RandomNetwork(Draw draw)
            : base(nameof(RandomNetwork))
        {
            this.draw = draw;
            dimensions = draw.OneIn(4) ? 1 : 2;
            channels.Add(draw.Pick(2L, 4, 6));
            sides.Add(draw.Number(5, 9));
            for (var count = draw.Number(3, 9); steps.Count < count; )
                AddStep();
            secondOutput = draw.OneIn(3) ? (int)draw.Number(0, steps.Count) : steps.Count;
        }

        public string Text =>
            $"{dimensions}d {string.Join(", ", names)}{(secondOutput < steps.Count ? $"; also value {secondOutput}" : "")}";

        public long[] Shape(long rows) => [rows, channels[0], .. Enumerable.Repeat(sides[0], dimensions)];

        public override (Tensor, Tensor) forward(Tensor input)
        {
            var values = new List<Tensor> { input };
            foreach (var step in steps)
                values.Add(step(values));
            return (values[^1], values[secondOutput] * 2);
        }

        /// <summary>Mostly follows the last value, so that chains are long; sometimes another reader of an earlier
        /// one.</summary>
        private void AddStep()
        {
            var at = draw.OneIn(5) ? (int)draw.Number(0, channels.Count - 1) : channels.Count - 1;
            var (from, side) = (channels[at], sides[at]);
            switch (draw.Number(0, 11))
            {
                case 0 or 1 or 2:
                    Convolution(at, from, side);
                    break;
                case 3 or 4 or 5:
                    Add(at, Norm(from), $"norm{from}", from, side);
                    break;
                case 6 or 7:
                    Scale(at, from, side);
                    break;
                case 8:
                    Step($"relu of {at}", values => values[at].relu(), from, side);
                    break;
                case 9
                    when layers.Where(layer => layer.From == from && layer.To == from).ToArray()
                        is { Length: > 0 } same:
                    var shared = draw.Pick(same);
                    Step($"again {shared.Name} of {at}", values => shared.Layer.call(values[at]), from, side);
                    break;
                case 10 when Others(at) is { Length: > 0 } others:
                    var other = draw.Pick(others);
                    Step($"{at} + {other}", values => values[at] + values[other], from, side);
                    break;
                case 11 when Others(at) is { Length: > 0 } beside && from <= 12:
                    var second = draw.Pick(beside);
                    Step($"cat {at}, {second}", values => cat([values[at], values[second]], 1), 2 * from, side);
                    break;
                default:
                    break; // what was drawn does not fit here
            }
        }

        private int[] Others(int at) =>
            [
                .. Enumerable
                    .Range(0, channels.Count)
                    .Where(other => other != at && channels[other] == channels[at] && sides[other] == sides[at]),
            ];

        private void Convolution(int at, long from, long side)
        {
            var to = draw.Flag() ? from : draw.Pick(2L, 4, 6);
            var kernel = draw.Pick(1L, 3);
            var padding = draw.Flag() ? kernel / 2 : 0;
            long[] divisors = [.. new long[] { 1, 1, 2, from }.Where(one => from % one == 0 && to % one == 0)];
            var groups = draw.Pick(divisors);
            var (bias, transposed) = (draw.Flag(), draw.OneIn(4));
            var after = transposed ? side + kernel - 1 - (2 * padding) : side - kernel + 1 + (2 * padding);
            if (after < 1)
                return;
            nn.Module<Tensor, Tensor> layer = (dimensions, transposed) switch
            {
                (1, false) => nn.Conv1d(from, to, kernel, padding: padding, groups: groups, bias: bias),
                (1, true) => nn.ConvTranspose1d(from, to, kernel, padding: padding, groups: groups, bias: bias),
                (_, false) => nn.Conv2d(from, to, kernel, padding: padding, groups: groups, bias: bias),
                _ => nn.ConvTranspose2d(from, to, kernel, padding: padding, groups: groups, bias: bias),
            };
            var name = $"conv{(transposed ? "T" : "")}{from}-{to}k{kernel}p{padding}g{groups}{(bias ? "b" : "")}";
            if (after == side)
                layers.Add((layer, name, from, to));
            Register(layer);
            Step($"{name} of {at}", values => layer.call(values[at]), to, after);
        }

        private nn.Module<Tensor, Tensor> Norm(long count)
        {
            var (eps, affine) = (draw.Pick(1e-5, 1e-3, 0.5), !draw.OneIn(4));
            nn.Module<Tensor, Tensor> norm =
                dimensions == 1
                    ? nn.BatchNorm1d(count, eps, affine: affine)
                    : nn.BatchNorm2d(count, eps, affine: affine);
            using var noGrad = no_grad();
            using var scope = NewDisposeScope();
            var parts = (NormBase)norm;
            parts.running_mean!.copy_(randn(count));
            parts.running_var!.copy_(rand(count).square() * 3 + 0.01);
            if (!affine)
                return norm;
            // Factors of either sign, and one that is zero: a channel that the norm makes constant.
            parts.weight.copy_(randn(count));
            parts.bias!.copy_(randn(count));
            if (draw.OneIn(3))
                parts.weight[0] = zeros(1).squeeze();
            return norm;
        }

        private void Add(int at, nn.Module<Tensor, Tensor> layer, string name, long count, long side)
        {
            layers.Add((layer, name, count, count));
            Register(layer);
            Step($"{name} of {at}", values => layer.call(values[at]), count, side);
        }

        private void Scale(int at, long count, long side)
        {
            var number = draw.Real(-2, 2) + (draw.Flag() ? 2.5 : -2.5);
            long[] shape = draw.Flag()
                ? [count, .. Enumerable.Repeat(1L, dimensions)]
                : [1, count, .. Enumerable.Repeat(1L, dimensions)];
            if (draw.OneIn(5))
                shape = [.. Enumerable.Repeat(1L, dimensions)];
            var tensor = (rand(shape) + 0.5).MoveToOuterDisposeScope();
            register_buffer($"scale{steps.Count}", tensor);
            var key = $"scale{steps.Count}";
            var (text, step) = draw.Number(0, 7) switch
            {
                0 => ("* number", (Func<Tensor, Tensor>)(x => x * number)),
                1 => ("+ number", x => x + number),
                2 => ("number -", x => number - x),
                3 => ("/ number", x => x / number),
                4 => ("* tensor", x => x * get_buffer(key)!),
                5 => ("+ tensor", x => x + get_buffer(key)!),
                6 => ("tensor -", x => get_buffer(key)! - x),
                _ => ("/ tensor", x => x / get_buffer(key)!),
            };
            Step($"{text} of {at}", values => step(values[at]), count, side);
        }

        private void Register(nn.Module<Tensor, Tensor> layer) => register_module($"layer{steps.Count}", layer);

        private void Step(string name, Func<List<Tensor>, Tensor> step, long count, long side)
        {
            names.Add($"{channels.Count} = {name}");
            steps.Add(step);
            channels.Add(count);
            sides.Add(side);
        }
    }
}
