using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using TorchBridge.Inference;
using TorchBridge.Inference.Pictures;
using TorchBridge.Onnx.Contract;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Recipes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>Everything besides the weights that is needed to use or reproduce a model; stored in the safetensors
/// file.</summary>
/// <param name="Network">Options of the network.</param>
/// <param name="Recipe">How it was trained.</param>
/// <param name="Compute">Precision, threads, device.</param>
/// <param name="Seed">Seed of all random numbers.</param>
/// <param name="Data">The value of <c>--data</c>.</param>
/// <param name="DataLimits">Numbers of drawn pictures, if not the default.</param>
/// <param name="ClassNames">One name per class.</param>
/// <param name="Statistics">Mean and standard deviation per channel of the training part, or those with which the
/// initial weights were trained.</param>
internal sealed record ModelSettings(
    NetworkOptions Network,
    Recipe Recipe,
    ComputeOptions Compute,
    int Seed,
    string Data,
    int[]? DataLimits,
    IReadOnlyList<string> ClassNames,
    ChannelStatistics Statistics
)
{
    /// <summary>Origin of the initial weights; null if they were random.</summary>
    public WeightsOrigin? Start { get; init; }

    /// <summary>How picture files are read.</summary>
    public PictureReading Reading { get; init; } = PictureReading.Stock;

    /// <summary>Fingerprint of the pictures when the run began; null if not recorded.</summary>
    public DataFingerprint? Pictures { get; init; }

    /// <summary>The program that started the run, with its commit; null if not recorded.</summary>
    public string? Program { get; init; }

    /// <summary>Identifies the run: a hash of everything that determines it. Weights, card, history, curves and
    /// report of a run have the same id.</summary>
    [JsonIgnore]
    public string RunId => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Json.Text(this))))[..16];

    /// <summary>Checks settings that were read from a file, before a network is created from them.</summary>
    /// <param name="path">The file, for error messages.</param>
    /// <exception cref="UserException">A value is missing, out of its range, or inconsistent.</exception>
    public void Check(string path)
    {
        if (
            Network is null
            || Recipe is null
            || Compute is null
            || Data is null
            || ClassNames is null
            || Statistics is null
            || Reading is null
        )
            throw new UserException($"{path}: its settings are incomplete");
        ConfigurationRanges.Check(new RunConfiguration("", Recipe, Network), path);
        if (ClassNames.Count != Network.Classes || ClassNames.Any(name => name is null))
            throw new UserException(
                FormattableString.Invariant(
                    $"{path}: its settings name {ClassNames.Count} classes, but the network has {Network.Classes}"
                )
            );
        if (
            Statistics is not { Mean: { Length: 3 } mean, Std: { Length: 3 } deviation }
            || !mean.Concat(deviation).All(double.IsFinite)
        )
            throw new UserException($"{path}: its settings have no mean and standard deviation for three channels");
    }
}

/// <summary>A network with its settings, either new or read from a safetensors file.</summary>
internal sealed class TrainedModel : IDisposable
{
    private readonly ImageNetwork network;

    /// <summary>Creates a new network, whose weights are determined by the seed.</summary>
    /// <param name="settings">Options of the network, statistics, class names and seed; the same settings give the
    /// same weights.</param>
    public TrainedModel(ModelSettings settings)
    {
        Settings = settings;
        random.manual_seed(settings.Seed);
        network = ImageNetwork.Make(settings.Network);
        Classifier = new PixelClassifier(network, settings.Statistics);
        // Both before training and after loading, because another layout sums in another order, and the last digits
        // would differ.
        ChannelsLast.Convert(Classifier);
    }

    /// <summary>How the model was set up.</summary>
    public ModelSettings Settings { get; }

    /// <summary>The network with its preprocessing.</summary>
    public PixelClassifier Classifier { get; }

    /// <summary>The network alone: normalized pictures to logits.</summary>
    public ImageNetwork Network => network;

    /// <summary>A short description of the network.</summary>
    public string Description =>
        Settings.Network.Kind == NetworkKind.ModernCnn
            ? $"ModernCNN, {Settings.Network.Form}"
            : Naming.Of(Settings.Network.Kind);

    /// <summary>The model card in the ONNX file, for inference.</summary>
    public ModelCard Card =>
        new(Settings.ClassNames, Settings.Network.Width, Settings.Network.Height) { Reading = Settings.Reading };

    /// <summary>Reads a model.</summary>
    /// <param name="path">The safetensors file.</param>
    /// <returns>The model in eval mode; the caller disposes it.</returns>
    /// <exception cref="UserException">The file is missing, damaged, or from another program.</exception>
    public static TrainedModel Load(string path)
    {
        var (tensors, metadata) = Safetensors.Read(path);
        try
        {
            var settings = metadata.TryGetValue(MetadataKeys.Settings, out var json)
                ? JsonSerializer.Deserialize<ModelSettings>(json, Json.Options)
                    ?? throw new JsonException("they are null")
                : throw new UserException($"{path} has no settings of this program ({MetadataKeys.Settings})");
            settings.Check(path);
            var model = new TrainedModel(settings);
            try
            {
                model.SetWeights(path, tensors);
                return model;
            }
            catch
            {
                model.Dispose();
                throw;
            }
        }
        catch (JsonException error)
        {
            throw new UserException($"{path}: its settings cannot be read: {error.Message}", error);
        }
        finally
        {
            foreach (var tensor in tensors.Values)
                tensor.Dispose();
        }
    }

    /// <summary>Writes weights and settings.</summary>
    /// <param name="path">The safetensors file, replaced atomically.</param>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public void Save(string path) =>
        Safetensors.Write(
            path,
            network.state_dict(),
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                [MetadataKeys.Settings] = JsonSerializer.Serialize(Settings, Json.Options),
            }
        );

    /// <inheritdoc/>
    public void Dispose()
    {
        Classifier.Dispose();
        network.Dispose();
    }

    /// <summary>Copies tensors into the network.</summary>
    /// <param name="path">The file, for error messages.</param>
    /// <param name="tensors">All tensors of the state dict by name, with matching shapes.</param>
    /// <exception cref="UserException">A tensor is missing or unexpected, or has another shape.</exception>
    private void SetWeights(string path, Dictionary<string, Tensor> tensors)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var state = network.state_dict();
        var missing = state.Keys.Except(tensors.Keys).Concat(tensors.Keys.Except(state.Keys)).FirstOrDefault();
        if (missing is not null)
            throw new UserException($"{path} does not fit its own settings: '{missing}' is missing or unexpected");
        foreach (var (name, target) in state)
        {
            if (!target.shape.AsSpan().SequenceEqual(tensors[name].shape))
                throw new UserException(
                    $"{path}: '{name}' has the shape [{string.Join(", ", tensors[name].shape)}], expected "
                        + $"[{string.Join(", ", target.shape)}]"
                );
            target.copy_(tensors[name]);
        }
    }
}
