using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>The identity between train mode and eval mode; and comparing the two changes nothing.</summary>
public class TrainEvalParityTests
{
    [Theory]
    [InlineData("1d", true)]
    [InlineData("1d", false)]
    [InlineData("1d of sequences", true)]
    [InlineData("2d", true)]
    [InlineData("2d", false)]
    [InlineData("3d", true)]
    public void With_momentum_one_and_the_biased_variance_both_modes_are_the_same(string form, bool affine)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        random.manual_seed(5);
        NormBase norm = form switch
        {
            "2d" => nn.BatchNorm2d(4, momentum: 1, affine: affine),
            "3d" => nn.BatchNorm3d(4, momentum: 1, affine: affine),
            _ => nn.BatchNorm1d(4, momentum: 1, affine: affine),
        };
        if (affine)
        {
            norm.weight.copy_(rand(4) + 0.5);
            norm.bias!.copy_(randn(4));
        }

        var x =
            (
                randn(
                    form switch
                    {
                        "1d" => [6, 4],
                        "1d of sequences" => [6, 4, 5],
                        "2d" => [6, 4, 5, 3],
                        _ => [6, 4, 2, 3, 4],
                    }
                ) * 3
            ) + 7;
        var n = x.numel() / 4.0;
        norm.train();
        var inTraining = norm.forward(x);
        // running_var keeps the unbiased variance; normalization uses the biased one.
        norm.running_var!.mul_((n - 1) / n);
        norm.eval();
        var inEval = norm.forward(x);
        var difference = (inTraining - inEval).abs().max().item<float>();
        Assert.InRange(difference, 0, 2e-5f * inEval.abs().max().item<float>()); // some hundred roundings
        norm.running_var.mul_(n / (n - 1));
        // without the correction they differ
        Assert.True((norm.forward(x) - inTraining).abs().max().item<float>() > 1e-4f);
    }

    [Fact]
    public void Drift_says_how_far_the_data_are_from_the_running_statistics()
    {
        using var scope = NewDisposeScope();
        using var network = Network();
        var norm = (BatchNorm2d)network.named_modules().First(pair => pair.name == "norm").module;
        random.manual_seed(1);
        var x = randn(64, 2, 8, 8);
        // Channel 0 as the running statistics say; channel 1 shifted by 3 of their sigmas, and twice as wide.
        x[TensorIndex.Colon, 1] = (x[TensorIndex.Colon, 1] * 4) + 5 + (3 * 2);
        using (no_grad())
        {
            norm.running_mean!.copy_(tensor([0f, 5f]));
            norm.running_var!.copy_(tensor([1f, 4f]));
        }

        network.train();
        var before = Bits(network);
        var drift = Assert.Single(TrainEvalParity.Drift(network, x.chunk(4)));
        Assert.Equal("norm", drift.ModulePath);
        // 4,096 values a channel: standard errors of 0.016 sigma and 2.2 % of a variance; five of each, and twice
        // that where it is twice as wide.
        Assert.InRange(drift.MeanShift[0], -0.08, 0.08);
        Assert.InRange(drift.MeanShift[1], 3 - 0.16, 3 + 0.16);
        Assert.InRange(drift.VarianceRatio[0], 0.89, 1.11);
        Assert.InRange(drift.VarianceRatio[1], 4 * 0.89, 4 * 1.11);
        Assert.Equal(before, Bits(network));
        Assert.True(network.training);
        Assert.True(norm.training);
    }

    [Fact]
    public void Batch_statistics_are_used_and_no_bit_is_changed()
    {
        using var scope = NewDisposeScope();
        using var network = Network();
        network.eval();
        var x = (randn(8, 2, 4, 4) * 3) + 9;
        var eval = network.forward(x);
        var before = Bits(network);
        var inTraining = TrainEvalParity.WithBatchStatistics(network, () =>
            network.forward(x).MoveToOuterDisposeScope()
        );
        Assert.Equal(before, Bits(network));
        Assert.All(network.modules(), module => Assert.False(module.training));
        Assert.True((inTraining - eval).abs().max().item<float>() > 1);
        // normalized by its own mean, and no dropout
        Assert.InRange(Math.Abs(inTraining.mean().item<float>()), 0, 1e-4);
    }

    [Fact]
    public void Recalibration_gives_the_average_of_the_batches_statistics()
    {
        using var scope = NewDisposeScope();
        using var network = Network();
        var norm = (BatchNorm2d)network.named_modules().First(pair => pair.name == "norm").module;
        norm.momentum = 0.3;
        network.eval();
        var batches = Enumerable.Range(0, 5).Select(i => (randn(16, 2, 4, 4) * (i + 1)) + i).ToArray();
        TrainEvalParity.Recalibrate(network, () =>
        {
            foreach (var batch in batches)
                network.forward(batch);
        });
        var means = stack(batches.Select(batch => batch.mean([0, 2, 3]))).mean([0]);
        var variances = stack(batches.Select(batch => batch.transpose(0, 1).flatten(1).var(1))).mean([0]);
        Close.To(
            means.data<float>().ToArray(),
            norm.running_mean!.data<float>().ToArray(),
            1e-5,
            1e-5,
            "five float32 averages"
        );
        Close.To(
            variances.data<float>().ToArray(),
            norm.running_var!.data<float>().ToArray(),
            1e-5,
            1e-5,
            "five float32 averages"
        );
        Assert.Equal(0.3, norm.momentum);
        Assert.Equal(5, norm.num_batches_tracked!.item<long>());
        Assert.False(norm.training);
    }

    private static Sequential Network() => nn.Sequential(("norm", nn.BatchNorm2d(2)), ("dropout", nn.Dropout(0.5)));

    private static string Bits(nn.Module module) =>
        string.Join(
            " ",
            module
                .state_dict()
                .OrderBy(pair => pair.Key, StringComparer.Ordinal)
                .Select(pair => $"{pair.Key} {Convert.ToHexString(pair.Value.contiguous().bytes)}")
        );
}
