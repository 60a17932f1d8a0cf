// conv 3x3 stride 2, BatchNorm, hard-swish; inverted residual blocks; conv 1x1, BatchNorm, hard-swish; global average
// pool; linear, hard-swish, dropout, linear. BatchNorm here has eps 0.001 and momentum 0.01, as in torchvision.
// Sources: Howard et al. 2019, "Searching for MobileNetV3", tables 1 and 2; torchvision/models/mobilenetv3.py for the
// keys.
using TorchBridge.Training.Networks;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Training.Networks.Backbones;

/// <summary>A row of the tables: what one inverted residual block looks like.</summary>
/// <param name="Kernel">Side of the depthwise kernel, odd.</param>
/// <param name="Expanded">Channels between the two 1x1 convolutions.</param>
/// <param name="Channels">Channels of the output.</param>
/// <param name="Squeezes">Whether channels are weighted by squeeze-and-excitation.</param>
/// <param name="IsHardSwish">Hard-swish, or else ReLU.</param>
/// <param name="Stride">1, or 2 to halve height and width.</param>
internal sealed record InvertedResidualShape(
    int Kernel,
    int Expanded,
    int Channels,
    bool Squeezes,
    bool IsHardSwish,
    int Stride
);

/// <summary>MobileNetV3, small and large. Keys are torchvision's: <c>features.0.0</c>, <c>features.1.block.0.0</c>,
/// <c>classifier.3</c>.</summary>
internal sealed class MobileNetV3 : ImageNetwork
{
    private static readonly InvertedResidualShape[] Small =
    [
        new(3, 16, 16, true, false, 2),
        new(3, 72, 24, false, false, 2),
        new(3, 88, 24, false, false, 1),
        new(5, 96, 40, true, true, 2),
        new(5, 240, 40, true, true, 1),
        new(5, 240, 40, true, true, 1),
        new(5, 120, 48, true, true, 1),
        new(5, 144, 48, true, true, 1),
        new(5, 288, 96, true, true, 2),
        new(5, 576, 96, true, true, 1),
        new(5, 576, 96, true, true, 1),
    ];

    private static readonly InvertedResidualShape[] Large =
    [
        new(3, 16, 16, false, false, 1),
        new(3, 64, 24, false, false, 2),
        new(3, 72, 24, false, false, 1),
        new(5, 72, 40, true, false, 2),
        new(5, 120, 40, true, false, 1),
        new(5, 120, 40, true, false, 1),
        new(3, 240, 80, false, true, 2),
        new(3, 200, 80, false, true, 1),
        new(3, 184, 80, false, true, 1),
        new(3, 184, 80, false, true, 1),
        new(3, 480, 112, true, true, 1),
        new(3, 672, 112, true, true, 1),
        new(5, 672, 160, true, true, 2),
        new(5, 960, 160, true, true, 1),
        new(5, 960, 160, true, true, 1),
    ];

    private readonly Sequential features;
    private readonly Sequential classifier;

    /// <summary>Builds and initializes the network; the weights follow from torch's random state.</summary>
    /// <param name="options">Small or large, classes and dropout.</param>
    public MobileNetV3(NetworkOptions options)
        : base(nameof(MobileNetV3))
    {
        var isSmall = options.Kind == NetworkKind.MobilenetV3Small;
        var shapes = isSmall ? Small : Large;
        var parts = new List<(string, nn.Module<Tensor, Tensor>)> { ("0", ConvNorm(3, 16, 3, 2, 1, nn.Hardswish())) };
        var from = 16;
        foreach (var shape in shapes)
        {
            parts.Add(($"{parts.Count}", new InvertedResidual(from, shape)));
            from = shape.Channels;
        }

        parts.Add(($"{parts.Count}", ConvNorm(from, 6 * from, 1, 1, 1, nn.Hardswish())));
        features = nn.Sequential(parts);
        var hidden = isSmall ? 1024 : 1280;
        classifier = nn.Sequential(
            ("0", nn.Linear(6 * from, hidden)),
            ("1", nn.Hardswish()),
            ("2", nn.Dropout(options.Dropout)),
            ("3", nn.Linear(hidden, options.Classes))
        );
        RegisterComponents();
        WeightInitialization.Apply(this, options.Initialization);
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Stages =>
        [.. Enumerable.Range(0, features.Count).Select(i => $"features.{i}"), "classifier"];

    /// <inheritdoc/>
    public override nn.Module Head => classifier;

    /// <inheritdoc/>
    public override Linear LastLayer => (Linear)classifier[3];

    /// <inheritdoc/>
    public override bool IsLinearAfterPool => false;

    /// <inheritdoc/>
    public override Tensor Maps(Tensor x) => features.forward(x);

    /// <inheritdoc/>
    public override Tensor Classify(Tensor features) => classifier.forward(features);

    /// <summary>
    /// A convolution with an odd kernel and "same" padding, a norm and an activation.
    /// </summary>
    /// <param name="from">Channels of the input.</param>
    /// <param name="to">Channels of the output.</param>
    /// <param name="kernel">Side of the kernel, odd; padded by half of it.</param>
    /// <param name="stride">1, or 2 to halve height and width.</param>
    /// <param name="groups">The number of channels for a depthwise convolution, otherwise 1.</param>
    /// <param name="activation">Activation after the norm; null for none.</param>
    internal static Sequential ConvNorm(
        int from,
        int to,
        int kernel,
        int stride,
        int groups,
        nn.Module<Tensor, Tensor>? activation
    )
    {
        var conv = new CastingConv2d(from, to, kernel, stride, (kernel - 1) / 2, bias: false, groups);
        var norm = nn.BatchNorm2d(to, eps: 0.001, momentum: 0.01);
        return activation is null
            ? nn.Sequential(("0", conv), ("1", norm))
            : nn.Sequential(("0", conv), ("1", norm), ("2", activation));
    }
}
