using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Networks;

/// <summary>
/// The network with its preprocessing before it and softmax after it: the module that is exported, and the baseline
/// of every comparison. Pixels [N, 3, H, W], float32, RGB, 0 to 255, to (logits, probabilities), both [N, classes].
/// Preprocessing is (pixel / 255 - mean) / std per channel, computed as pixel * scale + offset.
/// </summary>
internal sealed class PixelClassifier : nn.Module<Tensor, (Tensor Logits, Tensor Probabilities)>
{
    private readonly ImageNetwork network;
    private readonly Tensor scale;
    private readonly Tensor offset;

    /// <summary>Wraps a network, which the caller continues to own.</summary>
    /// <param name="network">Normalized pictures to logits.</param>
    /// <param name="statistics">Channel mean and standard deviation of the training part, of pixels scaled to 0 to
    /// 1.</param>
    public PixelClassifier(ImageNetwork network, Data.ChannelStatistics statistics)
        : base(nameof(PixelClassifier))
    {
        this.network = network;
        scale = tensor(statistics.Std.Select(std => (float)(1 / (255 * std))).ToArray()).view(1, 3, 1, 1);
        offset = tensor(statistics.Mean.Zip(statistics.Std, (mean, std) => (float)(-mean / std)).ToArray())
            .view(1, 3, 1, 1);
        RegisterComponents();
    }

    /// <summary>The views of a picture that logits are averaged over in eval mode; an export has them in its
    /// graph.</summary>
    public ViewKind Views { get; set; }

    /// <summary>The device of its tensors.</summary>
    public Device Device => scale.device;

    /// <summary>Normalizes pixels and runs the network: float32 logits [N, classes] only.</summary>
    /// <param name="pixels">[N, 3, H, W], float32, 0 to 255.</param>
    /// <param name="compute">The data type of the network's computation: float32, or bfloat16 for training.</param>
    public Tensor Logits(Tensor pixels, ScalarType compute = ScalarType.Float32)
    {
        if (training || Views == ViewKind.None)
            return Single(pixels, compute);
        return TestViews.Mean(Single(TestViews.Of(pixels, Views), compute), Views);
    }

    /// <summary>Normalizes pixels and returns the input of the network's classifier: float32 [N, features].</summary>
    /// <param name="pixels">[N, 3, H, W], float32, 0 to 255.</param>
    /// <param name="compute">The data type of the computation up to the pool.</param>
    public Tensor Features(Tensor pixels, ScalarType compute = ScalarType.Float32) =>
        network.Features(Normalized(pixels, compute));

    /// <summary>
    /// Logits and the class-activation maps of all classes, float32: [N, classes] and [N, classes, h, w].
    /// </summary>
    /// <param name="pixels">[N, 3, H, W], float32, 0 to 255.</param>
    public (Tensor Logits, Tensor Maps) Explain(Tensor pixels) => network.Explain((pixels * scale) + offset);

    private Tensor Single(Tensor pixels, ScalarType compute) => network.forward(Normalized(pixels, compute));

    /// <inheritdoc/>
    public override (Tensor Logits, Tensor Probabilities) forward(Tensor pixels)
    {
        var logits = Logits(pixels);
        return (logits, logits.softmax(1));
    }

    private Tensor Normalized(Tensor pixels, ScalarType compute)
    {
        var normalized = (pixels * scale) + offset;
        return compute == ScalarType.Float32 ? normalized : normalized.to(compute);
    }
}
