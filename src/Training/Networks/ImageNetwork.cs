using TorchBridge.Training.Data;
using TorchBridge.Training.Networks.Backbones;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Training.Networks;

/// <summary>
/// A network that ends in a global pool and a classifier: normalized pictures [N, 3, H, W] to float32 logits
/// [N, classes]. Pictures may be bfloat16: then everything up to the pool is computed in it.
/// </summary>
internal abstract class ImageNetwork(string name) : nn.Module<Tensor, Tensor>(name)
{
    /// <summary>Parts from the input to the classifier, as prefixes of state-dict keys; the last one is the
    /// classifier's.</summary>
    public abstract IReadOnlyList<string> Stages { get; }

    /// <summary>What turns features into logits.</summary>
    public abstract nn.Module Head { get; }

    /// <summary>The last layer.</summary>
    public abstract Linear LastLayer { get; }

    /// <summary>Whether the last layer stands right behind the pool: then the class-activation map is exact.</summary>
    public virtual bool IsLinearAfterPool => true;

    /// <summary>Makes the network that options describe; torch's random state decides the weights.</summary>
    /// <param name="options">Kind, classes, size and start.</param>
    public static ImageNetwork Make(NetworkOptions options) =>
        options.Kind switch
        {
            NetworkKind.ModernCnn => new ModernCnn(options),
            NetworkKind.MobilenetV3Small or NetworkKind.MobilenetV3Large => new MobileNetV3(options),
            _ => new ResNet(options),
        };

    /// <summary>Sets those first weights that come from the training pictures, where the network has such.</summary>
    /// <param name="pictures">The training part.</param>
    /// <param name="statistics">How its pixels are normalized.</param>
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
    /// less their biases.
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

    /// <summary>What the last layer's output is multiplied by.</summary>
    protected virtual float ClassifierScale => 1;

    /// <summary>Maps [N, features, h, w] to their features [N, features, 1, 1].</summary>
    protected virtual Tensor Pool(Tensor maps) => F.adaptive_avg_pool2d(maps, 1);

    /// <summary>What each place of the maps gives to the pooled feature: [N, features, h, w], whose sums over places
    /// are <paramref name="pooled"/>.</summary>
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

        throw new ArgumentException($"{parameter} is in no part of {GetName()}", nameof(parameter));
    }
}
