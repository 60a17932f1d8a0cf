using TorchBridge.Training.Data;
using TorchBridge.Training.Ranges;

namespace TorchBridge.Training.Recipes;

/// <summary>The training recipe of a network; the defaults are the lesson's. Stored with the model.</summary>
internal sealed record Recipe
{
    /// <summary>Number of passes over the training part, at least 1.</summary>
    [Allowed(1, 100_000)]
    public int Epochs { get; init; } = 8;

    /// <summary>Pictures per step.</summary>
    [Allowed(2, 65_536)]
    public int BatchSize { get; init; } = 128;

    /// <summary>The optimizer, which updates the weights.</summary>
    public OptimizerKind Optimizer { get; init; } = OptimizerKind.AdamW;

    /// <summary>Peak learning rate.</summary>
    [Allowed(1e-9, 10)]
    public double LearningRate { get; init; } = 0.001;

    /// <summary>Peak learning rate of SGD for the parameters that Muon does not train: norms, biases, the
    /// classifier.</summary>
    [Allowed(1e-9, 100)]
    public double RestLearningRate { get; init; } = 0.1;

    /// <summary>Learning-rate factor for the biases of norms. A bias that a whole feature map shares gets small
    /// gradients.</summary>
    [Allowed(0, 1000)]
    public double NormBiasRate { get; init; } = 1;

    /// <summary>Nesterov momentum of SGD and Muon.</summary>
    [Allowed(0, 0.999999)]
    public double Momentum { get; init; } = 0.9;

    /// <summary>Weight decay: decoupled in AdamW, added to the gradient in SGD unless
    /// <see cref="DecoupledDecay"/>. Muon's weights have none, because their norm is set in each step.</summary>
    [Allowed(0, 1)]
    public double WeightDecay { get; init; } = 0.01;

    /// <summary>Whether SGD applies weight decay directly to the weights, p (1 - lr wd), instead of adding it to the
    /// gradient, where momentum would amplify it.</summary>
    public bool DecoupledDecay { get; init; }

    /// <summary>Whether weight decay applies to norms and biases too, as in the lesson and by default in
    /// PyTorch.</summary>
    public bool DecayNormsAndBiases { get; init; } = true;

    /// <summary>The learning-rate schedule.</summary>
    public ScheduleKind Schedule { get; init; } = ScheduleKind.Cosine;

    /// <summary>Warm-up epochs, in which the learning rate rises; may be a fraction.</summary>
    [Allowed(0, 1000)]
    public double WarmUpEpochs { get; init; }

    /// <summary>Final learning rate as a share of the peak, 0 to 1.</summary>
    [Allowed(0, 1)]
    public double EndRate { get; init; }

    /// <summary>Number of initial epochs in which a patch-whitening first layer keeps its weights; only its bias is
    /// trained.</summary>
    [Allowed(0, 100_000)]
    public int WhiteningEpochs { get; init; }

    /// <summary>Label smoothing, 0 for none.</summary>
    [Allowed(0, 0.99)]
    public double LabelSmoothing { get; init; } = 0.1;

    /// <summary>Alpha of mixup's Beta(alpha, alpha), 0 for none. One of mixup, CutMix and cutout is drawn for each
    /// batch.</summary>
    [Allowed(0, 100)]
    public double Mixup { get; init; }

    /// <summary>Alpha of CutMix's Beta(alpha, alpha), 0 for none.</summary>
    [Allowed(0, 100)]
    public double CutMix { get; init; }

    /// <summary>Largest global norm of the gradients, 0 for no clipping.</summary>
    [Allowed(0, 1e6)]
    public double GradientClipping { get; init; } = 1.0;

    /// <summary>Early stopping: number of epochs without a better validation loss after which training stops and
    /// keeps the best epoch's weights; 0 to train all epochs and keep the last weights.</summary>
    [Allowed(0, 100_000)]
    public int Patience { get; init; } = 10;

    /// <summary>
    /// Side length in pixels of the random window of each training picture that is used in the first <see
    /// cref="WindowEpochs"/> epochs, 0 for the whole picture. A window of 24 of 32 pixels halves the cost of a step,
    /// hides part of the object and shifts it, so cutout and random crops are not applied in addition. Validation and
    /// test always use whole pictures.
    /// </summary>
    [Allowed(8, 512, OrZero = true)]
    public int Window { get; init; }

    /// <summary>Number of initial epochs that train on windows.</summary>
    [Allowed(0, 100_000)]
    public int WindowEpochs { get; init; }

    /// <summary>The window of an epoch, 0 for the whole picture.</summary>
    /// <param name="epoch">Number of the epoch, from 1.</param>
    public int WindowAt(int epoch) => epoch <= WindowEpochs ? Window : 0;

    /// <summary>Decay per step of the exponential moving average of the weights that is evaluated and kept, 0 for
    /// none.</summary>
    [Allowed(0, 0.999999)]
    public double WeightAverage { get; init; }

    /// <summary>How a network that starts from trained weights is fine-tuned.</summary>
    public TuningOptions Tuning { get; init; } = new();

    /// <summary>How training pictures are augmented.</summary>
    public AugmentationOptions Augmentation { get; init; } = new();
}
