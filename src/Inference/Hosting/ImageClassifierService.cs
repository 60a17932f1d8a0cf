using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using TorchBridge.Inference.Sessions;
using TorchBridge.Onnx;

namespace TorchBridge.Inference.Hosting;

/// <summary>
/// A classifier for services: one for the whole process, loaded anew when its file's content changes, beside the
/// requests and not in one of them. A request that runs keeps the model it began with. A file that cannot be loaded,
/// cannot run, or fails its self-check is not taken, and the health check tells of it.
/// </summary>
public sealed class ImageClassifierService : IDisposable
{
    private readonly string path;
    private readonly SessionSettings? settings;
    private readonly ModelFile file;
    private readonly ITimer timer;
    private readonly Lock loading = new();
    private readonly Lock gate = new();

    /// <summary>The model that requests get; null before the first load.</summary>
    private Model? current;

    /// <summary>Whether the service has ended; it then loads nothing any more.</summary>
    private bool isDisposed;

    /// <summary>
    /// Whether the last look failed for a reason that may pass, so that the same content is tried again.
    /// </summary>
    private bool isRetryDue;

    /// <summary>Loads the model.</summary>
    /// <param name="path">A classifier's ONNX file.</param>
    /// <param name="settings">Threads and execution providers; null for the defaults.</param>
    /// <param name="clock">What says when to look at the file again; null for the system's.</param>
    /// <exception cref="InvalidDataException">The file is no classifier of ours, or it cannot run.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public ImageClassifierService(string path, SessionSettings? settings = null, TimeProvider? clock = null)
        : this(path, settings, clock, needsModel: true) { }

    /// <summary>Loads the model, or waits for it.</summary>
    /// <param name="path">A classifier's ONNX file.</param>
    /// <param name="settings">Threads and execution providers; null for the defaults.</param>
    /// <param name="clock">Says when to look at the file again; null for the system's.</param>
    /// <param name="needsModel">Whether a missing or bad model is an error now; else the service begins without
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
            // What fails its self-check here is taken all the same: there is nothing better, and the health check
            // says so.
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

    /// <summary>How often the file is looked at: once a second.</summary>
    public static TimeSpan CheckInterval { get; } = TimeSpan.FromSeconds(1);

    /// <summary>How often the model was replaced since the service began.</summary>
    public int Reloads { get; private set; }

    /// <summary>Why the last change of the file was not taken; null where it was.</summary>
    public string? ReloadError { get; private set; }

    /// <summary>Why there is no model; null where there is one.</summary>
    internal Exception? LoadError { get; private set; }

    /// <summary>Classifies an encoded picture from a stream.</summary>
    /// <param name="encoded">The stream; it stays open.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <returns>Label, probabilities and logits.</returns>
    /// <exception cref="Pictures.InvalidPictureException">It is no picture, or ends too early.</exception>
    /// <exception cref="ModelUnavailableException">There is no model yet.</exception>
    public Prediction Classify(Stream encoded, string name = "the picture") =>
        Use(classifier => classifier.Classify(encoded, name));

    /// <summary>Classifies a picture file.</summary>
    /// <param name="file">JPEG, PNG, BMP or WebP of any size.</param>
    /// <returns>Label, probabilities and logits.</returns>
    /// <exception cref="Pictures.InvalidPictureException">The file is no picture, or ends too early.</exception>
    /// <exception cref="ModelUnavailableException">There is no model yet.</exception>
    public Prediction Classify(string file) => Use(classifier => classifier.Classify(file));

    /// <summary>Classifies a picture in memory.</summary>
    /// <param name="picture">Picture of any size.</param>
    /// <returns>Label, probabilities and logits.</returns>
    /// <exception cref="ModelUnavailableException">There is no model yet.</exception>
    public Prediction Classify(MLImage picture) => Use(classifier => classifier.Classify(picture));

    /// <summary>Works with the model of now; it lives at least as long as the work.</summary>
    /// <typeparam name="T">What the work gives.</typeparam>
    /// <param name="work">What to do; it must not keep the classifier.</param>
    /// <returns>What <paramref name="work"/> gave.</returns>
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

