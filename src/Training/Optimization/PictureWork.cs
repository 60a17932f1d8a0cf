using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Regularization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>Trains a whole network on pictures.</summary>
internal sealed class PictureWork(TrainedModel model, PictureData data) : ITrainingWork
{
    private readonly ModelSettings settings = model.Settings;

    /// <inheritdoc/>
    public nn.Module Trained => model.Classifier;

    /// <inheritdoc/>
    public int Count => data.Training.Count;

    /// <inheritdoc/>
    public double RateOf(string parameter)
    {
        const string prefix = "network.";
        var decay = settings.Recipe.Tuning.LayerDecay;
        return decay == 1
            ? 1
            : Math.Pow(decay, model.Network.Stages.Count - 1 - model.Network.StageOf(parameter[prefix.Length..]));
    }

    /// <inheritdoc/>
    public void EnterTraining(int epoch)
    {
        model.Classifier.train();
        foreach (var layer in model.Network.modules().OfType<CastingConv2d>().Where(layer => layer.IsWhitening))
            layer.Weight.requires_grad = epoch > settings.Recipe.WhiteningEpochs;
        if (!settings.Recipe.Tuning.FreezeNorms)
            return;
        foreach (var norm in model.Network.modules().OfType<BatchNorm2d>())
            norm.eval();
    }

    /// <inheritdoc/>
    public IEnumerable<PictureBatch> Batches(Recipe recipe, int epoch, CancellationToken stop) =>
        BatchLoader.Training(data.Training, recipe, settings.Seed, epoch, stop);

    /// <inheritdoc/>
    public (Tensor Logits, Tensor Targets) Forward(PictureBatch batch, Recipe recipe, int epoch)
    {
        var device = settings.Compute.Device;
        var smooth = SoftTargets.Smooth(batch.Labels.to(device), settings.Network.Classes, recipe.LabelSmoothing);
        var (pixels, targets) = BatchMixing.Apply(
            batch.Mix,
            batch.Pixels.to(device),
            smooth,
            recipe,
            settings.Seed,
            epoch,
            batch.Index
        );
        return (model.Classifier.Logits(pixels, settings.Compute.Dtype), targets);
    }

    /// <inheritdoc/>
    public Evaluation Validate(CancellationToken stop) => Evaluation.Of(model.Classifier, data.Validation, stop);

    /// <inheritdoc/>
    public void Dispose() { }
}
