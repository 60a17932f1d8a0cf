// Why: with a fixed backbone, its features of a picture never change. They are computed once, for a few augmented
// views of each training picture, and the classifier, a few thousand numbers, is trained on them in seconds.
using TorchBridge.Training.Data;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>Trains the classifier of a network on its backbone's features.</summary>
internal sealed class FeatureWork : ITrainingWork
{
    private readonly TrainedModel model;
    private readonly Tensor training_VNF;
    private readonly Tensor validation_NF;
    private readonly int[] labels;
    private readonly Tensor validationLabels;

    private FeatureWork(TrainedModel model, PictureData data, Tensor training_VNF, Tensor validation_NF)
    {
        this.model = model;
        this.training_VNF = training_VNF;
        this.validation_NF = validation_NF;
        labels = data.Training.Labels;
        validationLabels = tensor(data.Validation.Labels.Select(label => (long)label).ToArray())
            .DetachFromDisposeScope();
    }

    /// <inheritdoc/>
    public nn.Module Trained => model.Network.Head;

    /// <inheritdoc/>
    public int Count => labels.Length;

    /// <summary>Computes the features, or reads them from the cache.</summary>
    /// <param name="model">The network; its backbone is not changed.</param>
    /// <param name="data">Its training and validation parts.</param>
    /// <param name="observer">Receives the progress.</param>
    /// <param name="stop">Cancels the work.</param>
    public static FeatureWork Of(
        TrainedModel model,
        PictureData data,
        ITrainingObserver observer,
        CancellationToken stop
    )
    {
        var features = new FeatureExtraction(model, observer, stop);
        var views = model.Settings.Recipe.Tuning.Views;
        var training = features.Of(
            data.Training,
            views,
            model.Settings.Recipe.Augmentation,
            model.Settings.Compute.Dtype
        );
        // Evaluation uses the precision of the exported model: float32.
        var validation = features.Of(data.Validation, 1, AugmentationOptions.None, ScalarType.Float32);
        var work = new FeatureWork(model, data, training, validation[0].DetachFromDisposeScope());
        validation.Dispose();
        return work;
    }

    /// <inheritdoc/>
    public double RateOf(string parameter) => 1;

    /// <inheritdoc/>
    public void EnterTraining(int epoch)
    {
        model.Classifier.eval();
        model.Network.Head.train();
    }

    /// <summary>Each picture once per epoch, as one of its views.</summary>
    public IEnumerable<PictureBatch> Batches(Recipe recipe, int epoch, CancellationToken stop)
    {
        var views = training_VNF.shape[0];
        var seed = model.Settings.Seed;
        foreach (
            var (indices, index) in new Draw(seed, 11, epoch)
                .Permutation(Count)
                .InBatches(recipe.BatchSize)
                .Select((indices, index) => (indices, index))
        )
        {
            stop.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var drawn = indices
                .Select(i => ((long)new Draw(seed, 43, epoch, i).Below((int)views) * Count) + i)
                .ToArray();
            var features = training_VNF.view(-1, training_VNF.shape[2]).index_select(0, tensor(drawn));
            var target = tensor(indices.Select(i => (long)labels[i]).ToArray());
            yield return new PictureBatch(
                features.DetachFromDisposeScope(),
                target.DetachFromDisposeScope(),
                index,
                BatchMix.None
            );
        }
    }

    /// <inheritdoc/>
    public (Tensor Logits, Tensor Targets) Forward(PictureBatch batch, Recipe recipe, int epoch)
    {
        var device = model.Settings.Compute.Device;
        return (
            model.Network.Classify(batch.Pixels.to(device)),
            SoftTargets.Smooth(batch.Labels.to(device), model.Settings.Network.Classes, recipe.LabelSmoothing)
        );
    }

    /// <inheritdoc/>
    public Evaluation Validate(CancellationToken stop)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        model.Network.Head.eval();
        return Evaluation.OfLogits(
            model.Network.Classify(validation_NF.to(model.Settings.Compute.Device)).cpu(),
            validationLabels
        );
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        training_VNF.Dispose();
        validation_NF.Dispose();
        validationLabels.Dispose();
    }
}