    /// <summary>Looks at the file now, rather than at the next interval, and takes it if it has changed and is
    /// good.</summary>
    /// <returns>Whether it was taken; <see cref="ReloadError"/> says why not.</returns>
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
                // Whatever it is, the model of now goes on: this runs on a timer, where nobody would catch it.
                isRetryDue = IsPassing(error);
                ReloadError = $"{path} has changed and cannot be taken: {error.Message}";
                if (current is null)
                    LoadError = error;
                return false;
            }
        }
    }

    /// <summary>Ends it: waits for the requests that run; those that come later get an <see cref="ObjectDisposedException"/>.</summary>
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

    /// <summary>A large model may take longer to load than the timer waits.</summary>
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

    /// <summary>Loads, checks and takes the file where its content is another one.</summary>
    private bool TakeIfChanged()
    {
        if (!isRetryDue && !file.HasChanged())
            return false;
        var onnx = file.Read();
        isRetryDue = false;
        if (current is not null && file.IsTaken)
        {
            ReloadError = null; // what is in use is there again
            return false;
        }

        Take(Load(onnx, mustPass: true));
        file.Take();
        return true;
    }

    /// <summary>Enters the model of now; who calls must leave it.</summary>
    private Model Take()
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(isDisposed, this);
            // In the gate, no model is retired before it is replaced here.
            if (current is { } model && model.Lifetime.TryEnter())
                return model;
            throw new ModelUnavailableException(
                $"there is no model to classify with: {LoadError?.Message}",
                LoadError!
            );
        }
    }

    /// <summary>Puts a model into use; the one before it is freed when its last request is done.</summary>
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
        old?.Lifetime.Retire(); // freed when the last request that has it is done
    }

    /// <summary>
    /// Loads and tries out a model; one that computes something else here is refused where it must pass.
    /// </summary>
    /// <param name="onnx">The file's content.</param>
    /// <param name="mustPass">Whether a failed self-check refuses the model.</param>
    private ImageClassifier Load(byte[] onnx, bool mustPass)
    {
        var classifier = ImageClassifier.Load(onnx, path, settings);
        try
        {
            if (classifier.TryOut() is { Passed: false } check && mustPass)
                throw new InvalidDataException($"{path} computes something else here: {Describe(check)}");
            return classifier;
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }

    /// <summary>A self-check as the health check says it.</summary>
    /// <param name="check">What the self-check found.</param>
    internal static string Describe(SelfCheckResult check) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{check.Agree} of {check.Pictures} pictures agree, largest difference "
                + $"{Numbers.Short(check.LargestDifference)}, allowed {Numbers.Short(check.Tolerance)}"
        );

    /// <summary>
    /// Whether a service may begin without a model after this error: a file that is not there yet, half-copied, or
    /// wrong.
    /// </summary>
    /// <param name="error">What loading threw.</param>
    private static bool IsTheFilesFault(Exception error) =>
        error
            is IOException
                or InvalidDataException
                or UnauthorizedAccessException
                or OnnxRuntimeException
                or OutOfMemoryException;

    /// <summary>
    /// Whether the same file may be good the next time: a lock or a lack of memory passes, damage does not.
    /// </summary>
    /// <param name="error">What loading threw.</param>
    private static bool IsPassing(Exception error) => error is not InvalidDataException;

    /// <summary>A classifier and who uses it.</summary>
    private sealed class Model
    {
        /// <summary>Takes a classifier over.</summary>
        /// <param name="classifier">It is disposed when the last request has given it back.</param>
        public Model(ImageClassifier classifier)
        {
            Classifier = classifier;
            Lifetime = new Lifetime(nameof(ImageClassifierService), classifier.Dispose);
        }

        /// <summary>What requests classify with.</summary>
        public ImageClassifier Classifier { get; }

        /// <summary>Who uses it still.</summary>
        public Lifetime Lifetime { get; }
    }
}
