using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using TorchBridge.Inference.Sessions;
using TorchBridge.Onnx;

namespace TorchBridge.Inference.Hosting;

/// <summary>
/// A classifier for services: a single instance per process that reloads its model in the background when the content
/// of the file changes. A running request keeps the model it started with. A file that cannot be loaded, cannot run
/// or fails its self-check is rejected, and the health check reports it.
/// </summary>
public sealed class ImageClassifierService : IDisposable
{
    private readonly string path;
    private readonly SessionSettings? settings;
    private readonly ModelFile file;
    private readonly ITimer timer;
    private readonly Lock loading = new();
    private readonly Lock gate = new();

    /// <summary>The model in use; null before the first load.</summary>
    private Model? current;

    /// <summary>Whether the service has been disposed and no longer loads models.</summary>
    private bool isDisposed;

    /// <summary>
    /// Whether the last check failed for a transient reason, so that the same content is tried again.
    /// </summary>
    private bool isRetryDue;

    /// <summary>Loads the model.</summary>
    /// <param name="path">A classifier's ONNX file.</param>
    /// <param name="settings">Threads and execution providers; null for the defaults.</param>
    /// <param name="clock">Time provider for the interval between checks of the file; null for the system's.</param>
    /// <exception cref="InvalidDataException">The file is not a TorchBridge classifier, or it cannot run.</exception>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    public ImageClassifierService(string path, SessionSettings? settings = null, TimeProvider? clock = null)
        : this(path, settings, clock, needsModel: true) { }

    /// <summary>Loads the model now or once its file appears.</summary>
    /// <param name="path">A classifier's ONNX file.</param>
    /// <param name="settings">Threads and execution providers; null for the defaults.</param>
    /// <param name="clock">Time provider for the interval between checks of the file; null for the system's.</param>
    /// <param name="needsModel">Whether a missing or invalid model throws; otherwise the service starts without
    /// one.</param>
    internal ImageClassifierService(string path, SessionSettings? settings, TimeProvider? clock, bool needsModel)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        this.path = path;
        this.settings = settings;
        clock ??= TimeProvider.System;
        file = new ModelFile(path, clock);
        try
        {
            // The first model is used even if it fails its self-check: there is no other one, and the health check
            // reports it.
            current = new Model(Load(file.Read(), mustPass: false));
            file.Take();
        }
        catch (Exception error) when (!needsModel && IsTheFilesFault(error))
        {
            LoadError = error;
            isRetryDue = IsPassing(error);
        }

