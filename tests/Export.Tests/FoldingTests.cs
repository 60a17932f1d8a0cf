using TorchBridge.Export.Onnx;
using TorchBridge.Export.Verification;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests;

/// <summary>Compares every fold with a computation in float64, and checks the reason of every refusal.</summary>
public class FoldingTests
{
    /// <summary>Half a unit in the last place of float32, relative.</summary>
    private const double Rounding = 1.0 / (1 << 24);

    public static TheoryData<string, int, string> Layers
    {
        get
        {
            var data = new TheoryData<string, int, string>();
            foreach (var groups in (string[])["1", "2", "depthwise"])
            {
                foreach (var spatial in (int[])[1, 2, 3])
                {
                    data.Add("Conv", spatial, groups);
                    data.Add("ConvTranspose", spatial, groups);
                }
            }

            data.Add("Linear", 0, "1");
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Layers))]
    public void BatchNorm_after_a_layer_is_folded_and_equals_float64(string kind, int spatial, string groups)
    {
        foreach (var bias in (bool[])[true, false])
        {
            foreach (var affine in (bool[])[true, false])
            {
                foreach (var eps in (double[])[1e-5, 1e-3])
                {
                    foreach (var statistics in (string[])["usual", "tiny variances", "large means"])
                    {
                        using var scope = NewDisposeScope();
                        random.manual_seed(spatial + groups.Length);
                        var pair = new LayerAndNorm(
                            kind,
                            spatial,
                            groups switch
                            {
                                "1" => 1,
                                "2" => 2,
                                _ => 4,
                            },
                            bias,
                            affine,
                            eps,
                            statistics
                        );
                        Check(
                            pair,
                            $"{kind}{spatial}d, groups {groups}, bias {bias}, affine {affine}, eps {eps}, {statistics}"
                        );
                    }
                }
            }
        }
    }

    [Fact]
    public void Layers_with_equal_biases_are_folded_each_into_its_own()
    {
        // As torchvision makes VGG with BatchNorm: all biases zero, so one tensor of the file.
        var layers = new List<(string, nn.Module<Tensor, Tensor>)>();
        foreach (var i in (int[])[0, 1, 2])
        {
            var conv = nn.Conv2d(4, 4, 3, padding: 1);
            nn.init.zeros_(conv.bias!);
            layers.Add(($"conv{i}", conv));
            layers.Add(($"norm{i}", nn.BatchNorm2d(4)));
        }

        var network = (nn.Module)nn.Sequential(layers.ToArray());
        NetworkTests.Trained(network);
        var report = Exported.Check(network, [randn(2, 4, 8, 8)]);
        Assert.Equal(3, report.Folded.Count);
    }

    [Fact]
    public void Momentum_null_folds_as_well()
    {
        using var scope = NewDisposeScope();
        var pair = new LayerAndNorm("Conv", 2, 1, bias: true, affine: true, 1e-5, "usual");
        pair.SetMomentum(null);
        Check(pair, "momentum null");
    }

    private static void Check(LayerAndNorm pair, string name)
    {
        using var folder = new TempFolder();
        var path = folder["model.onnx"];
        var report = OnnxExporter.Export(pair, pair.Example(2), path, new ExportOptions { Verify = false });
        Assert.True(report.Nodes.Values.Sum() == 1, $"{name}: {string.Join(", ", report.Nodes)}");
        Assert.Equal(["norm"], report.Folded);
        using var ort = new OrtModel(path, optimize: true);
        foreach (var batch in (long[])[1, 3])
        {
            var x = pair.Example(batch);
            var actual = ort.Run([x])[0].to(ScalarType.Float64);
            var (expected, magnitude, terms) = pair.InFloat64(x);
            // The rigorous bound of a float32 sum of n terms, each product of a weight rounded once: (n + 4)
            // roundings of the magnitude.
            var allowed = magnitude * ((terms + 4) * Rounding);
            var excess = ((actual - expected).abs() - allowed).max().ToDouble();
            Assert.True(excess <= 0, $"{name}, batch {batch}: beyond the bound by {excess}");
        }
    }

    [Fact]
    public void BatchNorm_before_Linear_and_before_an_unpadded_convolution_is_folded()
    {
        One("BatchNormalization", 1, new Chain(nn.BatchNorm1d(6), nn.Linear(6, 4)), rand(2, 6), "1 Gemm");
        One("grouped", 1, new Chain(nn.BatchNorm2d(6), nn.Conv2d(6, 4, 3, groups: 2)), rand(2, 6, 7, 7), "1 Conv");
        One("without bias", 1, new Chain(nn.BatchNorm1d(6), nn.Conv1d(6, 4, 3, bias: false)), rand(2, 6, 9), "1 Conv");
    }

    [Fact]
    public void Chains_of_norms_and_constants_go_into_one_convolution()
    {
        var norms = One(
            "norms",
            2,
            new Chain(nn.Conv2d(3, 4, 3, padding: 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)),
            rand(2, 3, 6, 6),
            "1 Conv"
        );
        Assert.Equal(["stages.1", "stages.2"], norms.Folded);
        var factor = rand(4, 1, 1);
        One(
            "constants",
            1,
            new Chain(
                nn.Conv2d(3, 4, 3),
                new Function(x => ((x * factor) + 0.5) / 3),
                nn.BatchNorm2d(4),
                new Function(x => 1 - x)
            ),
            rand(2, 3, 6, 6),
            "1 Conv"
        );
        One(
            "both sides",
            2,
            new Chain(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
            rand(2, 3, 6, 6),
            "1 Conv"
        );
        // Behind a ReLU no layer takes them: the second goes into the first.
        var alone = One(
            "norm after norm",
            1,
            new Chain(nn.ReLU(), nn.BatchNorm2d(3), nn.BatchNorm2d(3), nn.ReLU()),
            rand(2, 3, 6, 6),
            "2 Relu, 1 BatchNormalization"
        );
        Assert.Equal(["stages.2"], alone.Folded);
        Assert.Contains("Relu", Assert.Single(alone.NotFolded).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_constant_that_spreads_one_channel_to_several_is_left_where_it_is()
    {
        Tensor three = rand(3, 1, 1) + 0.5,
            row = rand(3) + 0.5;
        One(
            "after a norm",
            0,
            new Chain(nn.ReLU(), nn.BatchNorm2d(1), new Function(x => x * three), nn.ReLU()),
            rand(2, 1, 5, 5),
            "1 BatchNormalization, 1 Mul, 2 Relu"
        );
        One(
            "after a convolution",
            0,
            new Chain(nn.Conv2d(2, 1, 3), new Function(x => x * three)),
            rand(2, 2, 5, 5),
            "1 Conv, 1 Mul"
        );
        One("before a layer", 0, new Chain(new Function(x => x * row), nn.Linear(3, 4)), rand(2, 1), "1 Gemm, 1 Mul");
    }

    [Fact]
    public void Input_normalization_goes_into_an_unpadded_convolution_and_stays_one_Mul_and_one_Add_before_a_padded_one()
    {
        Tensor mean = tensor([0.4f, 0.5f, 0.6f]).view(1, 3, 1, 1),
            std = tensor([0.2f, 0.3f, 0.25f]).view(1, 3, 1, 1);
        var normalize = new Function(x => ((x / 255) - mean) / std);
        One("unpadded", 0, new Chain(normalize, nn.Conv2d(3, 4, 3)), rand(2, 3, 6, 6) * 255, "1 Conv");
        One(
            "padded",
            0,
            new Chain(normalize, nn.Conv2d(3, 4, 3, padding: 1)),
            rand(2, 3, 6, 6) * 255,
            "1 Add, 1 Conv, 1 Mul"
        );
        One(
            "a scale alone",
            0,
            new Chain(new Function(x => x / 255), nn.Conv2d(3, 4, 3, padding: 1)),
            rand(2, 3, 6, 6) * 255,
            "1 Conv"
        );
    }

    [Fact]
    public void Without_folding_the_graph_is_the_twin()
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        var report = OnnxExporter.Export(
            new Chain(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
            rand(2, 3, 6, 6),
            folder["m.onnx"],
            new ExportOptions { FoldBatchNorm = false }
        );
        Assert.Equal("1 BatchNormalization, 1 Conv", Nodes(report));
        Assert.Empty(report.Folded);
    }

    [Fact]
    public void What_must_not_be_folded_is_refused_with_its_reason()
    {
        var conv = nn.Conv2d(3, 3, 3, padding: 1);
        Refused("shares its weights with", new Chain(conv, nn.BatchNorm2d(3), conv), "BatchNormalization");
        Refused("used elsewhere too", new Branch(), "BatchNormalization");
        Refused("is an output of the model", new TwoOutputs(), "BatchNormalization");
        Refused(
            "pads with zeros",
            new Chain(nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding: 1)),
            "BatchNormalization"
        );
        Refused(
            "borders sum fewer terms",
            new Chain(nn.ReLU(), nn.BatchNorm2d(3), nn.ConvTranspose2d(3, 4, 3)),
            "BatchNormalization"
        );
        Refused("an input of the model", new Chain(nn.BatchNorm2d(3), nn.ReLU()), "BatchNormalization");
        var error = Assert.Throws<ExportException>(() =>
            One(
                "no statistics",
                0,
                new Chain(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats: false)),
                rand(2, 3, 6, 6),
                ""
            )
        );
        Assert.Contains("stages.1", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_network_in_train_mode_is_exported_as_it_is_in_eval_mode_and_stays_in_train_mode()
    {
        var chain = new Chain(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5));
        chain.train();
        One("train", 1, chain, rand(2, 3, 6, 6), "1 Conv", staysInTraining: true);
        Assert.All(chain.modules(), module => Assert.True(module.training));
    }

    [Fact]
    public void What_depends_on_constants_only_is_computed_at_export()
    {
        var table = rand(5, 3);
        One(
            "constants",
            0,
            new Chain(new Function(x => x + table.softmax(1).t().matmul(table).mean([0]))),
            rand(2, 3),
            "1 Add"
        );
    }

    [Fact]
    public void An_ill_conditioned_norm_stays_unfolded_and_the_export_succeeds()
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        // Whole numbers near 2^20, from which the bias takes nearly all: exact in float32 as they stand, but not once
        // a scale is in the weight.
        using var noGrad = no_grad();
        var conv = nn.Conv2d(1, 1, 1);
        var norm = nn.BatchNorm2d(1);
        conv.weight.fill_(1f);
        conv.bias!.fill_(-1_048_579f);
        norm.running_mean!.fill_(1f);
        norm.running_var!.fill_(4f);
        var chain = new Chain(
            new Function(x => ((x * 8).floor() + 1_048_576).abs()),
            conv,
            norm,
            nn.Conv2d(1, 2, 1),
            nn.BatchNorm2d(2)
        );
        var report = OnnxExporter.Export(chain, rand(2, 1, 5, 5), folder["m.onnx"]);
        Assert.True(File.Exists(folder["m.onnx"]));
        var refusal = Assert.Single(report.NotFolded);
        Assert.Equal("stages.2", refusal.ModulePath);
        Assert.Contains("ill-conditioned", refusal.Reason, StringComparison.Ordinal);
        Assert.Equal(["stages.4"], report.Folded);
        Assert.All(report.Parity!.Outputs, output => Assert.True(output.LargestAbsolute <= output.Tolerance));
    }

    [Fact]
    public void A_difference_is_reported_with_the_first_operation_that_has_it()
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        var chain = new Chain(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 1));
        var error = Assert.Throws<ParityException>(() =>
            OnnxExporter.Export(
                chain,
                rand(2, 3, 8, 8),
                folder["m.onnx"],
                new ExportOptions
                {
                    BeforeWriting = (_, graph) =>
                    {
                        foreach (var pool in graph.Nodes.Where(node => node.OpType == "MaxPool"))
                            pool.Attributes["strides"] = new long[] { 1, 1 };
                    },
                }
            )
        );
        Assert.Contains("stages.2", error.Message, StringComparison.Ordinal);
        Assert.NotEmpty(error.Report!.Environment);
        Assert.Empty(folder.Files);
    }

    [Fact]
    public void Explain_compares_every_operation()
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        var chain = new Chain(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2));
        var report = OnnxExporter.Export(
            chain,
            rand(2, 3, 8, 8),
            folder["m.onnx"],
            new ExportOptions { Explain = true }
        );
        // The convolution's own value is gone: it and the norm are one.
        Assert.Equal(["stages.1", "stages.2", "stages.3", "stages.4"], report.Values.Select(value => value.ModulePath));
        Assert.All(report.Values, value => Assert.Null(value.Difference));
        Assert.All(report.Values, value => Assert.NotEmpty(value.Inputs));
    }

    private static void Refused(string reason, nn.Module module, string stays)
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        Randomize(module);
        var report = OnnxExporter.Export(module, rand(2, 3, 6, 6), folder["m.onnx"]);
        Assert.Contains(
            reason,
            string.Join(" | ", report.NotFolded.Select(refusal => refusal.Reason)),
            StringComparison.Ordinal
        );
        Assert.True(report.Nodes.ContainsKey(stays));
    }

    private static ExportReport One(
        string name,
        int folded,
        nn.Module module,
        Tensor example,
        string nodes,
        bool staysInTraining = false
    )
    {
        Assert.NotEmpty(name);
        Randomize(module);
        if (staysInTraining)
        {
            using var folder = new TempFolder();
            return OnnxExporter.Export(module, example, folder["m.onnx"]);
        }

        var report = Exported.Check(module, [example]);
        Assert.Equal(folded, report.Folded.Count);
        Assert.Equal(
            string.Join(", ", nodes.Split(", ").Order(StringComparer.Ordinal)),
            string.Join(", ", Nodes(report).Split(", ").Order(StringComparer.Ordinal))
        );
        return report;
    }

    private static string Nodes(ExportReport report) =>
        string.Join(
            ", ",
            report.Nodes.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Value} {pair.Key}")
        );

    /// <summary>Statistics and affine parameters that show when they are mixed up.</summary>
    internal static void Randomize(nn.Module module)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        foreach (var norm in module.modules().OfType<NormBase>().Where(norm => norm.running_mean is not null))
        {
            norm.running_mean!.copy_(randn(norm.num_features));
            norm.running_var!.copy_(rand(norm.num_features) + 0.3);
            if (!norm.affine)
                continue;
            norm.weight.copy_(rand(norm.num_features) + 0.5);
            norm.bias!.copy_(randn(norm.num_features));
        }
    }

    /// <summary>A layer and the norm after it, with the same in float64.</summary>
    private sealed class LayerAndNorm : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> layer;
        private readonly nn.Module<Tensor, Tensor> norm;
        private readonly string kind;
        private readonly int spatial,
            groups;

        public LayerAndNorm(string kind, int spatial, int groups, bool bias, bool affine, double eps, string statistics)
            : base(nameof(LayerAndNorm))
        {
            const int from = 4;
            var to =
                kind == "Linear" ? 5
                : groups == 4 ? 8
                : 6;
            (this.kind, this.spatial, this.groups) = (kind, spatial, groups);
            layer = (kind, spatial) switch
            {
                ("Conv", 1) => nn.Conv1d(from, to, 3, stride: 2, padding: 1, groups: groups, bias: bias),
                ("Conv", 2) => nn.Conv2d(from, to, 3, stride: 2, padding: 1, groups: groups, bias: bias),
                ("Conv", 3) => nn.Conv3d(from, to, 3, stride: 2, padding: 1, groups: groups, bias: bias),
                ("ConvTranspose", 1) => nn.ConvTranspose1d(
                    from,
                    to,
                    3,
                    stride: 2,
                    padding: 1,
                    groups: groups,
                    bias: bias
                ),
                ("ConvTranspose", 2) => nn.ConvTranspose2d(
                    from,
                    to,
                    3,
                    stride: 2,
                    padding: 1,
                    groups: groups,
                    bias: bias
                ),
                ("ConvTranspose", 3) => nn.ConvTranspose3d(
                    from,
                    to,
                    3,
                    stride: 2,
                    padding: 1,
                    groups: groups,
                    bias: bias
                ),
                _ => nn.Linear(from, to, hasBias: bias),
            };
            norm = spatial switch
            {
                2 => nn.BatchNorm2d(to, eps, affine: affine),
                3 => nn.BatchNorm3d(to, eps, affine: affine),
                _ => nn.BatchNorm1d(to, eps, affine: affine),
            };
            RegisterComponents();
            Randomize(this);
            using var noGrad = no_grad();
            if (statistics == "tiny variances")
                Norm.running_var!.mul_(1e-6);
            if (statistics == "large means")
                Norm.running_mean!.add_(1000);
            eval();
        }

        private NormBase Norm => (NormBase)(object)norm;

        public void SetMomentum(double? momentum) => Norm.momentum = momentum;

        public Tensor Example(long batch) =>
            kind == "Linear" ? randn(batch, 4) : randn([batch, 4, .. Enumerable.Repeat(5L, spatial)]);

        public override Tensor forward(Tensor input) => norm.forward(layer.forward(input));

        /// <summary>Result, magnitude of its terms, and their number.</summary>
        public (Tensor Result, Tensor Magnitude, double Terms) InFloat64(Tensor x)
        {
            Tensor Double(Tensor? tensor) =>
                tensor is null ? zeros(1, ScalarType.Float64) : tensor.detach().to(ScalarType.Float64);
            Tensor weight = Double(layer.get_parameter("weight")),
                c = layer.named_parameters().Any(pair => pair.name == "bias")
                    ? Double(layer.get_parameter("bias"))
                    : zeros(norm.get_buffer("running_mean")!.shape[0], ScalarType.Float64);
            var deviation = (Double(Norm.running_var) + Norm.eps).sqrt();
            var g = Norm.affine ? Double(Norm.weight) : ones_like(deviation);
            var b = Norm.affine ? Double(Norm.bias) : zeros_like(deviation);
            var m = Double(Norm.running_mean);
            Tensor Broadcast(Tensor perChannel) => perChannel.view([1, -1, .. Enumerable.Repeat(1L, spatial)]);
            var y = Linear(Double(x), weight, c);
            var result = ((y - Broadcast(m)) / Broadcast(deviation) * Broadcast(g)) + Broadcast(b);
            var sums = Linear(Double(x).abs(), weight.abs(), c.abs());
            var magnitude = ((sums + Broadcast(m.abs())) * Broadcast(g.abs() / deviation)) + Broadcast(b.abs());
            return (result, magnitude, weight.numel() / (double)c.numel());
        }

        private Tensor Linear(Tensor x, Tensor weight, Tensor c) =>
            (kind, spatial) switch
            {
                ("Conv", 1) => F.conv1d(x, weight, c, 2, 1, groups: groups),
                ("Conv", 2) => F.conv2d(x, weight, c, [2, 2], [1, 1], groups: groups),
                ("Conv", 3) => F.conv3d(x, weight, c, [2, 2, 2], [1, 1, 1], groups: groups),
                ("ConvTranspose", 1) => F.conv_transpose1d(x, weight, c, 2, 1, groups: groups),
                ("ConvTranspose", 2) => F.conv_transpose2d(x, weight, c, [2, 2], [1, 1], groups: groups),
                ("ConvTranspose", 3) => F.conv_transpose3d(x, weight, c, [2, 2, 2], [1, 1, 1], groups: groups),
                _ => x.matmul(weight.t()) + c,
            };
    }

    /// <summary>Modules one after another.</summary>
    internal sealed class Chain : nn.Module<Tensor, Tensor>
    {
        private readonly ModuleList<nn.Module<Tensor, Tensor>> stages;

        public Chain(params nn.Module<Tensor, Tensor>[] modules)
            : base(nameof(Chain))
        {
            stages = nn.ModuleList(modules);
            RegisterComponents();
            eval();
        }

        public override Tensor forward(Tensor input)
        {
            foreach (var stage in stages)
                input = stage.forward(input);
            return input;
        }
    }

    private sealed class Branch : nn.Module<Tensor, Tensor>
    {
        private readonly Conv2d conv = nn.Conv2d(3, 3, 3);
        private readonly BatchNorm2d norm = nn.BatchNorm2d(3);

        public Branch()
            : base(nameof(Branch))
        {
            RegisterComponents();
            eval();
        }

        public override Tensor forward(Tensor input)
        {
            var y = conv.forward(input);
            return norm.forward(y) + y;
        }
    }

    private sealed class TwoOutputs : nn.Module<Tensor, (Tensor, Tensor)>
    {
        private readonly Conv2d conv = nn.Conv2d(3, 3, 3);
        private readonly BatchNorm2d norm = nn.BatchNorm2d(3);

        public TwoOutputs()
            : base(nameof(TwoOutputs))
        {
            RegisterComponents();
            eval();
        }

        public override (Tensor, Tensor) forward(Tensor input)
        {
            var y = conv.forward(input);
            return (norm.forward(y), y);
        }
    }
}
