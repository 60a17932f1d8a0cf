using System.Security.Cryptography;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Weights;

/// <summary>What <c>--weights</c> names: weights that a network starts from.</summary>
internal abstract class PretrainedWeights : IDisposable
{
    /// <summary>The ResNet-18 that comes with the program.</summary>
    public const string ImageNet = "imagenet";

    /// <summary>Where they come from.</summary>
    public required WeightsOrigin Origin { get; init; }

    /// <summary>The normalization that they were trained with.</summary>
    public required ChannelStatistics Statistics { get; init; }

    /// <summary>Height and width of the pictures that they were trained on, where it is known.</summary>
    public virtual int? Side => null;

    /// <summary>Opens what <c>--weights</c> names.</summary>
    /// <param name="source"><c>imagenet</c>, or a safetensors file.</param>
    /// <exception cref="UserException">It is not there, or is no safetensors file.</exception>
    public static PretrainedWeights Open(string source) =>
        source == ImageNet ? PackagedResNet18.Open() : SafetensorsWeights.Open(source);

    /// <summary>Opens what a model started from.</summary>
    /// <param name="origin">Recorded when the run began.</param>
    /// <exception cref="UserException">It is another file by now.</exception>
    public static PretrainedWeights Open(WeightsOrigin origin)
    {
        var opened = Open(origin.Source);
        if (opened.Origin.Sha256 == origin.Sha256)
            return opened;
        opened.Dispose();
        throw new UserException(
            $"{origin.Source} is not the file any more that this run started from (its SHA-256 was "
                + $"{origin.Sha256}). Put that file back, or start anew without --resume."
        );
    }

    /// <summary>The options of the network that the weights fit.</summary>
    /// <param name="asked">What recipe and command line say.</param>
    /// <param name="isKindAsked">Whether they name the network.</param>
    /// <exception cref="UserException">The weights are another network's.</exception>
    public abstract NetworkOptions Shape(NetworkOptions asked, bool isKindAsked);

    /// <summary>Sets the weights of a network.</summary>
    /// <param name="network">In float32, on the CPU.</param>
    /// <param name="classNames">The classes that it is to tell apart.</param>
    /// <param name="pictures">Real pictures for a proof, or null.</param>
    /// <returns>What was done, for people.</returns>
    /// <exception cref="UserException">They do not fit, or the proof failed.</exception>
    public abstract string LoadInto(ImageNetwork network, IReadOnlyList<string> classNames, PictureSet? pictures);

    /// <inheritdoc/>
    public virtual void Dispose() => GC.SuppressFinalize(this);

    /// <summary>The hash of a file that is read through once.</summary>
    /// <param name="path">The file.</param>
    protected static string HashOf(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    /// <summary>Copies values into a network's tensors of the same names and shapes.</summary>
    /// <param name="network">Changed in place.</param>
    /// <param name="values">By state-dict key.</param>
    protected static void Set(ImageNetwork network, IEnumerable<KeyValuePair<string, Tensor>> values)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var state = network.state_dict();
        foreach (var (name, value) in values)
            state[name].copy_(value);
    }
}
