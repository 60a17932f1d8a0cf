using TorchBridge.Training.Data;
using TorchBridge.Training.Ranges;

namespace TorchBridge.Training.Recipes;

/// <summary>How a network is trained; the defaults are the lesson's. Stored with the model.</summary>
internal sealed record Recipe
{
    /// <summary>Passes over the training part, at least 1.</summary>
    [Allowed(1, 100_000)]
    public int Epochs { get; init; } = 8;

    /// <summary>Pictures a step.</summary>
    [Allowed(2, 65_536)]
    public int BatchSize { get; init; } = 128;

    /// <summary>Which rule changes the weights.</summary>
    public OptimizerKind Optimizer { get; init; } = OptimizerKind.AdamW;

    /// <summary>Peak learning rate.</summary>
    [Allowed(1e-9, 10)]
    public double LearningRate { get; init; } = 0.001;

    /// <summary>Peak learning rate of SGD for what Muon leaves to it: norms, biases, the classifier.</summary>
    [Allowed(1e-9, 100)]
    public double RestLearningRate { get; init; } = 0.1;

    /// <summary>Factor of the learning rate of norms' biases. A bias that is shared by a whole map gets small
    /// gradients.</summary>
    [Allowed(0, 1000)]
    public double NormBiasRate { get; init; } = 1;

    /// <summary>Nesterov momentum of SGD and Muon.</summary>
    [Allowed(0, 0.999999)]
    public double Momentum { get; init; } = 0.9;

    /// <summary>Weight decay: decoupled in AdamW, added to the gradient in SGD unless
    /// <see cref="DecoupledDecay"/>. Muon's weights have none: their norm is set in each step.</summary>
    [Allowed(0, 1)]
    public double WeightDecay { get; init; } = 0.01;

    /// <summary>Whether SGD takes weight decay out of the weights, p (1 - lr wd), instead of adding it to the
    /// gradient, where momentum multiplies it.</summary>
    public bool DecoupledDecay { get; init; }

    /// <summary>Whether norms and biases decay too, as in the lesson and in PyTorch's default.</summary>
    public bool DecayNormsAndBiases { get; init; } = true;

    /// <summary>How the learning rate falls.</summary>
    public ScheduleKind Schedule { get; init; } = ScheduleKind.Cosine;

    /// <summary>Epochs in which the learning rate rises; may be a fraction.</summary>
    [Allowed(0, 1000)]
    public double WarmUpEpochs { get; init; }

    /// <summary>Share of the peak that the learning rate ends at, 0 to 1.</summary>
    [Allowed(0, 1)]
    public double EndRate { get; init; }

    /// <summary>Epochs, from the first, in which a first layer that whitens patches keeps its weights; only its
    /// bias learns.</summary>
    [Allowed(0, 100_000)]
    public int WhiteningEpochs { get; init; }

    /// <summary>Label smoothing, 0 for none.</summary>
    [Allowed(0, 0.99)]
    public double LabelSmoothing { get; init; } = 0.1;

    /// <summary>Alpha of mixup's Beta(alpha, alpha), 0 for none. Of mixup, CutMix and cutout, each batch draws
    /// one.</summary>
    [Allowed(0, 100)]
    public double Mixup { get; init; }

    /// <summary>Alpha of CutMix's Beta(alpha, alpha), 0 for none.</summary>
    [Allowed(0, 100)]
    public double CutMix { get; init; }

    /// <summary>Largest norm of all gradients together, 0 for no clipping.</summary>
    [Allowed(0, 1e6)]
    public double GradientClipping { get; init; } = 1.0;

    /// <summary>Epochs without a better validation loss after which training stops with the best epoch's weights; 0
    /// for all epochs, and the last one's weights.</summary>
    [Allowed(0, 100_000)]
    public int Patience { get; init; } = 10;

    /// <summary>
    /// Side in pixels of the random window of each training picture that the first <see cref="WindowEpochs"/> epochs
    /// see, 0 for the whole picture: a window of 24 from 32 pixels costs half a step, hides a part of the object and
    /// shifts it, so no cutout is laid over it and no crop comes before it. Validation and test are always whole.
    /// </summary>
    [Allowed(8, 512, OrZero = true)]
    public int Window { get; init; }

    /// <summary>Epochs, from the first, that train on windows.</summary>
    [Allowed(0, 100_000)]
    public int WindowEpochs { get; init; }

    /// <summary>The window of an epoch, 0 for the whole picture.</summary>
    /// <param name="epoch">From 1.</param>
    public int WindowAt(int epoch) => epoch <= WindowEpochs ? Window : 0;

    /// <summary>Decay a step of the exponential moving average of the weights that is evaluated and kept, 0 for
    /// none.</summary>
    [Allowed(0, 0.999999)]
    public double WeightAverage { get; init; }

    /// <summary>How a network that starts from trained weights is tuned.</summary>
    public TuningOptions Tuning { get; init; } = new();

    /// <summary>How training pictures are changed.</summary>
    public AugmentationOptions Augmentation { get; init; } = new();
}
