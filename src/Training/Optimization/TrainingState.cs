using TorchBridge.Training.Recipes;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>The complete mutable state of a run; all of it is saved in a checkpoint.</summary>
internal sealed class TrainingState : IDisposable
{
    private readonly nn.Module trained;

    /// <summary>Creates the state before the first step.</summary>
    /// <param name="trained">The trained module.</param>
    /// <param name="recipe">The recipe.</param>
    /// <param name="rateOf">Learning-rate factor of a parameter, by name; null for 1 everywhere.</param>
    /// <param name="orthogonalization">Precision of Muon's matrix products.</param>
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

    /// <summary>The optimizer with its moments.</summary>
    public ParameterOptimizer Optimizer { get; }

    /// <summary>Averaged weights, if the recipe uses them.</summary>
    public AveragedWeights? Average { get; }

    /// <summary>The weights of the best epoch.</summary>
    public WeightSnapshot Best { get; }

    /// <summary>The best loss so far, and the number of epochs since then.</summary>
    public EarlyStopping Stopping { get; }

    /// <summary>One record per epoch.</summary>
    public List<EpochRecord> History { get; } = [];

    /// <summary>The epoch of <see cref="Best"/>, from 1; 0 before the first.</summary>
    public int BestEpoch { get; set; }

    /// <summary>Every tensor by its name in a checkpoint; writing to them restores the state.</summary>
    /// <returns>Live tensors by names such as <c>weights.conv1.weight</c>; this object keeps ownership.</returns>
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
