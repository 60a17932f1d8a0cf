using System.Security.Cryptography;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Weights;

/// <summary>Pretrained weights from which a network starts, as named by <c>--weights</c>.</summary>
internal abstract class PretrainedWeights : IDisposable
{
    /// <summary>The ResNet-18 that comes with the program.</summary>
    public const string ImageNet = "imagenet";

    /// <summary>Origin of the weights.</summary>
    public required WeightsOrigin Origin { get; init; }

    /// <summary>The normalization with which they were trained.</summary>
    public required ChannelStatistics Statistics { get; init; }

    /// <summary>Height and width of the pictures on which they were trained, if known.</summary>
    public virtual int? Side => null;

    /// <summary>Opens the weights that <c>--weights</c> names.</summary>
    /// <param name="source"><c>imagenet</c>, or a safetensors file.</param>
    /// <exception cref="UserException">The file does not exist, or is not a safetensors file.</exception>
    public static PretrainedWeights Open(string source) =>
        source == ImageNet ? PackagedResNet18.Open() : SafetensorsWeights.Open(source);

    /// <summary>Opens the weights from which a model started.</summary>
    /// <param name="origin">The origin as recorded when the run began.</param>
    /// <exception cref="UserException">The file has changed.</exception>
    public static PretrainedWeights Open(WeightsOrigin origin)
    {
        var opened = Open(origin.Source);
        if (opened.Origin.Sha256 == origin.Sha256)
            return opened;
        opened.Dispose();
        throw new UserException(
            $"{origin.Source} is no longer the file from which this run started (its SHA-256 was "
                + $"{origin.Sha256}). Restore that file, or start a new run without --resume."
        );
    }

    /// <summary>The options of the network that fits the weights.</summary>
    /// <param name="asked">Options from the recipe and the command line.</param>
    /// <param name="isKindAsked">Whether they name the network explicitly.</param>
    /// <exception cref="UserException">The weights belong to another network.</exception>
    public abstract NetworkOptions Shape(NetworkOptions asked, bool isKindAsked);

    /// <summary>Sets the weights of a network.</summary>
    /// <param name="network">The network, in float32 on the CPU.</param>
    /// <param name="classNames">The classes to distinguish.</param>
    /// <param name="pictures">Real pictures for the verification, or null.</param>
    /// <returns>A description for the user.</returns>
    /// <exception cref="UserException">The weights do not fit, or the verification failed.</exception>
    public abstract string LoadInto(ImageNetwork network, IReadOnlyList<string> classNames, PictureSet? pictures);

    /// <inheritdoc/>
    public virtual void Dispose() => GC.SuppressFinalize(this);

    /// <summary>Computes the hash of a file.</summary>
    /// <param name="path">The file.</param>
    protected static string HashOf(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    /// <summary>Copies values into the network's tensors with the same names and shapes.</summary>
    /// <param name="network">The network, changed in place.</param>
    /// <param name="values">Values by state-dict key.</param>
    protected static void Set(ImageNetwork network, IEnumerable<KeyValuePair<string, Tensor>> values)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var state = network.state_dict();
        foreach (var (name, value) in values)
            state[name].copy_(value);
    }
}
