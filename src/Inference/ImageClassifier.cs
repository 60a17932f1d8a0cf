using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Threading.Channels;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using TorchBridge.Inference.Pictures;
using TorchBridge.Inference.Sessions;
using TorchBridge.Onnx.Compare;
using TorchBridge.Onnx.Contract;

namespace TorchBridge.Inference;

/// <summary>
/// Classifies pictures with an exported ONNX file. Neither an ML.NET pipeline nor libtorch is needed. All members are
/// thread-safe. <see cref="Dispose"/> waits for running calls; later calls get an <see
/// cref="ObjectDisposedException"/>.
/// </summary>
public sealed class ImageClassifier : IDisposable
{
    private const int DefaultBatch = 32;

    /// <summary>The only input, as an array of names.</summary>
    private static readonly string[] InputNames = [ModelNames.Pixels];

    /// <summary>The two outputs to read.</summary>
    private static readonly string[] OutputNames = [ModelNames.Logits, ModelNames.Probabilities];
    private readonly ModelSession session;
    private readonly string name;
    private readonly int threads;
    private volatile bool runsOneByOne;

    private ImageClassifier(ModelSession session, ModelCard card, SelfCheck? check, string name, int threads)
    {
        this.session = session;
        this.threads = threads;
        this.name = name;
        Card = card;
        SelfCheck = check;
        runsOneByOne = ClassifierGraph.TakesOnePicture(session, card, name);
    }

    /// <summary>Names of the classes, in the order of the probabilities.</summary>
    public IReadOnlyList<string> ClassNames => Card.ClassNames;

    /// <summary>Picture width that the model expects, in pixels.</summary>
    public int Width => Card.Width;

    /// <summary>Picture height that the model expects, in pixels.</summary>
    public int Height => Card.Height;

    /// <summary>The model's metadata.</summary>
    public ModelCard Card { get; }

    /// <summary>The self-check in the model, pictures with their expected logits; null if it contains none.</summary>
    public SelfCheck? SelfCheck { get; }

    /// <summary>Whether the network accepts only one picture at a time; several are then run one after
    /// another.</summary>
    internal bool RunsOneByOne => runsOneByOne;

    /// <summary>Number of values per picture: 3 x height x width.</summary>
    private int Stride => Card.Stride;

    /// <summary>Loads a classifier.</summary>
    /// <param name="path">An ONNX file written by the training program.</param>
    /// <param name="settings">Threads and execution providers; null for the defaults.</param>
    /// <returns>A classifier that owns an ONNX Runtime session; dispose it.</returns>
    /// <exception cref="InvalidDataException">The file is not an ONNX model or not a TorchBridge classifier, or its
    /// metadata do not match its graph.</exception>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="NotSupportedException">The program uses SkiaSharp 3.</exception>
    public static ImageClassifier Load(string path, SessionSettings? settings = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        return Load(SessionSettings.ReadModel(path), path, settings);
    }

