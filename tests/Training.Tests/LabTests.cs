using System.Xml.Linq;
using TorchBridge.Training.Data;
using TorchBridge.Training.Lab;
using TorchBridge.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests;

public class LabTests
{
    [Theory]
    [InlineData("bn1d_nc")]
    [InlineData("bn1d_ncl")]
    [InlineData("bn2d")]
    public void BatchNorm_from_scratch_equals_PyTorch(string name)
    {
        var golden = GoldenCase.Find(name);
        Assert.SkipWhen(golden is null, "../shared/golden is not there");
        using var scope = NewDisposeScope();
        Tensor Input(string input) => tensor(golden.Input(input).Floats!).reshape(golden.Input(input).Shape);
        float[] Values(Tensor t) => t.detach().contiguous().data<float>().ToArray();
        using var layer = new ScratchBatchNorm(
            golden.Parameter("num_features").GetInt32(),
            golden.Parameter("eps").GetDouble(),
            golden.Parameter("momentum").GetDouble()
        );
        var state = layer.state_dict();
        using (no_grad())
        {
            state["weight"].copy_(Input("weight"));
            state["bias"].copy_(Input("bias"));
        }

        void Check(string prefix, string suffix, string input)
        {
            var x = Input(input).requires_grad_();
            layer.zero_grad();
            var y = layer.call(x);
            y.backward([Input("grad_y")]);
            golden.Check($"{prefix}_y{suffix}", Values(y));
            golden.Check($"{prefix}_grad_x{suffix}", Values(x.grad!));
            golden.Check(
                $"{prefix}_grad_weight{suffix}",
                Values(layer.named_parameters().Single(item => item.name == "weight").parameter.grad!)
            );
            golden.Check(
                $"{prefix}_grad_bias{suffix}",
                Values(layer.named_parameters().Single(item => item.name == "bias").parameter.grad!)
            );
        }

        Check("train", "_step1", "x_step1");
        foreach (var step in (int[])[1, 2, 3])
        {
            if (step > 1)
                layer.call(Input($"x_step{step}"));
            if (step == 2)
                continue;
            golden.Check($"running_mean_step{step}", Values(layer.state_dict()["running_mean"]));
            golden.Check($"running_var_step{step}", Values(layer.state_dict()["running_var"]));
        }

        layer.eval();
        Check("eval", "", "x_eval");
        Assert.Equal(
            golden.Output("num_batches_tracked").Array.Integers![0],
            layer.state_dict()["num_batches_tracked"].item<long>()
        );
    }

    [Fact]
    public void The_lessons_BatchNorm_equals_the_lessons_run_in_PyTorch()
    {
        var golden = GoldenCase.Find("bn1d_seed_manual_vs_torch");
        Assert.SkipWhen(golden is null, "../shared/golden is not there");
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var layer = new ScratchBatchNorm(10) { KeepsBiasedVariance = true };
        Tensor Input(string input) => tensor(golden.Input(input).Floats!).reshape(golden.Input(input).Shape);
        foreach (var step in (int[])[1, 2, 3])
            layer.call(Input($"x_step{step}"));
        golden.Check("manual_running_var_step3", layer.state_dict()["running_var"].data<float>().ToArray());
        layer.eval();
        golden.Check("manual_eval_y", layer.call(Input("x_eval")).contiguous().data<float>().ToArray());
    }

    [Fact]
    public void Trained_in_place_of_the_librarys_for_twenty_steps_the_weights_agree()
    {
        // SGD: Adam would turn the rounding noise of gradients that are zero (a bias before BatchNorm) into whole
        // steps.
        Dictionary<string, float[]> Train(NormKind norm)
        {
            using var scope = NewDisposeScope();
            random.manual_seed(6);
            using var network = new ModernCnn(
                new NetworkOptions
                {
                    Channels = 8,
                    Height = 16,
                    Width = 16,
                    Dropout = 0,
                    Norm = norm,
                }
            );
            using var optimizer = optim.SGD(network.parameters(), 0.05);
            for (var step = 0; step < 20; step++)
            {
                using var inner = NewDisposeScope();
                var x = randn([8, 3, 16, 16], generator: new Generator((ulong)step));
                var labels = arange(8, ScalarType.Int64);
                optimizer.zero_grad();
                nn.functional.cross_entropy(network.call(x), labels).backward();
                optimizer.step();
            }

            return network
                .state_dict()
                .Where(pair => pair.Value.is_floating_point())
                .ToDictionary(pair => pair.Key, pair => pair.Value.detach().contiguous().data<float>().ToArray());
        }

        var (library, ours) = (Train(NormKind.Batch), Train(NormKind.BatchFromScratch));
        Assert.Equal(library.Keys.Order(), ours.Keys.Order());
        // Twenty steps of float32 sums in another order, of values around 1.
        foreach (var (key, values) in library)
            Close.To(values, ours[key], 2e-4, 2e-4, key);
    }

