using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Training.Networks;

/// <summary>The lesson's network for comparing normalizations: two convolutions at full size, each with a norm;
/// 77,322 parameters with batch or group. [N, 3, H, W] to logits.</summary>
internal sealed class NormComparison : nn.Module<Tensor, Tensor>
{
    private readonly Sequential features;
    private readonly Linear classifier;

    /// <summary>Creates the network; its weights follow from torch's random state.</summary>
    /// <param name="norm">Kind of normalization.</param>
    /// <param name="height">Height of the pictures.</param>
    /// <param name="width">Width of the pictures.</param>
    /// <param name="classes">Number of classes.</param>
    public NormComparison(NormKind norm, int height, int width, int classes)
        : base(nameof(NormComparison))
    {
        features = nn.Sequential(
            nn.Conv2d(3, 64, 3, padding: 1),
            NormLayer.Make(norm, 64, height, width),
            nn.ReLU(),
            nn.Conv2d(64, 128, 3, padding: 1),
            NormLayer.Make(norm, 128, height, width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1)
        );
        classifier = nn.Linear(128, classes);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x) => classifier.forward(features.forward(x).flatten(1));
}

/// <summary>The lesson's network for comparing dropouts: one convolution, BatchNorm, ReLU, a dropout, pooling. [N, 3,
/// H, W] to logits.</summary>
internal sealed class DropoutComparison : nn.Module<Tensor, Tensor>
{
    private readonly Conv2d conv = nn.Conv2d(3, 64, 3, padding: 1);
    private readonly BatchNorm2d bn = nn.BatchNorm2d(64);
    private readonly nn.Module<Tensor, Tensor> dropout;
    private readonly Linear fc;

    /// <param name="kind">Kind of dropout; null for none.</param>
    /// <param name="classes">Number of classes.</param>
    public DropoutComparison(DropoutKind? kind, int classes)
        : base(nameof(DropoutComparison))
    {
        dropout = kind switch
        {
            DropoutKind.Standard => nn.Dropout(0.5),
            DropoutKind.Spatial => nn.Dropout2d(0.5),
            DropoutKind.Alpha => nn.AlphaDropout(0.5),
            _ => nn.Identity(),
        };
        fc = nn.Linear(64, classes);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x) =>
        fc.forward(F.adaptive_avg_pool2d(dropout.forward(F.relu(bn.forward(conv.forward(x)))), 1).flatten(1));
}

/// <summary>A deep stack of linear layers over small pictures, whose intermediate values can be observed. [N, 3, H,
/// W] to logits.</summary>
internal sealed class DeepStack : nn.Module<Tensor, Tensor>
{
    private const int Side = 16;
    private readonly ModuleList<Linear> layers = [];
    private readonly ModuleList<nn.Module<Tensor, Tensor>> norms = [];
    private readonly Linear head;

    /// <param name="depth">Hidden layers.</param>
    /// <param name="units">Units per layer.</param>
    /// <param name="classes">Number of classes.</param>
    /// <param name="norm">Creates the norm of a layer; null for none.</param>
    public DeepStack(int depth, int units, int classes, Func<int, nn.Module<Tensor, Tensor>>? norm)
        : base(nameof(DeepStack))
    {
        for (var layer = 0; layer < depth; layer++)
        {
            layers.Add(nn.Linear(layer == 0 ? 3 * Side * Side : units, units));
            norms.Add(norm?.Invoke(units) ?? nn.Identity());
        }

        head = nn.Linear(units, classes);
        RegisterComponents();
    }

    /// <summary>The layer whose input is observed, and the callback that receives it: mean and sigma of one unit's
    /// and of all units' values over the batch.</summary>
    public (int Layer, Action<Tensor>? Seen) Watch { get; set; }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        x = F.adaptive_avg_pool2d(x, Side).flatten(1);
        for (var layer = 0; layer < layers.Count; layer++)
        {
            if (layer == Watch.Layer)
                Watch.Seen?.Invoke(x);
            x = F.relu(norms[layer].forward(layers[layer].forward(x)));
        }

        return head.forward(x);
    }
}
