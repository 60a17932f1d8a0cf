using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests.Optimization;

/// <summary>Muon, and the learning rates of groups.</summary>
public class ParameterOptimizerMuonTests
{
    private const double Rate = 0.12;

    [Theory]
    [InlineData(3, 2, 2)]
    [InlineData(10, 2, 2)]
    [InlineData(5, 4, 3)]
    public void Steps_are_those_of_an_independent_computation(int to, int from, int kernel)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(7);
        using var convolution = new CastingConv2d(from, to, kernel, bias: false);
        nn.init.normal_(convolution.Weight, 0, 2);
        ChannelsLast.Convert(convolution);
        var p = Matrix(convolution.Weight);
        var m = new double[to, from * kernel * kernel];
        using var network = nn.Sequential(("conv", convolution));
        using var optimizer = new ParameterOptimizer(network, Muon);
        for (var step = 0; step < 5; step++)
        {
            var gradient = randn(to, from, kernel, kernel);
            convolution.Weight.grad = gradient;
            optimizer.Step(Rate);
            MuonReference.Step(p, m, Matrix(gradient), Muon.Momentum, Rate);
            Close.To(
                [.. p.Cast<double>().Select(value => (float)value)],
                convolution.Weight.detach().contiguous().data<float>().ToArray(),
                2e-5,
                0,
                $"step {step + 1}: float32 against float64"
            );
        }
    }

    [Fact]
    public void In_bfloat16_a_step_is_the_same_to_eight_bits()
    {
        using var scope = NewDisposeScope();
        random.manual_seed(8);
        using var convolution = new CastingConv2d(8, 16, 3, bias: false);
        nn.init.normal_(convolution.Weight);
        var p = Matrix(convolution.Weight);
        var gradient = randn(16, 8, 3, 3);
        convolution.Weight.grad = gradient;
        using var network = nn.Sequential(("conv", convolution));
        using var optimizer = new ParameterOptimizer(network, Muon, orthogonalization: ScalarType.BFloat16);
        optimizer.Step(Rate);
        MuonReference.Step(p, new double[16, 72], Matrix(gradient), Muon.Momentum, Rate);
        Close.To(
            [.. p.Cast<double>().Select(value => (float)value)],
            convolution.Weight.detach().contiguous().data<float>().ToArray(),
            Rate * 0.02,
            0,
            "entries of the update are below 0.5, and bfloat16 has 2^-9 of them some ten times"
        );
    }

    [Fact]
    public void Convolutions_are_orthogonalized_and_the_rest_goes_by_SGD_at_its_own_rates()
    {
        using var scope = NewDisposeScope();
        using var network = new ModernCnn(
            new NetworkOptions
            {
                Form = BlockForm.Pooled,
                Channels = 8,
                SecondChannels = 8,
                ThirdChannels = 8,
                Height = 16,
                Width = 16,
                Dropout = 0,
            }
        );
        var before = network.named_parameters().ToDictionary(pair => pair.name, pair => pair.parameter.clone());
        var recipe = Muon with { LearningRate = 0.2, RestLearningRate = 0.05, NormBiasRate = 64, Momentum = 0 };
        using var optimizer = new ParameterOptimizer(network, recipe);
        foreach (var (_, parameter) in network.named_parameters().Where(pair => pair.parameter.requires_grad))
            parameter.grad = ones_like(parameter);
        // Half of the peak, as a schedule has it half-way.
        optimizer.Step(0.1);
        foreach (var (name, parameter) in network.named_parameters())
        {
            var moved = (parameter - before[name]).detach();
            if (!parameter.requires_grad)
                Assert.Equal(0, moved.abs().max().item<float>());
            else if (name.StartsWith("res_block", StringComparison.Ordinal) && parameter.dim() == 4)
                Assert.InRange(parameter.norm().item<float>(), Math.Sqrt(8) - 0.12, Math.Sqrt(8) + 0.12);
            else
                Close.To(
                    [
                        .. Enumerable.Repeat(
                            name.Contains(".2.bias") || name.Contains(".5.bias") ? -0.025f * 64 : -0.025f,
                            (int)moved.numel()
                        ),
                    ],
                    moved.contiguous().data<float>().ToArray(),
                    1e-6,
                    0,
                    $"{name}: half of the rest's rate, times 64 for a norm's bias"
                );
        }
    }

    [Theory]
    [InlineData(OptimizerKind.Sgd)]
    [InlineData(OptimizerKind.Muon)]
    internal void Decoupled_decay_takes_a_share_of_the_weights_whatever_the_momentum(OptimizerKind kind)
    {
        using var scope = NewDisposeScope();
        using var linear = nn.Linear(37, 3);
        var before = linear.weight.detach().clone();
        var recipe = new Recipe
        {
            Optimizer = kind,
            LearningRate = 0.1,
            RestLearningRate = 0.1,
            Momentum = 0.9,
            WeightDecay = 0.5,
            DecoupledDecay = true,
            DecayNormsAndBiases = false,
            GradientClipping = 0,
        };
        using var optimizer = new ParameterOptimizer(linear, recipe);
        for (var step = 0; step < 3; step++)
        {
            foreach (var parameter in linear.parameters())
                parameter.grad = zeros_like(parameter);
            optimizer.Step(0.1);
        }

        Close.To(
            (before * Math.Pow(0.95, 3)).data<float>().ToArray(),
            linear.weight.detach().data<float>().ToArray(),
            0,
            1e-6,
            "three times p (1 - lr wd)"
        );
        Assert.All(optimizer.State, pair => Assert.Equal(0, pair.Value.abs().max().item<float>()));
    }

    private static Recipe Muon { get; } =
        new()
        {
            Optimizer = OptimizerKind.Muon,
            LearningRate = Rate,
            Momentum = 0.85,
            WeightDecay = 0,
            GradientClipping = 0,
        };

    private static double[,] Matrix(Tensor weight)
    {
        var values = weight.detach().to(ScalarType.Float64).contiguous().data<double>().ToArray();
        var read = new double[weight.shape[0], values.Length / weight.shape[0]];
        Buffer.BlockCopy(values, 0, read, 0, values.Length * sizeof(double));
        return read;
    }
}
