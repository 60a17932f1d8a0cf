using System.Security.Cryptography;
using System.Text;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>Computes features of pictures in eval mode, and caches them under a hash of everything that determines
/// them.</summary>
internal sealed class FeatureExtraction(TrainedModel model, ITrainingObserver observer, CancellationToken stop)
{
    private const string Tensor = "features";
    private const long CacheBytes = 512L << 20;

    // The maps of more would be no faster, and glibc's heap grows to several times their size.
    private const long PixelsOfABatch = 1_000_000;

    /// <summary>Features [views, N, features], float32: the first view is the unchanged picture, the others are
    /// augmented. The caller disposes the tensor.</summary>
    /// <param name="set">The pictures.</param>
    /// <param name="views">Number of views of each picture.</param>
    /// <param name="augmentation">Augmentation of all views but the first.</param>
    /// <param name="compute">Precision of the backbone: that of training, or float32 for evaluation.</param>
    public Tensor Of(PictureSet set, int views, AugmentationOptions augmentation, ScalarType compute)
    {
        var cache = new CacheFolder("features", CacheBytes);
        var key = KeyOf(set, views, augmentation, compute);
        if (cache.Find(key) is { } file && Read(file) is { } found)
        {
            observer.Note(
                FormattableString.Invariant($"features of {views} x {set.Count:N0} pictures: read from the cache")
            );
            return found;
        }

        var features = Compute(set, views, augmentation, compute);
        cache.Add(key, path =>
            Safetensors.Write(
                path,
                new Dictionary<string, Tensor> { [Tensor] = features },
                new Dictionary<string, string>()
            )
        );
        return features;
    }

    private Tensor Compute(PictureSet set, int views, AugmentationOptions augmentation, ScalarType compute)
    {
        var batchSize = (int)Math.Clamp(PixelsOfABatch / ((long)set.Height * set.Width), 8, 250);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        model.Classifier.eval();
        // One block for all: small tensors that stay, one a batch, would lie between the large ones that come and go,
        // and glibc's heap would grow with the number of pictures.
        Tensor? features = null;
        for (var view = 0; view < views; view++)
        {
            var done = 0;
            foreach (
                var batch in BatchLoader.View(
                    set,
                    batchSize,
                    view == 0 ? AugmentationOptions.None : augmentation,
                    model.Settings.Seed,
                    view,
                    stop
                )
            )
            {
                using var step = NewDisposeScope();
                using (batch)
                {
                    stop.ThrowIfCancellationRequested();
                    var rows = model.Classifier.Features(batch.Pixels.to(model.Classifier.Device), compute);
                    features ??= empty([views, set.Count, rows.shape[1]], float32).MoveToOuterDisposeScope();
                    features[view].narrow(0, done, rows.shape[0]).copy_(rows);
                    done += (int)rows.shape[0];
                    observer.Features(view, views, done, set.Count);
                }
            }
        }

        return features?.DetachFromDisposeScope()
            ?? throw new InvalidOperationException("A set without pictures has no features.");
    }

    /// <summary>SHA-256 of weights, normalization, pictures, augmentation, seed and views.</summary>
    private string KeyOf(PictureSet set, int views, AugmentationOptions augmentation, ScalarType compute)
    {
        using var scope = NewDisposeScope();
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var settings = model.Settings;
        hash.AppendData(
            Encoding.UTF8.GetBytes(
                Json.Text(
                    new
                    {
                        Features = 2,
                        settings.Network.Kind,
                        set.Height,
                        set.Width,
                        views,
                        augmentation,
                        compute,
                        Seed = views == 1 ? 0 : settings.Seed,
                        settings.Statistics,
                        settings.Compute.Device,
                    }
                )
            )
        );
        var head = model.Network.Stages[^1] + ".";
        foreach (
            var (name, value) in model
                .Network.state_dict()
                .Where(pair => !pair.Key.StartsWith(head, StringComparison.Ordinal))
                .OrderBy(pair => pair.Key, StringComparer.Ordinal)
        )
        {
            hash.AppendData(Encoding.UTF8.GetBytes(name));
            hash.AppendData(value.detach().cpu().contiguous().bytes);
        }

        byte[]? buffer = null;
        for (var i = 0; i < set.Count; i++)
            hash.AppendData(set.Picture(i, ref buffer));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Reads a cached file; null if it is damaged, so that it is computed again.</summary>
    /// <param name="path">A file in the cache.</param>
    private static Tensor? Read(string path)
    {
        try
        {
            return Safetensors.Read(path).Tensors.GetValueOrDefault(Tensor);
        }
        catch (UserException)
        {
            return null;
        }
    }
}