    /// <summary>Loads a classifier from a file's bytes.</summary>
    /// <param name="onnx">The bytes of the file.</param>
    /// <param name="name">Name used in error messages.</param>
    /// <param name="settings">Threads and execution providers; null for the defaults.</param>
    /// <returns>A classifier that owns an ONNX Runtime session; dispose it.</returns>
    /// <exception cref="InvalidDataException">The bytes are not an ONNX model or not a TorchBridge classifier, or the
    /// metadata do not match the graph.</exception>
    /// <exception cref="NotSupportedException">The program uses SkiaSharp 3.</exception>
    public static ImageClassifier Load(byte[] onnx, string name, SessionSettings? settings = null)
    {
        ArgumentNullException.ThrowIfNull(onnx);
        ArgumentNullException.ThrowIfNull(name);
        SkiaVersion.Check();
        settings ??= new SessionSettings();
        var session = settings.Open(onnx, name, nameof(ImageClassifier));
        try
        {
            var metadata = ModelMetadata.Read(onnx, name);
            var card = ModelCard.Read(metadata, name);
            return new ImageClassifier(
                session,
                card,
                TorchBridge.Inference.SelfCheck.Read(metadata, card, name),
                name,
                settings.ThreadCount
            );
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>Classifies a picture file.</summary>
    /// <param name="path">JPEG, PNG, BMP or WebP of any size.</param>
    /// <returns>Label, probabilities and logits.</returns>
    /// <exception cref="InvalidPictureException">The file is not a picture or is truncated.</exception>
    /// <exception cref="InvalidDataException">The network cannot run.</exception>
    /// <exception cref="ObjectDisposedException">The classifier has been disposed.</exception>
    public Prediction Classify(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return ClassifyOne(planes => PictureReader.ReadFile(path, Width, Height, planes, Card.Reading));
    }

    /// <summary>Classifies an encoded picture.</summary>
    /// <param name="encoded">The bytes of a JPEG, PNG, BMP or WebP file.</param>
    /// <param name="name">Name used in error messages.</param>
    /// <returns>Label, probabilities and logits.</returns>
    /// <exception cref="InvalidPictureException">The data are not a picture or are truncated.</exception>
    /// <exception cref="InvalidDataException">The network cannot run.</exception>
    /// <exception cref="ObjectDisposedException">The classifier has been disposed.</exception>
    public Prediction Classify(byte[] encoded, string name = "the picture")
    {
        ArgumentNullException.ThrowIfNull(encoded);
        return ClassifyOne(planes => PictureReader.Read(encoded, name, Width, Height, planes, Card.Reading));
    }

    /// <summary>Classifies an encoded picture that is read to the end of a stream.</summary>
    /// <param name="encoded">The stream, which stays open.</param>
    /// <param name="name">Name used in error messages.</param>
    /// <returns>Label, probabilities and logits.</returns>
    /// <exception cref="InvalidPictureException">The data are not a picture or are truncated.</exception>
    /// <exception cref="InvalidDataException">The network cannot run.</exception>
    /// <exception cref="ObjectDisposedException">The classifier has been disposed.</exception>
    public Prediction Classify(Stream encoded, string name = "the picture")
    {
        ArgumentNullException.ThrowIfNull(encoded);
        return Classify(EncodedBytes.Read(encoded, name), name);
    }

    /// <summary>Classifies a picture in memory.</summary>
    /// <param name="picture">Picture of any size, 32 bits per pixel, in BGRA or RGBA order.</param>
    /// <returns>Label, probabilities and logits.</returns>
    /// <exception cref="InvalidDataException">The network cannot run.</exception>
    /// <exception cref="InvalidPictureException">The picture has another pixel format.</exception>
    /// <exception cref="ObjectDisposedException">The classifier has been disposed.</exception>
    public Prediction Classify(MLImage picture)
    {
        ArgumentNullException.ThrowIfNull(picture);
        return ClassifyOne(planes => PictureReader.Read(picture, Width, Height, planes, Card.Reading));
    }

    /// <summary>Classifies a picture file on a thread-pool thread.</summary>
    /// <param name="path">JPEG, PNG, BMP or WebP of any size.</param>
    /// <param name="stop">Cancels the work before it has started.</param>
    /// <returns>Label, probabilities and logits.</returns>
    /// <exception cref="InvalidPictureException">The file is not a picture or is truncated.</exception>
    /// <exception cref="InvalidDataException">The network cannot run.</exception>
    /// <exception cref="ObjectDisposedException">The classifier has been disposed.</exception>
    public Task<Prediction> ClassifyAsync(string path, CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(path);
        return Task.Run(() => Classify(path), stop);
    }

    /// <summary>Classifies picture files in order, in batches that are decoded on all cores. Predictions of the files
    /// before an invalid one are returned before its exception is thrown.</summary>
    /// <param name="paths">Picture files, enumerated on demand.</param>
    /// <param name="batchSize">Number of pictures scored at once, at least 1.</param>
    /// <returns>One prediction per path, lazily.</returns>
    /// <exception cref="InvalidPictureException">A file is not a picture or is truncated.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="batchSize"/> is below 1.</exception>
    /// <exception cref="InvalidDataException">The network cannot run.</exception>
    public IEnumerable<Prediction> ClassifyBatch(IEnumerable<string> paths, int batchSize = DefaultBatch)
    {
        ArgumentNullException.ThrowIfNull(paths);
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        return Chunks();

        IEnumerable<Prediction> Chunks()
        {
            foreach (var chunk in paths.Chunk(batchSize))
            {
                var (predictions, error) = ClassifyChunk(chunk);
                foreach (var prediction in predictions)
                    yield return prediction;
                error?.Throw();
            }
        }
    }

    /// <summary>
    /// Classifies picture files as they arrive, in batches and in order. At most a few batches are processed ahead of
    /// the reader.
    /// </summary>
    /// <param name="paths">Picture files.</param>
    /// <param name="batchSize">Number of pictures scored at once, at least 1.</param>
    /// <param name="stop">Cancels the stream.</param>
    /// <returns>One prediction per path, in the same order.</returns>
    /// <exception cref="InvalidPictureException">A file is not a picture or is truncated; the predictions before it
    /// have been returned.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="stop"/> was cancelled.</exception>
    /// <exception cref="InvalidDataException">The network cannot run.</exception>
    public IAsyncEnumerable<Prediction> ClassifyAsync(
        IAsyncEnumerable<string> paths,
        int batchSize = DefaultBatch,
        CancellationToken stop = default
    )
    {
        ArgumentNullException.ThrowIfNull(paths);
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        return Stream(paths, batchSize, stop);
    }

    /// <summary>Classifies decoded pictures.</summary>
    /// <param name="planes">count x 3 x height x width bytes: the red, green and blue plane of the first picture,
    /// then those of the next.</param>
    /// <param name="count">Number of pictures.</param>
    /// <returns>One prediction per picture, in the same order.</returns>
    /// <exception cref="InvalidDataException">The network cannot run.</exception>
    /// <exception cref="ArgumentException">The number of bytes does not match.</exception>
    /// <exception cref="ObjectDisposedException">The classifier has been disposed.</exception>
    public Prediction[] ClassifyPlanes(ReadOnlySpan<byte> planes, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        if (planes.Length != (long)count * Stride)
            throw new ArgumentException(
                $"the planes have {planes.Length} bytes; expected are {count} x 3 x {Height} x {Width}",
                nameof(planes)
            );
        if (count == 0)
            return [];
        var pixels = ArrayPool<float>.Shared.Rent(planes.Length);
        try
        {
            for (var index = 0; index < planes.Length; index++)
                pixels[index] = planes[index];
            var classes = ClassNames.Count;
            var logits = new float[count * classes];
            var probabilities = new float[count * classes];
            Run(pixels.AsMemory(0, planes.Length), count, logits, probabilities);
            var predictions = new Prediction[count];
            for (var index = 0; index < count; index++)
            {
                var row = logits.AsMemory(index * classes, classes);
                predictions[index] = new Prediction(
                    LabelOf(row.Span),
                    probabilities[(index * classes)..((index + 1) * classes)],
                    row.ToArray()
                );
            }

            return predictions;
        }
        finally
        {
            ArrayPool<float>.Shared.Return(pixels);
        }
    }

    /// <summary>
    /// Runs the self-check: classifies the pictures in the model and compares the logits with those computed on the
    /// exporting machine. This verifies the parity of training and serving on this machine, without TorchSharp.
    /// </summary>
    /// <returns>The comparison; <see cref="SelfCheckResult.Passed"/> says whether this machine computes the same
    /// results.</returns>
    /// <exception cref="InvalidDataException">The model contains no self-check or cannot run.</exception>
    public SelfCheckResult Verify()
    {
        var check = SelfCheck
            ?? throw new InvalidDataException(
                $"the model contains no self-check ({TorchBridge.Inference.SelfCheck.Key}); export it again"
            );
        var actual = ClassifyPlanes(check.Planes, check.Count);
        return check.Compare([.. actual.SelectMany(prediction => prediction.Logits)], ClassNames.Count);
    }

    /// <summary>Checks that the model can run: with its self-check, or with a black picture if it contains
    /// none.</summary>
    /// <returns>Result of the self-check; null if there is none.</returns>
    /// <exception cref="InvalidDataException">The model cannot run.</exception>
    internal SelfCheckResult? TryOut()
    {
        if (SelfCheck is not null)
            return Verify();
        ClassifyPlanes(new byte[Stride], 1);
        return null;
    }

    /// <summary>Index of the most probable class; null if a logit is NaN.</summary>
    /// <param name="logits">One row, one value per class.</param>
    internal static int? BestClass(ReadOnlySpan<float> logits) =>
        HasNaN(logits) ? null : ArrayComparison.IndexOfLargest(logits);

    /// <summary>
    /// Scores pixels [count, 3, height, width], 0 to 255, without copying inputs or outputs. A network that turns out
    /// to accept only one picture is run picture by picture from then on.
    /// </summary>
    /// <param name="pixels">count x 3 x height x width values, pinned during the run.</param>
    /// <param name="count">Number of pictures, at least 1.</param>
    /// <param name="logits">Receives count x classes values.</param>
    /// <param name="probabilities">Receives count x classes values.</param>
    /// <exception cref="InvalidDataException">The network cannot run.</exception>
    internal void Run(Memory<float> pixels, int count, Memory<float> logits, Memory<float> probabilities)
    {
        if (!runsOneByOne)
        {
            try
            {
                RunTogether(pixels, count, logits, probabilities);
                return;
            }
            catch (OnnxRuntimeException error) when (count == 1)
            {
                throw CannotRun(error);
            }
            catch (OnnxRuntimeException)
            {
                // A size inside the network may be fixed to one picture, so each picture is run alone below.
            }
        }

        RunAlone(pixels, count, logits, probabilities);
        runsOneByOne = true;
    }

    /// <summary>
    /// Runs the binding that <see cref="Bind"/> created for these arrays. If that fails, the pictures are run one by
    /// one, so that the error belongs to one of them.
    /// </summary>
    /// <param name="run">The binding.</param>
    /// <param name="pixels">The array bound as input.</param>
    /// <param name="count">Number of pictures.</param>
    /// <param name="logits">The array bound as the first output.</param>
    /// <param name="probabilities">The array bound as the second output.</param>
    /// <exception cref="InvalidDataException">The network cannot run.</exception>
    internal void Run(BoundRun run, Memory<float> pixels, int count, Memory<float> logits, Memory<float> probabilities)
    {
        try
        {
            run.Run();
        }
        catch (OnnxRuntimeException)
        {
            Run(pixels, count, logits, probabilities);
        }
    }

    /// <summary>
    /// Binds arrays once for repeated scoring without allocations. They must stay alive and pinned until the binding
    /// is disposed.
    /// </summary>
    /// <param name="pixels">count x 3 x height x width values.</param>
    /// <param name="count">Number of pictures.</param>
    /// <param name="logits">Receives count x classes values in each run.</param>
    /// <param name="probabilities">Receives count x classes values in each run.</param>
    /// <returns>The binding; dispose it before the arrays are released.</returns>
    internal BoundRun Bind(Memory<float> pixels, int count, Memory<float> logits, Memory<float> probabilities) =>
        session.Bind(
            [(InputNames[0], pixels, [count, 3, Height, Width])],
            [
                (OutputNames[0], logits, [count, ClassNames.Count]),
                (OutputNames[1], probabilities, [count, ClassNames.Count]),
            ]
        );

    /// <inheritdoc/>
    public void Dispose() => session.Dispose();

    private void RunTogether(Memory<float> pixels, int count, Memory<float> logits, Memory<float> probabilities)
    {
        var memory = OrtMemoryInfo.DefaultInstance;
        using var input = OrtValue.CreateTensorValueFromMemory(memory, pixels, [count, 3, Height, Width]);
        using var logitRows = OrtValue.CreateTensorValueFromMemory(memory, logits, [count, ClassNames.Count]);
        using var probabilityRows = OrtValue.CreateTensorValueFromMemory(
            memory,
            probabilities,
            [count, ClassNames.Count]
        );
        session.Run(InputNames, [input], OutputNames, (IReadOnlyCollection<OrtValue>)[logitRows, probabilityRows]);
    }

    /// <summary>Runs each picture alone.</summary>
    /// <param name="pixels">count x 3 x height x width floats.</param>
    /// <param name="count">Number of pictures.</param>
    /// <param name="logits">Receives count x classes floats.</param>
    /// <param name="probabilities">Receives count x classes floats.</param>
    private void RunAlone(Memory<float> pixels, int count, Memory<float> logits, Memory<float> probabilities)
    {
        var classes = ClassNames.Count;
        try
        {
            for (var index = 0; index < count; index++)
                RunTogether(
                    pixels.Slice(index * Stride, Stride),
                    1,
                    logits.Slice(index * classes, classes),
                    probabilities.Slice(index * classes, classes)
                );
        }
        catch (OnnxRuntimeException error)
        {
            throw CannotRun(error);
        }
    }

    /// <summary>An exception that names the model, for an error of ONNX Runtime during a run.</summary>
    /// <param name="error">The error of ONNX Runtime.</param>
    private InvalidDataException CannotRun(OnnxRuntimeException error) =>
        new($"{name} was loaded but cannot run: {error.Message}", error);

    /// <summary>Whether any of the values is NaN.</summary>
    /// <param name="values">The values.</param>
    private static bool HasNaN(ReadOnlySpan<float> values)
    {
        foreach (var value in values)
        {
            if (float.IsNaN(value))
                return true;
        }

        return false;
    }

    /// <summary>Name of the most probable class; empty if a logit is NaN.</summary>
    /// <param name="logits">Logits of one picture.</param>
    private string LabelOf(ReadOnlySpan<float> logits) => BestClass(logits) is { } best ? ClassNames[best] : "";

    /// <summary>Reads and classifies one picture, in a rented array.</summary>
    /// <param name="read">Decodes the picture.</param>
    private Prediction ClassifyOne(PlaneReader read)
    {
        var planes = ArrayPool<byte>.Shared.Rent(Stride);
        try
        {
            read(planes.AsSpan(0, Stride));
            return ClassifyPlanes(planes.AsSpan(0, Stride), 1)[0];
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(planes);
        }
    }

    /// <summary>Classifies the pictures before the first invalid one and returns them with its error.</summary>
    /// <param name="paths">A batch of files.</param>
    /// <returns>Predictions up to the first file that could not be read, and its error.</returns>
    private (Prediction[] Predictions, ExceptionDispatchInfo? Error) ClassifyChunk(string[] paths)
    {
        // An array holds at most one gigabyte of pictures; more are scored in several batches.
        var most = Math.Max(1, (1 << 28) / Stride);
        if (paths.Length > most)
        {
            var all = new List<Prediction>(paths.Length);
            foreach (var part in paths.Chunk(most))
            {
                var (predictions, error) = ClassifyChunk(part);
                all.AddRange(predictions);
                if (error is not null)
                    return ([.. all], error);
            }

            return ([.. all], null);
        }

        var planes = ArrayPool<byte>.Shared.Rent(paths.Length * Stride);
        ExceptionDispatchInfo? bad = null;
        try
        {
            var errors = new Exception?[paths.Length];
            Parallel.For(0, paths.Length, new ParallelOptions { MaxDegreeOfParallelism = threads }, i =>
            {
                try
                {
                    PictureReader.ReadFile(
                        paths[i] ?? throw new InvalidPictureException("the path of a picture is null"),
                        Width,
                        Height,
                        planes.AsSpan(i * Stride, Stride),
                        Card.Reading
                    );
                }
                catch (Exception error)
                {
                    errors[i] = error;
                }
            });
            var count = Array.FindIndex(errors, error => error is not null);
            if (count < 0)
                count = paths.Length;
            else
                bad = ExceptionDispatchInfo.Capture(errors[count]!);
            return (ClassifyPlanes(planes.AsSpan(0, count * Stride), count), bad);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(planes);
        }
    }

    /// <summary>
    /// Returns batches as the producer finishes them; a reader that leaves early stops the producer and waits for it.
    /// </summary>
    private async IAsyncEnumerable<Prediction> Stream(
        IAsyncEnumerable<string> paths,
        int batchSize,
        [EnumeratorCancellation] CancellationToken stop
    )
    {
        using var abandon = CancellationTokenSource.CreateLinkedTokenSource(stop);
        // Bounded: a slow reader stops the producer, and memory stays flat.
        var channel = Channel.CreateBounded<Prediction[]>(
            new BoundedChannelOptions(2) { SingleReader = true, SingleWriter = true }
        );
        var producer = Produce(paths, batchSize, channel.Writer, abandon.Token);
        try
        {
            await foreach (var batch in channel.Reader.ReadAllAsync(stop).ConfigureAwait(false))
            {
                foreach (var prediction in batch)
                    yield return prediction;
            }
        }
        finally
        {
            await abandon.CancelAsync().ConfigureAwait(false);
            await producer.ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Collects paths into batches and classifies them until the source ends or fails or the reader leaves.
    /// </summary>
    private async Task Produce(
        IAsyncEnumerable<string> paths,
        int batchSize,
        ChannelWriter<Prediction[]> writer,
        CancellationToken stop
    )
    {
        try
        {
            var chunk = new List<string>();
            ExceptionDispatchInfo? broken = null;
            try
            {
                await foreach (var path in paths.WithCancellation(stop).ConfigureAwait(false))
                {
                    chunk.Add(path);
                    if (chunk.Count < batchSize)
                        continue;
                    await Write().ConfigureAwait(false);
                }
            }
            catch (Exception error) when (!stop.IsCancellationRequested && chunk.Count > 0)
            {
                broken = ExceptionDispatchInfo.Capture(error); // an error of the source itself; the paths before it come first
            }

            if (chunk.Count > 0)
                await Write().ConfigureAwait(false);
            broken?.Throw();
            writer.Complete();

            async Task Write()
            {
                var (predictions, error) = ClassifyChunk([.. chunk]);
                chunk.Clear();
                if (predictions.Length > 0)
                    await writer.WriteAsync(predictions, stop).ConfigureAwait(false);
                error?.Throw();
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            writer.TryComplete(); // the reader has left
        }
        catch (Exception error)
        {
            writer.TryComplete(error); // passed on to the reader
        }
    }
}
