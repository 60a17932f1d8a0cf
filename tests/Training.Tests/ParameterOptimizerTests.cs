using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests;

/// <summary>Compares the optimizer with PyTorch's values, and with TorchSharp's optimizers on random
/// parameters.</summary>
public class ParameterOptimizerTests
{
    [Theory]
    [InlineData("adamw_clip_cosine_nobias", 1e-8)]
    [InlineData("adamw_clip_mixed_nobias", 1e-8)]
    [InlineData("adamw_clip_cosine_convbias_eps1e-3", 1e-3)]
    public void AdamW_with_clipping_and_cosine_decay_is_PyTorchs(string name, double epsilon)
    {
        var golden = GoldenCase.Find(name);
        Assert.SkipWhen(golden is null, "../shared/golden is not there");
        using var scope = NewDisposeScope();
        using var network = new Small(bias: name.Contains("convbias", StringComparison.Ordinal));
        Load(network, golden);
        var x = tensor(golden.Input("X").Floats!).reshape(golden.Input("X").Shape);
        var y = tensor(golden.Input("Y").Integers!).reshape(golden.Input("Y").Shape);
        var rates = golden.Output("lrs_used").Array.Floats!;
        using var optimizer = new ParameterOptimizer(
            network,
            new Recipe { WeightDecay = 0.01, GradientClipping = golden.Parameter("max_norm").GetDouble() },
            epsilon
        );
        var (losses, norms) = (new List<float>(), new List<float>());
        for (var step = 0; step < 5; step++)
        {
            optimizer.ZeroGradients();
            var loss = nn.functional.cross_entropy(network.forward(x[step]), y[step]);
            loss.backward();
            losses.Add(loss.item<float>());
            norms.Add((float)optimizer.Step(rates[step]));
            foreach (var (key, value) in network.state_dict().Where(pair => pair.Value.is_floating_point()))
                golden.Check($"step{step + 1}.{key}", value.detach().contiguous().data<float>().ToArray());
        }

        golden.Check("losses", [.. losses]);
        golden.Check("grad_norms", [.. norms]);
    }

    [Theory]
    [InlineData(OptimizerKind.AdamW, true)]
    [InlineData(OptimizerKind.AdamW, false)]
    [InlineData(OptimizerKind.Sgd, true)]
    [InlineData(OptimizerKind.Sgd, false)]
    internal void Many_steps_on_random_gradients_are_TorchSharps(OptimizerKind kind, bool decayNorms)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(3);
        // Sizes that fill no vector register evenly, and a channels_last convolution.
        using var ours = nn.Sequential(
            ("conv", new CastingConv2d(3, 5, 3)),
            ("norm", nn.BatchNorm2d(5)),
            ("fc", nn.Linear(7, 3))
        );
        foreach (var parameter in ours.parameters())
            nn.init.normal_(parameter);
        var theirs = ours.named_parameters()
            .ToDictionary(pair => pair.name, pair => new Parameter(pair.parameter.detach().clone()));
        ChannelsLast.Convert(ours);
        var recipe = new Recipe
        {
            Optimizer = kind,
            WeightDecay = 0.05,
            DecayNormsAndBiases = decayNorms,
            GradientClipping = 3,
            Momentum = 0.8,
        };
        using var optimizer = new ParameterOptimizer(ours, recipe);
        var decayed = theirs.Values.Where(parameter => decayNorms || parameter.dim() > 1).ToArray();
        var others = theirs.Values.Except(decayed).ToArray();
        optim.Optimizer Stock(Parameter[] parameters, double decay) =>
            kind == OptimizerKind.AdamW
                ? optim.AdamW(parameters, 0.01, weight_decay: decay)
                : optim.SGD(parameters, 0.01, momentum: 0.8, weight_decay: decay, nesterov: true);
        using var stock = Stock(decayed, 0.05);
        using var stockOthers = others.Length > 0 ? Stock(others, 0) : null;
        for (var step = 0; step < 20; step++)
        {
            foreach (var (name, parameter) in ours.named_parameters())
            {
                var gradient = randn(parameter.shape);
                parameter.grad = gradient.clone();
                theirs[name].grad = gradient;
            }

            nn.utils.clip_grad_norm_(theirs.Values, 3);
            stock.step();
            stockOthers?.step();
            optimizer.Step(0.01);
        }

