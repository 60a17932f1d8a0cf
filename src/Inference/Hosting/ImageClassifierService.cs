using Microsoft.ML.Data;

namespace TorchBridge.Inference.Hosting;

/// <summary>
/// A classifier for services: one for the whole process, loaded anew when its file changes. A request that runs keeps the model it began with; a file that
/// cannot be loaded is left alone, and the health check tells of it.
/// </summary>
public sealed class ImageClassifierService : IDisposable
{
    private readonly string path;
    private readonly SessionSettings? settings;
    private readonly TimeProvider clock;
    private readonly Lock gate = new();
    private Lease current;
    private (DateTime Written, long Length) stamp;
    private long checkedAt;

    /// <summary>Loads the model.</summary>
    /// <param name="path">A classifier's ONNX file.</param>
    /// <param name="settings">Threads and execution providers; null for the defaults.</param>
    /// <param name="clock">What says when to look at the file again; null for the system's.</param>
    /// <exception cref="InvalidDataException">The file is no classifier of ours.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public ImageClassifierService(string path, SessionSettings? settings = null, TimeProvider? clock = null)
    {
        (this.path, this.settings, this.clock) = (path, settings, clock ?? TimeProvider.System);
        current = new Lease(ImageClassifier.Load(path, settings));
        stamp = StampOf(path);
        checkedAt = this.clock.GetTimestamp();
    }

    /// <summary>How often the file is looked at, at most.</summary>
    public static TimeSpan CheckInterval { get; } = TimeSpan.FromSeconds(1);

    /// <summary>How often the model was loaded anew.</summary>
    public int Reloads { get; private set; }

    /// <summary>Why the last change of the file was not taken; null where it was.</summary>
    public string? ReloadError { get; private set; }

    /// <summary>Classifies an encoded picture from a stream.</summary>
    /// <param name="encoded">The stream; it stays open.</param>
    /// <param name="name">What to call it in an error.</param>
    public Prediction Classify(Stream encoded, string name = "the picture") => Use(classifier => classifier.Classify(encoded, name));

    /// <summary>Classifies a picture file.</summary>
    /// <param name="file">JPEG, PNG, BMP or WebP of any size.</param>
    public Prediction Classify(string file) => Use(classifier => classifier.Classify(file));

    /// <summary>Classifies a picture in memory.</summary>
    /// <param name="picture">Of any size.</param>
    public Prediction Classify(MLImage picture) => Use(classifier => classifier.Classify(picture));

    /// <summary>Works with the model of now; it lives at least as long as the work.</summary>
    /// <param name="work">What to do; it must not keep the classifier.</param>
    public T Use<T>(Func<ImageClassifier, T> work)
    {
        ArgumentNullException.ThrowIfNull(work);
        var lease = Take();
        try
        {
            return work(lease.Classifier);
        }
        finally
        {
            lease.Return();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (gate) current.Return();
    }

    private Lease Take()
    {
        lock (gate)
        {
            if (clock.GetElapsedTime(checkedAt) >= CheckInterval)
            {
                checkedAt = clock.GetTimestamp();
                ReloadIfChanged();
            }

            current.Add();
            return current;
        }
    }

    private void ReloadIfChanged()
    {
        try
        {
            var now = StampOf(path);
            if (now == stamp) return;
            var fresh = new Lease(ImageClassifier.Load(path, settings));
            current.Return(); // disposed when the last request that has it is done
            (current, stamp, ReloadError) = (fresh, now, null);
            Reloads++;
        }
        catch (Exception error) when (error is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            // Half-written, perhaps: it is looked at again after the next interval.
            ReloadError = $"{path} has changed and cannot be loaded: {error.Message}";
        }
    }

    private static (DateTime, long) StampOf(string path)
    {
        var info = new FileInfo(path);
        return info.Exists ? (info.LastWriteTimeUtc, info.Length) : throw new FileNotFoundException($"there is no model at {path}", path);
    }

    /// <summary>A classifier with the number of those who use it; the service itself is one.</summary>
    private sealed class Lease(ImageClassifier classifier)
    {
        private int users = 1;

        public ImageClassifier Classifier => classifier;

        public void Add() => Interlocked.Increment(ref users);

        public void Return()
        {
            if (Interlocked.Decrement(ref users) == 0) classifier.Dispose();
        }
    }
}
