using TorchBridge.Onnx;
using TorchBridge.Training.Networks;

namespace TorchBridge.Training.Recipes;

/// <summary>
/// The numbers that a recipe may hold, wherever it comes from: the command line, a file, a model's own settings.
/// Outside of them training fails late, never ends, or takes memory without a bound. NaN is in no range.
/// </summary>
internal static class ConfigurationRanges
{
    /// <summary>Checks a configuration.</summary>
    /// <param name="configuration">What was read.</param>
    /// <param name="source">What to call it in an error.</param>
    /// <exception cref="UserException">A value is out of its range, or no value of its kind.</exception>
    public static void Check(RunConfiguration configuration, string source)
    {
        var (training, network, augmentation) = (
            configuration.Training,
            configuration.Network,
            configuration.Training.Augmentation
        );
        if (augmentation is null)
            throw new UserException($"{source}: augmentation is null; leave it out, or give its values.");
        (string Name, double Value, double Low, double High)[] ranges =
        [
            ("epochs", training.Epochs, 1, 100_000),
            ("batch_size", training.BatchSize, 2, 65_536),
            ("learning_rate", training.LearningRate, 1e-9, 10),
            ("momentum", training.Momentum, 0, 0.999999),
            ("warm_up_epochs", training.WarmUpEpochs, 0, 1000),
            ("weight_decay", training.WeightDecay, 0, 1),
            ("gradient_clipping", training.GradientClipping, 0, 1e6),
            ("label_smoothing", training.LabelSmoothing, 0, 0.99),
            ("mixup", training.Mixup, 0, 100),
            ("cut_mix", training.CutMix, 0, 100),
            ("cutout", augmentation.Cutout, 0, 512),
            ("crop_padding", augmentation.CropPadding, 0, 512),
            ("rotation", augmentation.Rotation, 0, 180),
            ("color_jitter", augmentation.ColorJitter, 0, 1),
            ("window", training.Window, 0, 512),
            ("window_epochs", training.WindowEpochs, 0, 100_000),
            ("weight_average", training.WeightAverage, 0, 0.999999),
            ("patience", training.Patience, 0, 100_000),
            ("dropout", network.Dropout, 0, 0.99),
            ("stochastic_depth", network.StochasticDepth, 0, 0.99),
            ("channels", network.Channels, 8, 512),
            ("width", network.Width, 1, 4096),
            ("height", network.Height, 1, 4096),
            ("classes", network.Classes, 1, 100_000),
        ];
        foreach (var (name, value, low, high) in ranges)
        {
            if (!(value >= low && value <= high))
                throw new UserException(
                    $"{source}: {name} is {Numbers.Exact(value)}; allowed is {Numbers.Exact(low)} to {Numbers.Exact(high)}."
                );
        }

        (string Name, Enum Value)[] choices =
        [
            ("optimizer", training.Optimizer),
            ("schedule", training.Schedule),
            ("fill", augmentation.Fill),
            ("flip", augmentation.Flip),
            ("dropout_kind", network.DropoutKind),
            ("initialization", network.Initialization),
            ("activation", network.Activation),
            ("form", network.Form),
            ("norm", network.Norm),
        ];
        foreach (var (name, value) in choices)
        {
            if (!Enum.IsDefined(value.GetType(), value))
                throw new UserException(
                    $"{source}: {name} is {value}; allowed is {string.Join(", ", Enum.GetNames(value.GetType()))}."
                );
        }

        if (network.Channels % 8 != 0)
            throw new UserException(
                FormattableString.Invariant($"{source}: channels is {network.Channels}; allowed is a multiple of 8.")
            );
        if (training.Window is > 0 and < 8)
            throw new UserException(
                FormattableString.Invariant($"{source}: window is {training.Window}; allowed is 0, or 8 to 512.")
            );
        if (training.Window > 0 && network.Norm == NormKind.Layer)
            throw new UserException(
                $"{source}: a window does not go with the norm 'layer', whose weights have the size of the whole picture."
            );
    }
}
