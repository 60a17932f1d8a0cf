// What it does: keeps a <- d a + (1 - d) w of every float32 weight and running statistic; integers are copied. In the
// first steps d is min(d, (1 + t) / (10 + t)), because otherwise the random initialization would dominate the average
// for 1 / (1 - d) steps. Source: Polyak & Juditsky 1992; Tarvainen & Valpola 2017, "Mean teachers"; the early rule is
// TensorFlow's ExponentialMovingAverage.
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>The exponential moving average of a module's weights.</summary>
internal sealed class AveragedWeights(nn.Module module, double decay) : IDisposable
{
    private readonly Dictionary<string, Tensor> live = module.state_dict();
    private readonly WeightSnapshot average = new(module);

    /// <summary>The averaged weights, by name.</summary>
    public IReadOnlyDictionary<string, Tensor> Values => average.Values;

    /// <summary>Updates the average with the weights after a step; <paramref name="steps"/> counts from 1.</summary>
    public void Update(long steps)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var kept = Math.Min(decay, (1.0 + steps) / (10.0 + steps));
        foreach (var (name, mean) in average.Values)
        {
            if (mean.is_floating_point())
                mean.mul_(kept).add_(live[name], alpha: 1 - kept);
            else
                mean.copy_(live[name]);
        }
    }

    /// <summary>Runs work with the averaged weights in the module, and restores the module's own weights.</summary>
    /// <typeparam name="T">Type of the result.</typeparam>
    /// <param name="work">The work, such as an evaluation.</param>
    public T Within<T>(Func<T> work)
    {
        using var own = new WeightSnapshot(module);
        average.PutBack();
        try
        {
            return work();
        }
        finally
        {
            own.PutBack();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => average.Dispose();
}
