using TorchBridge.Training.Recipes;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>Everything that a run changes while it trains; all of it is in a checkpoint.</summary>
internal sealed class TrainingState : IDisposable
{
    private readonly nn.Module trained;

    /// <summary>The state before the first step.</summary>
    /// <param name="trained">What is trained.</param>
    /// <param name="recipe">How.</param>
    /// <param name="rateOf">Factor of the learning rate of a parameter; null for one everywhere.</param>
    /// <param name="orthogonalization">What Muon's matrix products are computed in.</param>
    public TrainingState(
        nn.Module trained,
        Recipe recipe,
        Func<string, double>? rateOf = null,
        ScalarType orthogonalization = ScalarType.Float32
    )
    {
        this.trained = trained;
        Optimizer = new ParameterOptimizer(trained, recipe, rateOf: rateOf, orthogonalization: orthogonalization);
        Average = recipe.WeightAverage > 0 ? new AveragedWeights(trained, recipe.WeightAverage) : null;
        Best = new WeightSnapshot(trained);
        Stopping = new EarlyStopping(recipe.Patience);
    }

    /// <summary>Changes the parameters; it holds their moments.</summary>
    public ParameterOptimizer Optimizer { get; }

    /// <summary>Averaged weights, where the recipe has them.</summary>
    public AveragedWeights? Average { get; }

    /// <summary>The weights of the best epoch.</summary>
    public WeightSnapshot Best { get; }

    /// <summary>The best loss so far, and how long ago it was.</summary>
    public EarlyStopping Stopping { get; }

    /// <summary>One record an epoch.</summary>
    public List<EpochRecord> History { get; } = [];

    /// <summary>The epoch of <see cref="Best"/>, from 1; 0 before the first.</summary>
    public int BestEpoch { get; set; }

    /// <summary>Every tensor by its name in a checkpoint; writing into them restores them.</summary>
    /// <returns>Live tensors, by names such as <c>weights.conv1.weight</c>; they stay this state's.</returns>
    public Dictionary<string, Tensor> Tensors()
    {
        var tensors = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        foreach (var (name, value) in trained.state_dict())
            tensors.Add($"weights.{name}", value);
        foreach (var (name, value) in Best.Values)
            tensors.Add($"best.{name}", value);
        foreach (var (name, value) in Average?.Values ?? new Dictionary<string, Tensor>())
            tensors.Add($"average.{name}", value);
        foreach (var (name, value) in Optimizer.State)
            tensors.Add(name, value);
        return tensors;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Optimizer.Dispose();
        Average?.Dispose();
        Best.Dispose();
    }
}
