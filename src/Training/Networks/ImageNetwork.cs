using TorchBridge.Training.Data;
using TorchBridge.Training.Networks.Backbones;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Training.Networks;

/// <summary>
/// A network that ends in a global pool and a classifier: normalized pictures [N, 3, H, W] to float32 logits
/// [N, classes]. For bfloat16 pictures, everything up to the pool is computed in bfloat16.
/// </summary>
internal abstract class ImageNetwork(string name) : nn.Module<Tensor, Tensor>(name)
{
    /// <summary>Parts from the input to the classifier, as prefixes of state-dict keys; the last one is the
    /// classifier's.</summary>
    public abstract IReadOnlyList<string> Stages { get; }

    /// <summary>The part that turns features into logits.</summary>
    public abstract nn.Module Head { get; }

    /// <summary>The last layer.</summary>
    public abstract Linear LastLayer { get; }

    /// <summary>Whether the last layer directly follows the pool; the class-activation map is then exact.</summary>
    public virtual bool IsLinearAfterPool => true;

    /// <summary>Creates the network that the options describe; the weights follow from torch's random
    /// state.</summary>
    /// <param name="options">Kind, classes, picture size and initialization.</param>
    public static ImageNetwork Make(NetworkOptions options) =>
        options.Kind switch
        {
            NetworkKind.ModernCnn => new ModernCnn(options),
            NetworkKind.MobilenetV3Small or NetworkKind.MobilenetV3Large => new MobileNetV3(options),
            _ => new ResNet(options),
        };

    /// <summary>Sets the initial weights that are computed from the training pictures, where the network has
    /// any.</summary>
    /// <param name="pictures">The training part.</param>
    /// <param name="statistics">Channel statistics that normalize its pixels.</param>
    public virtual void StartFrom(PictureSet pictures, ChannelStatistics statistics) { }

    /// <summary>The last feature maps: normalized pictures to [N, features, h, w].</summary>
    /// <param name="x">Normalized pictures [N, 3, H, W].</param>
    public abstract Tensor Maps(Tensor x);

    /// <summary>Pooled features [N, features], float32, to logits [N, classes].</summary>
    /// <param name="features">Pooled, [N, features].</param>
    public abstract Tensor Classify(Tensor features);

    /// <summary>Normalized pictures to pooled features [N, features], float32.</summary>
    /// <param name="x">Normalized pictures [N, 3, H, W].</param>
    public Tensor Features(Tensor x)
    {
        x = Pool(Maps(x));
        x = x.view(x.size(0), -1);
        return x.dtype == LastLayer.weight.dtype ? x : x.to(LastLayer.weight.dtype);
    }

    /// <summary>
    /// Logits [N, classes] and the class-activation maps [N, classes, h, w] of all classes, whose sums are the logits
    /// minus the biases.
    /// </summary>
    /// <param name="x">Normalized pictures [N, 3, H, W].</param>
    public (Tensor Logits, Tensor Maps) Explain(Tensor x)
    {
        var maps = Maps(x);
        var weight = LastLayer.weight;
        var pooled = Pool(maps);
        var shares = F.conv2d(Shares(maps, pooled), weight.view(weight.shape[0], weight.shape[1], 1, 1));
        return (Classify(pooled.view(pooled.size(0), -1)), ClassifierScale == 1 ? shares : shares * ClassifierScale);
    }

    /// <summary>Factor that the last layer's output is multiplied by.</summary>
    protected virtual float ClassifierScale => 1;

    /// <summary>Maps [N, features, h, w] to their features [N, features, 1, 1].</summary>
    protected virtual Tensor Pool(Tensor maps) => F.adaptive_avg_pool2d(maps, 1);

    /// <summary>What each position of the maps contributes to the pooled feature: [N, features, h, w], whose sums
    /// over positions are <paramref name="pooled"/>.</summary>
    protected virtual Tensor Shares(Tensor maps, Tensor pooled) => maps / (float)(maps.shape[2] * maps.shape[3]);

    /// <inheritdoc/>
    public override Tensor forward(Tensor x) => Classify(Features(x));

    /// <summary>The index in <see cref="Stages"/> of the part that a parameter belongs to.</summary>
    /// <param name="parameter">Its state-dict key.</param>
    public int StageOf(string parameter)
    {
        for (var index = Stages.Count - 1; index >= 0; index--)
        {
            if (Stages[index].Split(' ').Any(stage => parameter.StartsWith(stage + ".", StringComparison.Ordinal)))
                return index;
        }

        throw new ArgumentException($"{parameter} belongs to no stage of {GetName()}", nameof(parameter));
    }
}