        timer = clock.CreateTimer(_ => RefreshUnlessBusy(), null, CheckInterval, CheckInterval);
    }

    /// <summary>Interval between checks of the file: one second.</summary>
    public static TimeSpan CheckInterval { get; } = TimeSpan.FromSeconds(1);

    /// <summary>How often the model has been replaced since the service started.</summary>
    public int Reloads { get; private set; }

    /// <summary>Why the last change of the file was rejected; null if it was accepted.</summary>
    public string? ReloadError { get; private set; }

    /// <summary>Why there is no model; null if there is one.</summary>
    internal Exception? LoadError { get; private set; }

    /// <summary>Classifies an encoded picture from a stream.</summary>
    /// <param name="encoded">The stream, which stays open.</param>
    /// <param name="name">Name of the picture in error messages.</param>
    /// <returns>Label, probabilities and logits.</returns>
    /// <exception cref="Pictures.InvalidPictureException">The stream is not a picture or is truncated.</exception>
    /// <exception cref="ModelUnavailableException">There is no model yet.</exception>
    public Prediction Classify(Stream encoded, string name = "the picture") =>
        Use(classifier => classifier.Classify(encoded, name));

    /// <summary>Classifies a picture file.</summary>
    /// <param name="file">JPEG, PNG, BMP or WebP of any size.</param>
    /// <returns>Label, probabilities and logits.</returns>
    /// <exception cref="Pictures.InvalidPictureException">The file is not a picture or is truncated.</exception>
    /// <exception cref="ModelUnavailableException">There is no model yet.</exception>
    public Prediction Classify(string file) => Use(classifier => classifier.Classify(file));

    /// <summary>Classifies a picture in memory.</summary>
    /// <param name="picture">Picture of any size.</param>
    /// <returns>Label, probabilities and logits.</returns>
    /// <exception cref="ModelUnavailableException">There is no model yet.</exception>
    public Prediction Classify(MLImage picture) => Use(classifier => classifier.Classify(picture));

    /// <summary>Runs a delegate with the current model, which is kept alive until the delegate returns.</summary>
    /// <typeparam name="T">Type of the result.</typeparam>
    /// <param name="work">The delegate; it must not keep the classifier.</param>
    /// <returns>The result of <paramref name="work"/>.</returns>
    /// <exception cref="ModelUnavailableException">There is no model yet.</exception>
    /// <exception cref="ObjectDisposedException">The service has been disposed.</exception>
    public T Use<T>(Func<ImageClassifier, T> work)
    {
        ArgumentNullException.ThrowIfNull(work);
        var model = Take();
        try
        {
            return work(model.Classifier);
        }
        finally
        {
            model.Lifetime.Leave();
        }
    }

    /// <summary>Checks the file now instead of at the next interval, and loads it if it has changed and is
    /// valid.</summary>
    /// <returns>Whether a new model was loaded; if not because of an error, <see cref="ReloadError"/> says
    /// why.</returns>
    public bool Refresh()
    {
        lock (loading)
        {
            if (isDisposed)
                return false;
            try
            {
                return TakeIfChanged();
            }
            catch (Exception error)
            {
                // Whatever the error, the current model stays in use: this runs on a timer, where no caller could
                // catch it.
                isRetryDue = IsPassing(error);
                ReloadError = $"{path} has changed but cannot be used: {error.Message}";
                if (current is null)
                    LoadError = error;
                return false;
            }
        }
    }

    /// <summary>Disposes the service after waiting for running requests; later requests get an <see
    /// cref="ObjectDisposedException"/>.</summary>
    public void Dispose()
    {
        timer.Dispose();
        lock (loading)
        {
            lock (gate)
                isDisposed = true;
        }

        current?.Lifetime.Close();
    }

    /// <summary>Checks the file unless a check is running: a large model may take longer to load than the timer's
    /// interval.</summary>
    private void RefreshUnlessBusy()
    {
        if (!loading.TryEnter())
            return;
        try
        {
            Refresh();
        }
        finally
        {
            loading.Exit();
        }
    }

    /// <summary>Loads, checks and uses the file if its content has changed.</summary>
    private bool TakeIfChanged()
    {
        if (!isRetryDue && !file.HasChanged())
            return false;
        var onnx = file.Read();
        isRetryDue = false;
        if (current is not null && file.IsTaken)
        {
            ReloadError = null; // the file holds the model in use again
            return false;
        }

        Take(Load(onnx, mustPass: true));
        file.Take();
        return true;
    }

    /// <summary>Enters the current model; the caller must leave it.</summary>
    private Model Take()
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(isDisposed, this);
            // Under the lock, no model is retired before it is replaced here.
            if (current is { } model && model.Lifetime.TryEnter())
                return model;
            throw new ModelUnavailableException($"no model is loaded: {LoadError?.Message}", LoadError!);
        }
    }

    /// <summary>Puts a model into use; the previous one is freed when its last request has finished.</summary>
    /// <param name="fresh">A model that has passed its check.</param>
    private void Take(ImageClassifier fresh)
    {
        Model? old;
        lock (gate)
        {
            old = current;
            current = new Model(fresh);
        }

        if (old is not null)
            Reloads++;
        ReloadError = null;
        LoadError = null;
        old?.Lifetime.Retire(); // freed when its last request has finished
    }

    /// <summary>
    /// Loads a model and tries it out; a failed self-check is refused if the model must pass.
    /// </summary>
    /// <param name="onnx">Content of the file.</param>
    /// <param name="mustPass">Whether a failed self-check refuses the model.</param>
    private ImageClassifier Load(byte[] onnx, bool mustPass)
    {
        var classifier = ImageClassifier.Load(onnx, path, settings);
        try
        {
            if (classifier.TryOut() is { Passed: false } check && mustPass)
                throw new InvalidDataException(
                    $"{path} computes different results on this machine than where it "
                        + $"was exported: {Describe(check)}"
                );
            return classifier;
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }

    /// <summary>Describes a self-check for the health check.</summary>
    /// <param name="check">Result of the self-check.</param>
    internal static string Describe(SelfCheckResult check) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{check.Agree} of {check.Pictures} pictures agree, largest difference "
                + $"{Numbers.Short(check.LargestDifference)}, allowed {Numbers.Short(check.Tolerance)}"
        );

    /// <summary>
    /// Whether a service may start without a model after this error: the file is missing, incomplete or invalid.
    /// </summary>
    /// <param name="error">The exception thrown by loading.</param>
    private static bool IsTheFilesFault(Exception error) =>
        error
            is IOException
                or InvalidDataException
                or UnauthorizedAccessException
                or OnnxRuntimeException
                or OutOfMemoryException;

    /// <summary>
    /// Whether the same file may load on the next attempt: a lock or a lack of memory is transient, a damaged file is
    /// not.
    /// </summary>
    /// <param name="error">The exception thrown by loading.</param>
    private static bool IsPassing(Exception error) => error is not InvalidDataException;

    /// <summary>A classifier and its users.</summary>
    private sealed class Model
    {
        /// <summary>Takes ownership of a classifier.</summary>
        /// <param name="classifier">The classifier, disposed when the last request has released it.</param>
        public Model(ImageClassifier classifier)
        {
            Classifier = classifier;
            Lifetime = new Lifetime(nameof(ImageClassifierService), classifier.Dispose);
        }

        /// <summary>The classifier.</summary>
        public ImageClassifier Classifier { get; }

        /// <summary>Tracks the requests that still use it.</summary>
        public Lifetime Lifetime { get; }
    }
}