        foreach (var (name, parameter) in ours.named_parameters())
            Close.To(
                theirs[name].data<float>().ToArray(),
                parameter.detach().contiguous().data<float>().ToArray(),
                2e-6,
                2e-6,
                $"{name} after 20 steps: some 20 roundings of float32"
            );
    }

    [Theory]
    [InlineData(NormKind.Batch)]
    [InlineData(NormKind.Layer)]
    [InlineData(NormKind.Group)]
    [InlineData(NormKind.Instance)]
    [InlineData(NormKind.BatchFromScratch)]
    internal void Norms_do_not_decay_whatever_their_number_of_axes(NormKind norm)
    {
        using var scope = NewDisposeScope();
        using var network = new ModernCnn(
            new NetworkOptions
            {
                Channels = 8,
                Height = 16,
                Width = 16,
                Norm = norm,
            }
        );
        using var optimizer = new ParameterOptimizer(
            network,
            new Recipe { WeightDecay = 0.5, DecayNormsAndBiases = false }
        );
        var before = network.named_parameters().ToDictionary(pair => pair.name, pair => pair.parameter.clone());
        foreach (var (_, parameter) in network.named_parameters())
            parameter.grad = zeros_like(parameter);
        optimizer.Step(0.1);
        string[] shrunk =
        [
            .. network
                .named_parameters()
                .Where(pair => !pair.parameter.equal(before[pair.name]).all().ToBoolean())
                .Select(pair => pair.name)
                .Order(StringComparer.Ordinal),
        ];
        var expected = network
            .named_modules()
            .Where(pair => pair.module is CastingConv2d or Linear)
            .Select(pair => $"{pair.name}.weight")
            .Order(StringComparer.Ordinal);
        Assert.Equal(expected, shrunk);
    }

    [Fact]
    public void Without_decay_on_norms_only_weights_shrink()
    {
        using var scope = NewDisposeScope();
        using var network = nn.Sequential(("norm", nn.BatchNorm1d(4)), ("fc", nn.Linear(4, 2)));
        foreach (var parameter in network.parameters())
            parameter.grad = zeros_like(parameter);
        var before = network
            .named_parameters()
            .ToDictionary(pair => pair.name, pair => pair.parameter.detach().clone());
        using var optimizer = new ParameterOptimizer(
            network,
            new Recipe { WeightDecay = 0.5, DecayNormsAndBiases = false }
        );
        optimizer.Step(0.1);
        foreach (var (name, parameter) in network.named_parameters())
        {
            var expected = name == "fc.weight" ? before[name] * 0.95 : before[name];
            Close.To(
                expected.data<float>().ToArray(),
                parameter.detach().data<float>().ToArray(),
                0,
                1e-6,
                $"{name}: p (1 - lr wd), or unchanged"
            );
        }
    }

    [Theory]
    [InlineData(ScheduleKind.Cosine, 0, 1.0)]
    [InlineData(ScheduleKind.Cosine, 50, 0.5)]
    [InlineData(ScheduleKind.OneCycle, 25, 0.75)]
    [InlineData(ScheduleKind.Constant, 99, 1.0)]
    internal void Schedules_without_warm_up(ScheduleKind kind, long step, double expected) =>
        Assert.Equal(expected, LearningRateSchedule.At(kind, 1, step, 100), 12);

    [Theory]
    [InlineData(ScheduleKind.Cosine, 50, 0.6)]
    [InlineData(ScheduleKind.OneCycle, 25, 0.8)]
    [InlineData(ScheduleKind.OneCycle, 100, 0.2)]
    [InlineData(ScheduleKind.Constant, 99, 1.0)]
    internal void Schedules_that_end_at_a_fifth(ScheduleKind kind, long step, double expected) =>
        Assert.Equal(2 * expected, LearningRateSchedule.At(kind, 2, step, 100, end: 0.2), 12);

    [Theory]
    [InlineData(ScheduleKind.Cosine)]
    [InlineData(ScheduleKind.OneCycle)]
    internal void Warm_up_rises_to_the_peak_and_the_rest_falls_to_nearly_zero(ScheduleKind kind)
    {
        var rates = Enumerable
            .Range(0, 100)
            .Select(step => LearningRateSchedule.At(kind, 0.4, step, 100, 20))
            .ToArray();
        Assert.Equal(0.02, rates[0], 12);
        Assert.Equal(0.4, rates[19], 12);
        Assert.Equal(0.4, rates[20], 12);
        for (var i = 1; i < 20; i++)
            Assert.True(rates[i] > rates[i - 1]);
        for (var i = 21; i < 100; i++)
            Assert.True(rates[i] < rates[i - 1]);
        Assert.InRange(rates[99], 0, 0.0051);
    }

    [Fact]
    public void Cosine_rates_are_PyTorchs()
    {
        var golden = GoldenCase.Find("cosine_lr_T20");
        Assert.SkipWhen(golden is null, "../shared/golden is not there");
        golden.Check(
            "lrs",
            [
                .. Enumerable
                    .Range(0, 21)
                    .Select(step => (float)LearningRateSchedule.At(ScheduleKind.Cosine, 1e-3, step, 20)),
            ]
        );
    }

    [Fact]
    public void The_average_follows_its_formula_and_is_only_lent_to_the_module()
    {
        using var scope = NewDisposeScope();
        using var network = nn.Linear(2, 1, hasBias: false);
        void Set(float value)
        {
            using var noGrad = no_grad();
            network.weight.fill_(value);
        }

        Set(0);
        using var average = new AveragedWeights(network, 0.5);
        Set(8);
        average.Update(1); // decay min(0.5, 2 / 11)
        Set(0);
        average.Update(100); // decay 0.5
        var expected = (float)(8 * (1 - (2.0 / 11)) * 0.5);
        var seen = average.Within(() => network.weight.data<float>().ToArray());
        Close.To([expected, expected], seen, 1e-6, 0, "two steps of the formula");
        Assert.Equal([0f, 0f], network.weight.data<float>().ToArray());
    }

    private static void Load(nn.Module network, GoldenCase golden)
    {
        using var noGrad = no_grad();
        foreach (var (name, target) in network.state_dict())
        {
            var array = golden.Input($"init.{name}");
            target.copy_(
                array.Floats is null
                    ? tensor(array.Integers!).reshape(array.Shape)
                    : tensor(array.Floats).reshape(array.Shape)
            );
        }
    }

    /// <summary>The network of the golden optimizer cases.</summary>
    private sealed class Small : nn.Module<Tensor, Tensor>
    {
        private readonly CastingConv2d conv;
        private readonly BatchNorm2d bn = nn.BatchNorm2d(6);
        private readonly Linear fc = nn.Linear(54, 5);

        public Small(bool bias)
            : base(nameof(Small))
        {
            conv = new CastingConv2d(3, 6, 3, padding: 1, bias: bias);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) =>
            fc.forward(nn.functional.avg_pool2d(nn.functional.relu(bn.forward(conv.forward(x))), 2).flatten(1));
    }
}
