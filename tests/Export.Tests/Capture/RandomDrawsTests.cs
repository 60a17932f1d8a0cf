using TorchBridge.Export.Onnx;
using TorchBridge.Onnx.Graph;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>Random numbers that forward draws in eval mode: refused, constants of the file, or drawn by it.</summary>
public class RandomDrawsTests
{
    [Fact]
    public void A_draw_is_refused_unless_it_is_allowed()
    {
        using var folder = new TempFolder();
        var error = Assert.Throws<ExportException>(() =>
            OnnxExporter.Export(new Function(x => x + randn(4)), randn(2, 4), folder["model.onnx"])
        );
        Assert.Contains("draws random numbers", error.Message, StringComparison.Ordinal);
        Assert.Contains("ExportOptions.RandomNumbers", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void Fixed_numbers_are_the_same_at_every_run_and_those_of_the_seed()
    {
        using var folder = new TempFolder();
        var options = new ExportOptions { RandomNumbers = RandomNumbers.Fixed, Seed = 12 };
        var report = OnnxExporter.Export(
            new Function(x => x + randn(4) + rand(2, 1, 4).sum([0])),
            randn(2, 4),
            folder["model.onnx"],
            options
        );
        Assert.Contains(report.Notes, note => note.Contains("constants in the file", StringComparison.Ordinal));

        using var scope = NewDisposeScope();
        using var ort = new OrtModel(folder["model.onnx"], optimize: true);
        random.manual_seed(12);
        var expected = randn(4) + rand(2, 1, 4).sum([0]);
        foreach (var _ in (int[])[0, 1])
        {
            // one addition more or less of numbers of some units: a few units in the last place
            var actual = ort.Run([zeros(7, 4)])[0];
            Assert.True((actual - expected).abs().max().ToDouble() < 2e-6);
        }
    }

    [Fact]
    public void Fixed_numbers_whose_shape_follows_the_batch_are_refused_with_the_way_out()
    {
        using var folder = new TempFolder();
        var options = new ExportOptions { RandomNumbers = RandomNumbers.Fixed };
        var error = Assert.Throws<ExportException>(() =>
            OnnxExporter.Export(new Function(x => x + randn_like(x)), randn(2, 4), folder["model.onnx"], options)
        );
        Assert.Contains("RandomNumbers.Drawn", error.Message, StringComparison.Ordinal);
        options = new ExportOptions { RandomNumbers = RandomNumbers.Fixed, FreeAxes = { ["input"] = [] } };
        OnnxExporter.Export(new Function(x => x + randn_like(x)), randn(2, 4), folder["model.onnx"], options);
    }

    public static TheoryData<string> Draws =>
        ["normal", "uniform", "uniform, like", "whole", "whole, like", "float64", "float16"];

    [Theory]
    [MemberData(nameof(Draws))]
    public void Drawn_numbers_differ_between_runs_and_have_the_distribution(string name)
    {
        var (draw, mean, deviation) = name switch
        {
            "normal" => (x => randn_like(x), 0, 1),
            "uniform" => (x => rand(x.shape[0], x.shape[1]), 0.5, Math.Sqrt(1 / 12.0)),
            "uniform, like" => (x => x.rand_like(), 0.5, Math.Sqrt(1 / 12.0)),
            "whole, like" => (x => x.randint_like(3, 9), 5.5, Math.Sqrt(35 / 12.0)),
            // 3 to 8, six numbers: (6^2 - 1) / 12
            "whole" => (x => randint(3, 9, x.shape).to(x.dtype), 5.5, Math.Sqrt(35 / 12.0)),
            "float64" => (x => x.to(ScalarType.Float64).randn_like().to(x.dtype), 0, 1),
            _ => ((Func<Tensor, Tensor>)(x => x.half().randn_like().to(x.dtype)), 0.0, 1.0),
        };
        using var folder = new TempFolder();
        var options = new ExportOptions { RandomNumbers = RandomNumbers.Drawn };
        var report = OnnxExporter.Export(
            new Function(x => (x * 2) + draw(x)),
            randn(3, 5),
            folder["model.onnx"],
            options
        );
        Assert.Contains(report.Notes, note => note.Contains("at each run", StringComparison.Ordinal));

        using var scope = NewDisposeScope();
        using var ort = new OrtModel(folder["model.onnx"], optimize: true);
        var (first, second) = (ort.Run([zeros(20_000, 5)])[0], ort.Run([zeros(20_000, 5)])[0]);
        Assert.NotEqual(first, second);
        // 100,000 numbers: a mean's standard error is deviation / 316; six of them, and as much for the deviation.
        Assert.Equal(mean, first.mean().ToDouble(), 6 * deviation / 316);
        Assert.Equal(deviation, first.std().ToDouble(), 6 * deviation / 316);
        if (name.StartsWith("whole", StringComparison.Ordinal))
            Assert.Equal(
                Enumerable.Range(3, 6),
                first.to(ScalarType.Int64).data<long>().Distinct().Order().Select(n => (int)n)
            );
    }

    [Fact]
    public void A_fixed_shape_is_drawn_anew_too()
    {
        using var folder = new TempFolder();
        var options = new ExportOptions { RandomNumbers = RandomNumbers.Drawn };
        OnnxExporter.Export(new Function(x => x + randn(1, 5)), randn(3, 5), folder["model.onnx"], options);
        using var scope = NewDisposeScope();
        using var ort = new OrtModel(folder["model.onnx"], optimize: true);
        Assert.NotEqual(ort.Run([zeros(2, 5)])[0], ort.Run([zeros(2, 5)])[0]);
    }

    /// <summary>As a variational autoencoder gives its noise beside what it made of it.</summary>
    [Fact]
    public void A_draw_may_be_an_output_itself_be_read_twice_or_not_at_all()
    {
        using var folder = new TempFolder();
        var options = new ExportOptions { RandomNumbers = RandomNumbers.Drawn };
        OnnxExporter.Export(
            new FunctionMany(x =>
            {
                var unread = rand(3);
                var noise = randn_like(x);
                var other = randn_like(x);
                return [x + noise, noise, (noise * 2) + other + (unread * 0).sum()];
            }),
            [randn(3, 5)],
            folder["model.onnx"],
            options
        );
        using var scope = NewDisposeScope();
        using var ort = new OrtModel(folder["model.onnx"], optimize: true);
        var outputs = ort.Run([full(4, 5, 10f)]);
        // The same draw in both: a sum of two numbers of some units is off by less than a unit in the last place of 16.
        Assert.True((outputs[0] - 10 - outputs[1]).abs().max().ToDouble() < 2e-6);
        Assert.True((outputs[2] - (outputs[1] * 2)).abs().max().ToDouble() > 0.01);
    }

    [Fact]
    public void What_is_done_with_drawn_numbers_is_compared_with_the_module()
    {
        // A lowering that is wrong behind the draw, and would not show in the output's distribution.
        var options = new ExportOptions
        {
            RandomNumbers = RandomNumbers.Drawn,
            BeforeWriting = (_, graph) =>
            {
                var sine = graph.Nodes.First(node => node.OpType == "Sin");
                var cosine = new OnnxNode
                {
                    OpType = "Cos",
                    Name = sine.Name,
                    Inputs = sine.Inputs,
                    Outputs = sine.Outputs,
                };
                graph.Nodes[graph.Nodes.IndexOf(sine)] = cosine;
            },
        };
        using var folder = new TempFolder();
        Assert.Throws<ParityException>(() =>
            OnnxExporter.Export(
                new Function(x => x + (100 * randn_like(x)).sin()),
                randn(3, 5),
                folder["model.onnx"],
                options
            )
        );
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void A_convolution_with_noise_folds_and_is_compared()
    {
        using var network = new NoisyBlock();
        using var folder = new TempFolder();
        var options = new ExportOptions { RandomNumbers = RandomNumbers.Drawn };
        var report = OnnxExporter.Export(network, randn(2, 3, 8, 8), folder["model.onnx"], options);
        Assert.Single(report.Folded);
    }

    private sealed class NoisyBlock : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4));

        public NoisyBlock()
            : base(nameof(NoisyBlock))
        {
            RegisterComponents();
            eval();
        }

        public override Tensor forward(Tensor input)
        {
            var features = layers.forward(input);
            return features + (randn(features.shape[0], 1, features.shape[2], features.shape[3]) * 0.1);
        }
    }
}
