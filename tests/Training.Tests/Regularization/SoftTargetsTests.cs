using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests.Regularization;

/// <summary>Smoothed targets and their loss, computed by hand; RegularizationTests compares with the numbers of
/// PyTorch.</summary>
public class SoftTargetsTests
{
    [Fact]
    public void What_the_true_class_loses_all_classes_share()
    {
        using var scope = NewDisposeScope();
        // Powers of two: (1 - 1/2) [k = y] + 1/2 / 4, without a rounding.
        Assert.Equal(
            [0.125f, 0.125f, 0.625f, 0.125f, 0.625f, 0.125f, 0.125f, 0.125f],
            SoftTargets.Smooth(tensor(new long[] { 2, 0 }), 4, 0.5).data<float>().ToArray()
        );
    }

    [Fact]
    public void Without_smoothing_they_are_one_hot()
    {
        using var scope = NewDisposeScope();
        var targets = SoftTargets.Smooth(tensor(new long[] { 1, 2 }), 3, 0);
        Assert.Equal(ScalarType.Float32, targets.dtype);
        Assert.Equal([0f, 1, 0, 0, 0, 1], targets.data<float>().ToArray());
    }

    [Fact]
    public void The_loss_is_the_mean_over_rows_of_the_negative_logarithm_of_the_probability()
    {
        using var scope = NewDisposeScope();
        // Softmax of (ln 1, ln 3) is (1/4, 3/4), of equal logits (1/2, 1/2).
        var logits = tensor(
            new[,]
            {
                { 0f, MathF.Log(3) },
                { 7f, 7f },
            }
        );
        var targets = tensor(
            new[,]
            {
                { 0f, 1f },
                { 0.5f, 0.5f },
            }
        );
        var expected = -(Math.Log(0.75) + Math.Log(0.5)) / 2;
        Close.To(
            [(float)expected],
            [SoftTargets.CrossEntropy(logits, targets).ToSingle()],
            1e-6,
            0,
            "a few roundings of float32"
        );
    }
}
