using TorchBridge.Training.Data;
using TorchBridge.Training.Recipes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>The data and the module that a trainer works on.</summary>
internal interface ITrainingWork : IDisposable
{
    /// <summary>The module that the optimizer updates; a checkpoint contains its tensors.</summary>
    nn.Module Trained { get; }

    /// <summary>Number of samples per epoch.</summary>
    int Count { get; }

    /// <summary>Learning-rate factor of a parameter, by its name in <see cref="Trained"/>.</summary>
    double RateOf(string parameter);

    /// <summary>Switches the network to the mode for the steps of an epoch.</summary>
    void EnterTraining(int epoch);

    /// <summary>The batches of an epoch.</summary>
    IEnumerable<PictureBatch> Batches(Recipe recipe, int epoch, CancellationToken stop);

    /// <summary>Logits [N, classes] and targets [N, classes] of a batch.</summary>
    (Tensor Logits, Tensor Targets) Forward(PictureBatch batch, Recipe recipe, int epoch);

    /// <summary>Evaluates the network on the validation part.</summary>
    Evaluation Validate(CancellationToken stop);
}