    [Fact]
    public void The_lessons_version_differs_in_the_running_variance_only()
    {
        using var scope = NewDisposeScope();
        using var ours = new ScratchBatchNorm(3);
        using var lesson = new ScratchBatchNorm(3) { KeepsBiasedVariance = true };
        var x = randn(8, 3) * 2;
        Assert.True(ours.call(x).equal(lesson.call(x)).all().item<bool>());
        var (a, b) = (ours.state_dict(), lesson.state_dict());
        Assert.True(a["running_mean"].equal(b["running_mean"]).all().item<bool>());
        var variance = x.var([0], unbiased: false);
        Close.To(
            (0.9 + (0.1 * variance * 8 / 7)).to(ScalarType.Float32).data<float>().ToArray(),
            a["running_var"].data<float>().ToArray(),
            1e-6,
            1e-6,
            "unbiased"
        );
        Close.To(
            (0.9 + (0.1 * variance)).to(ScalarType.Float32).data<float>().ToArray(),
            b["running_var"].data<float>().ToArray(),
            1e-6,
            1e-6,
            "biased"
        );
    }

    [Theory]
    [InlineData("Batch", 77_322)]
    [InlineData("Group", 77_322)]
    [InlineData("Layer", 470_154)]
    [InlineData("Instance", 76_938)]
    [InlineData("None", 76_938)]
    public void The_lessons_comparison_network_has_its_parameters_and_every_norm_starts_at_one_and_zero(
        string norm,
        long expected
    )
    {
        using var network = new NormComparison(Enum.Parse<NormKind>(norm), 32, 32, 10);
        Assert.Equal(expected, network.parameters().Sum(parameter => parameter.numel()));
        foreach (
            var (name, parameter) in network
                .named_parameters()
                .Where(item =>
                    item.name is "features.1.weight" or "features.1.bias" or "features.4.weight" or "features.4.bias"
                )
        )
            Assert.True(
                parameter.eq(name.EndsWith("weight", StringComparison.Ordinal) ? 1 : 0).all().item<bool>(),
                name
            );
    }

    [Fact]
    public void Every_topic_fills_its_page_and_the_page_stands_alone()
    {
        using var folder = new TempFolder();
        using var data = LabData.Of(DrawnPictures.Make(1, 32, 20, 10), 1);
        var context = new LabContext(8, 1, data, TestContext.Current.CancellationToken);
        var pages = LabTopics.All.Select(topic => topic.Run(context)).ToArray();
        Assert.Equal(11, pages.Length);
        foreach (var page in pages)
        {
            Assert.NotEmpty(page.Tables);
            PlotStyleTests.EverySeriesHasALookOfItsOwn(page.Figures);
            Assert.All(page.Tables, table =>
                Assert.All(table.Rows, row => Assert.Equal(table.Head.Length, row.Length))
            );
            foreach (var path in LabOutput.WritePictures(folder.Path, page))
            {
                Assert.Equal("svg", XDocument.Load($"{path}.svg").Root!.Name.LocalName);
                Assert.True(new FileInfo($"{path}.png").Length > 1000, path);
            }
        }

        LabOutput.WriteHtml(folder["lab.html"], "title", "subtitle <&>", pages);
        Assert.Contains("subtitle &lt;&amp;&gt;", File.ReadAllText(folder["lab.html"]), StringComparison.Ordinal);
        Assert.Equal(
            pages.Sum(page => page.Figures.Count),
            PageCheck.StandsAlone(File.ReadAllText(folder["lab.html"]))
        );
        Assert.All(pages, page => Assert.NotEmpty(page.Figures));
    }
}
