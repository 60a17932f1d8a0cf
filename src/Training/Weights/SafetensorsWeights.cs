using System.Text.Json;
using TorchBridge.Onnx.Contract;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Weights;

/// <summary>Weights of a safetensors file: torchvision's or timm's names, or a model of this program.</summary>
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
    /// <exception cref="UserException">It is missing, broken, a pickle, or something else.</exception>
    public static new SafetensorsWeights Open(string path)
    {
        if (Directory.Exists(path))
            throw new UserException($"--weights {path} is a folder. Name the safetensors file in it.");
        if (!File.Exists(path))
            throw new UserException($"--weights {path} is not there. Give `imagenet`, or a safetensors file.");
        RefusePickle(path);
        var (tensors, metadata) = Safetensors.Read(path);
        try
        {
            if (metadata.ContainsKey(MetadataKeys.Checkpoint))
                throw new UserException(
                    $"--weights {path} is an unfinished run. `train --resume` goes on with it; its best "
                        + "weights are in the .safetensors file beside it."
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
                $"--weights {path} is a {Naming.Of(own.Network.Kind)}; --network is "
                    + $"{Naming.Of(asked.Kind)}. Leave --network out, or name the same."
            );
        // The shape is the earlier model's; what only matters while training is asked for anew.
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
        // A counter that no forward pass reads; old state dicts have none.
        var missing = wanted
            .Where(key => !tensors.ContainsKey(key) && !key.EndsWith("num_batches_tracked", StringComparison.Ordinal))
            .ToArray();
        var surplus = tensors.Keys.Where(key => !state.ContainsKey(key)).Order(StringComparer.Ordinal).ToArray();
        if (missing.Length + surplus.Length > 0)
            throw new UserException(
                $"--weights {path} does not fit "
                    + $"{network.GetName()}:{List("missing", missing)}{List("surplus", surplus)}. Expected are "
                    + $"torchvision's names, as {string.Join(", ", wanted.Take(3))}. Name the right --network, "
                    + "or rename the tensors."
            );
        var values = wanted.Where(tensors.ContainsKey).ToArray();
        foreach (var key in values)
        {
            var value = tensors[key];
            if (!value.shape.AsSpan().SequenceEqual(state[key].shape))
                throw new UserException(
                    $"--weights {path}: {key} is [{string.Join(", ", value.shape)}], expected "
                        + $"[{string.Join(", ", state[key].shape)}]. Name the right --network."
                );
            if (value.is_floating_point() && !value.to(ScalarType.Float32).isfinite().all().ToBoolean())
                throw new UserException($"--weights {path}: {key} holds infinity or NaN.");
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

    /// <summary>Why the file's classifier is not taken over; null where it is.</summary>
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
            return $"it tells {classes:N0} classes apart, the pictures have {classNames.Count}";
        return own is null || own.ClassNames.SequenceEqual(classNames) ? null : "its classes have other names";
    }

    /// <summary>The first keys of a list, and how many more there are.</summary>
    /// <param name="what">What they are.</param>
    /// <param name="keys">All of them.</param>
    private static string List(string what, string[] keys) =>
        keys.Length == 0
            ? ""
            : $" {what} {string.Join(", ", keys.Take(Listed))}{(keys.Length > Listed ? $" and {keys.Length - Listed} more" : "")};";

    /// <summary>A pickle is a program: opening it runs it.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="UserException">Its first bytes or its ending are a pickle's, or those of a zip that holds one.</exception>
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
            $"--weights {path} is a PyTorch pickle, which runs code when it is opened; it is not read "
                + "here. Two lines of Python convert it:\n"
                + "  import torch, safetensors.torch\n"
                + $"  safetensors.torch.save_file({{k: v.clone() for k, v in torch.load(\"{path}\", "
                + $"map_location=\"cpu\", weights_only=True).items()}}, \"{target}\")"
        );
    }
}
