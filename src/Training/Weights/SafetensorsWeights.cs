using System.Text.Json;
using TorchBridge.Onnx.Contract;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Weights;

/// <summary>Weights in a safetensors file, with torchvision's or timm's names, or from a model of this
/// program.</summary>
internal sealed class SafetensorsWeights : PretrainedWeights
{
    private const int Listed = 8;
    private static readonly ChannelStatistics TorchvisionStatistics = new([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    private readonly string path;
    private readonly Dictionary<string, Tensor> tensors;
    private readonly ModelSettings? own;

    private SafetensorsWeights(string path, Dictionary<string, Tensor> tensors, ModelSettings? own)
    {
        this.path = path;
        this.tensors = tensors;
        this.own = own;
    }

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="UserException">The file is missing, damaged, a pickle, or something else.</exception>
    public static new SafetensorsWeights Open(string path)
    {
        if (Directory.Exists(path))
            throw new UserException($"--weights {path} is a folder. Give the path of the safetensors file in it.");
        if (!File.Exists(path))
            throw new UserException($"--weights {path} does not exist. Give `imagenet`, or a safetensors file.");
        RefusePickle(path);
        var (tensors, metadata) = Safetensors.Read(path);
        try
        {
            if (metadata.ContainsKey(MetadataKeys.Checkpoint))
                throw new UserException(
                    $"--weights {path} is the checkpoint of an unfinished run. `train --resume` continues it; "
                        + $"its best weights are in the .safetensors file beside it."
                );
            var own = metadata.TryGetValue(MetadataKeys.Settings, out var json)
                ? JsonSerializer.Deserialize<ModelSettings>(json, Json.Options)
                : null;
            return new SafetensorsWeights(path, tensors, own)
            {
                Origin = new WeightsOrigin(path, HashOf(path)),
                Statistics = own?.Statistics ?? TorchvisionStatistics,
            };
        }
        catch (Exception error)
        {
            foreach (var tensor in tensors.Values)
                tensor.Dispose();
            if (error is JsonException)
                throw new UserException($"--weights {path}: its settings cannot be read: {error.Message}", error);
            throw;
        }
    }

    /// <inheritdoc/>
    public override int? Side => own?.Network.Height;

    /// <inheritdoc/>
    public override NetworkOptions Shape(NetworkOptions asked, bool isKindAsked)
    {
        if (own is null)
            return asked;
        if (isKindAsked && asked.Kind != own.Network.Kind)
            throw new UserException(
                $"--weights {path} is a {Naming.Of(own.Network.Kind)}, but --network is "
                    + $"{Naming.Of(asked.Kind)}. Omit --network, or give the same network."
            );
        // The architecture is the earlier model's; options that matter only in training are the new ones.
        return own.Network with { Dropout = asked.Dropout, StochasticDepth = asked.StochasticDepth };
    }

    /// <inheritdoc/>
    public override string LoadInto(ImageNetwork network, IReadOnlyList<string> classNames, PictureSet? pictures)
    {
        using var scope = NewDisposeScope();
        var state = network.state_dict();
        var last = state
            .First(pair =>
                ReferenceEquals(pair.Value, network.LastLayer.weight)
                || pair.Value.Handle == network.LastLayer.weight.Handle
            )
            .Key;
        string[] classifier = [last, last[..^"weight".Length] + "bias"];
        var dropped = WhyClassifierIsDropped(state, classifier, classNames);
        var wanted = state.Keys.Where(key => dropped is null || !classifier.Contains(key)).ToArray();
        // A counter that no forward pass reads; old state dicts do not have it.
        var missing = wanted
            .Where(key => !tensors.ContainsKey(key) && !key.EndsWith("num_batches_tracked", StringComparison.Ordinal))
            .ToArray();
        var surplus = tensors.Keys.Where(key => !state.ContainsKey(key)).Order(StringComparer.Ordinal).ToArray();
        if (missing.Length + surplus.Length > 0)
            throw new UserException(
                $"--weights {path} does not fit "
                    + $"{network.GetName()}:{List("missing", missing)}{List("unexpected", surplus)} expected are "
                    + $"torchvision's names, such as {string.Join(", ", wanted.Take(3))}. Give the right --network, "
                    + "or rename the tensors."
            );
        var values = wanted.Where(tensors.ContainsKey).ToArray();
        foreach (var key in values)
        {
            var value = tensors[key];
            if (!value.shape.AsSpan().SequenceEqual(state[key].shape))
                throw new UserException(
                    $"--weights {path}: {key} is [{string.Join(", ", value.shape)}], expected "
                        + $"[{string.Join(", ", state[key].shape)}]. Give the right --network."
                );
            if (value.is_floating_point() && !value.to(ScalarType.Float32).isfinite().all().ToBoolean())
                throw new UserException($"--weights {path}: {key} contains infinity or NaN.");
        }

        Set(network, values.Select(key => KeyValuePair.Create(key, tensors[key])));
        return $"Weights of {path}{(dropped is null ? "" : $"; {dropped}, so the classifier is new")}.";
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (var tensor in tensors.Values)
            tensor.Dispose();
        base.Dispose();
    }

    /// <summary>Why the file's classifier is not used; null if it is.</summary>
    /// <param name="state">The network's tensors.</param>
    /// <param name="classifier">Keys of its classifier.</param>
    /// <param name="classNames">Class names of the pictures that are trained on.</param>
    private string? WhyClassifierIsDropped(
        Dictionary<string, Tensor> state,
        string[] classifier,
        IReadOnlyList<string> classNames
    )
    {
        if (!classifier.Any(tensors.ContainsKey))
            return "it has no classifier";
        var classes = tensors.TryGetValue(classifier[0], out var weight) && weight.dim() > 0 ? weight.shape[0] : 0;
        if (classes != state[classifier[0]].shape[0])
            return $"it has {classes:N0} classes, but the pictures have {classNames.Count}";
        return own is null || own.ClassNames.SequenceEqual(classNames) ? null : "its classes have other names";
    }

    /// <summary>Formats the first keys of a list and the number of further ones.</summary>
    /// <param name="what">Description of the keys.</param>
    /// <param name="keys">All keys.</param>
    private static string List(string what, string[] keys) =>
        keys.Length == 0
            ? ""
            : $" {what} {string.Join(", ", keys.Take(Listed))}{(keys.Length > Listed ? $" and {keys.Length - Listed} more" : "")};";

    /// <summary>Refuses a pickle, because opening it runs code.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="UserException">Its first bytes or its extension are those of a pickle, or of a zip that
    /// contains one.</exception>
    private static void RefusePickle(string path)
    {
        Span<byte> start = stackalloc byte[4];
        int count;
        using (var stream = File.OpenRead(path))
            count = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        var isPickle =
            count >= 2
            && (
                (start[0] == 'P' && start[1] == 'K')
                || (start[0] == 0x80 && start[1] is >= 2 and <= 5 && (count < 4 || start[2] != 0 || start[3] != 0))
            );
        if (
            !isPickle
            && Path.GetExtension(path).ToUpperInvariant()
                is not (".PTH" or ".PT" or ".BIN" or ".PKL" or ".PICKLE" or ".CKPT")
        )
            return;
        var target = Path.ChangeExtension(path, ".safetensors");
        throw new UserException(
            $"--weights {path} is a PyTorch pickle, which runs code when it is opened, so it is not read "
                + "here. Convert it with two lines of Python:\n"
                + "  import torch, safetensors.torch\n"
                + $"  safetensors.torch.save_file({{k: v.clone() for k, v in torch.load(\"{path}\", "
                + $"map_location=\"cpu\", weights_only=True).items()}}, \"{target}\")"
        );
    }
}
