using TorchBridge.Training.Data;
using TorchBridge.Training.Recipes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>What a trainer's epochs go over, and what they change.</summary>
internal interface ITrainingWork : IDisposable
{
    /// <summary>What the optimizer changes; a checkpoint holds its tensors.</summary>
    nn.Module Trained { get; }

    /// <summary>Samples an epoch.</summary>
    int Count { get; }

    /// <summary>Factor of the learning rate of a parameter, by its name in <see cref="Trained"/>.</summary>
    double RateOf(string parameter);

    /// <summary>Puts the network into the mode that an epoch's steps run in.</summary>
    void EnterTraining(int epoch);

    /// <summary>The batches of an epoch.</summary>
    IEnumerable<PictureBatch> Batches(Recipe recipe, int epoch, CancellationToken stop);

    /// <summary>Logits [N, classes] and targets [N, classes] of a batch.</summary>
    (Tensor Logits, Tensor Targets) Forward(PictureBatch batch, Recipe recipe, int epoch);

    /// <summary>What the network says of the validation part.</summary>
    Evaluation Validate(CancellationToken stop);
}
