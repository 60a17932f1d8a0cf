using System.Buffers;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Inference.Pictures;
using TorchBridge.Inference.Scoring;
using TorchBridge.Onnx.Compare;
using TorchBridge.Onnx.Contract;

namespace TorchBridge.Inference;

/// <summary>
/// Classifies pictures with an exported ONNX file. No ML.NET pipeline and no libtorch is needed; all members may be called from many threads.
/// </summary>
public sealed class ImageClassifier : IDisposable
{
    private const int DefaultBatch = 32;
    private static readonly string[] InputNames = [ModelNames.Pixels];
    private static readonly string[] OutputNames = [ModelNames.Logits, ModelNames.Probabilities];
    private readonly InferenceSession session;
    private readonly RunOptions runOptions = new();

    private ImageClassifier(InferenceSession session, ModelCard card) => (this.session, Card) = (session, card);

    /// <summary>Names of the classes, in the order of the probabilities.</summary>
    public IReadOnlyList<string> ClassNames => Card.ClassNames;

    /// <summary>Picture width that the model takes, in pixels.</summary>
    public int Width => Card.Width;

    /// <summary>Picture height that the model takes, in pixels.</summary>
    public int Height => Card.Height;

    /// <summary>What the model says of itself.</summary>
    public ModelCard Card { get; }

    private int Stride => 3 * Width * Height;

    /// <summary>Loads a classifier.</summary>
    /// <param name="path">An ONNX file that the training program wrote.</param>
    /// <param name="settings">Threads and execution providers; null for the defaults.</param>
    /// <exception cref="InvalidDataException">The file is not an ONNX model, or not a classifier of ours.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static ImageClassifier Load(string path, SessionSettings? settings = null)
    {
        if (!File.Exists(path)) throw new FileNotFoundException($"there is no model at {path}", path);
        return Load(File.ReadAllBytes(path), path, settings);
    }

    /// <summary>Loads a classifier from a file's bytes.</summary>
    /// <param name="onnx">The bytes.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <param name="settings">Threads and execution providers; null for the defaults.</param>
    /// <exception cref="InvalidDataException">It is not an ONNX model, or not a classifier of ours.</exception>
    public static ImageClassifier Load(byte[] onnx, string name, SessionSettings? settings = null)
    {
        var session = (settings ?? new SessionSettings()).Open(onnx, name);
        try
        {
            return new ImageClassifier(session, ModelCard.Read(session.ModelMetadata.CustomMetadataMap, name));
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>Classifies a picture file.</summary>
    /// <param name="path">JPEG, PNG, BMP or WebP of any size.</param>
    /// <exception cref="InvalidPictureException">The file is no picture, or ends too early.</exception>
    public Prediction Classify(string path) => ClassifyOne(planes => PictureReader.ReadFile(path, Width, Height, planes, Card.Reading));

    /// <summary>Classifies an encoded picture.</summary>
    /// <param name="encoded">The bytes of a JPEG, PNG, BMP or WebP file.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <exception cref="InvalidPictureException">It is no picture, or ends too early.</exception>
    public Prediction Classify(byte[] encoded, string name = "the picture") => ClassifyOne(planes => PictureReader.Read(encoded, name, Width, Height, planes, Card.Reading));

    /// <summary>Classifies an encoded picture that is read to the end of a stream.</summary>
    /// <param name="encoded">The stream; it stays open.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <exception cref="InvalidPictureException">It is no picture, or ends too early.</exception>
    public Prediction Classify(Stream encoded, string name = "the picture")
    {
        ArgumentNullException.ThrowIfNull(encoded);
        using var memory = new MemoryStream();
        encoded.CopyTo(memory);
        return Classify(memory.ToArray(), name);
    }

    /// <summary>Classifies a picture in memory.</summary>
    /// <param name="picture">Of any size.</param>
    public Prediction Classify(MLImage picture) => ClassifyOne(planes => PictureReader.Read(picture, Width, Height, planes, Card.Reading));

    /// <summary>Classifies a picture file on a thread of the pool.</summary>
    /// <param name="path">JPEG, PNG, BMP or WebP of any size.</param>
    /// <param name="stop">Cancels before the work has begun.</param>
    /// <exception cref="InvalidPictureException">The file is no picture, or ends too early.</exception>
    public Task<Prediction> ClassifyAsync(string path, CancellationToken stop = default) => Task.Run(() => Classify(path), stop);

    /// <summary>Classifies picture files, in batches, in the order given.</summary>
    /// <param name="paths">Picture files; read as they are needed.</param>
    /// <param name="batchSize">Pictures scored at once.</param>
    /// <exception cref="InvalidPictureException">A file is no picture, or ends too early.</exception>
    public IEnumerable<Prediction> ClassifyBatch(IEnumerable<string> paths, int batchSize = DefaultBatch)
    {
        ArgumentNullException.ThrowIfNull(paths);
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        return paths.Chunk(batchSize).SelectMany(ClassifyChunk);
    }

    /// <summary>Classifies picture files as they come, in batches, in their order. No more than a few batches are ahead of the reader.</summary>
    /// <param name="paths">Picture files.</param>
    /// <param name="batchSize">Pictures scored at once.</param>
    /// <param name="stop">Ends the stream.</param>
    /// <exception cref="InvalidPictureException">A file is no picture, or ends too early.</exception>
    public async IAsyncEnumerable<Prediction> ClassifyAsync(IAsyncEnumerable<string> paths, int batchSize = DefaultBatch, [EnumeratorCancellation] CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(paths);
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        using var abandon = CancellationTokenSource.CreateLinkedTokenSource(stop);
        // Bounded: a slow reader stops the producer, and memory stays flat.
        var channel = Channel.CreateBounded<Prediction[]>(new BoundedChannelOptions(2) { SingleReader = true, SingleWriter = true });
        var producer = Produce(paths, batchSize, channel.Writer, abandon.Token);
        try
        {
            await foreach (var batch in channel.Reader.ReadAllAsync(stop).ConfigureAwait(false))
            {
                foreach (var prediction in batch) yield return prediction;
            }
        }
        finally
        {
            await abandon.CancelAsync().ConfigureAwait(false);
            await producer.ConfigureAwait(false);
        }
    }

    /// <summary>Classifies pictures that are already read.</summary>
    /// <param name="planes">count x 3 x height x width bytes: the red plane of the first picture, the green, the blue, the next picture.</param>
    /// <param name="count">Number of pictures.</param>
    public Prediction[] ClassifyPlanes(ReadOnlySpan<byte> planes, int count)
    {
        if (planes.Length != (long)count * Stride) throw new ArgumentException($"{planes.Length} bytes for {count} x 3 x {Height} x {Width} pixels", nameof(planes));
        var pixels = ArrayPool<float>.Shared.Rent(planes.Length);
        try
        {
            for (var i = 0; i < planes.Length; i++) pixels[i] = planes[i];
            var classes = ClassNames.Count;
            var (logits, probabilities) = (new float[count * classes], new float[count * classes]);
            Run(pixels.AsMemory(0, planes.Length), count, logits, probabilities);
            var predictions = new Prediction[count];
            for (var i = 0; i < count; i++)
            {
                var row = logits.AsMemory(i * classes, classes);
                predictions[i] = new Prediction(ClassNames[ArrayComparison.IndexOfLargest<float>(row.Span)], probabilities[(i * classes)..((i + 1) * classes)], row.ToArray());
            }

            return predictions;
        }
        finally
        {
            ArrayPool<float>.Shared.Return(pixels);
        }
    }

    /// <summary>The pictures and logits that the model carries to check itself by; null where it carries none.</summary>
    public SelfCheck? SelfCheck => TorchBridge.Inference.SelfCheck.Read(session.ModelMetadata.CustomMetadataMap);

    /// <summary>
    /// Runs the pictures that the model carries, with the logits that the trained network gave for them, and compares: the parity of training and
    /// serving, on the machine it runs on, without TorchSharp.
    /// </summary>
    /// <exception cref="InvalidDataException">The model carries no pictures.</exception>
    public SelfCheckResult Verify()
    {
        var check = SelfCheck ?? throw new InvalidDataException($"the model carries no self-check ({TorchBridge.Inference.SelfCheck.Key}); export it anew");
        var actual = ClassifyPlanes(check.Planes, check.Count);
        return check.Compare([.. actual.SelectMany(prediction => prediction.Logits)], ClassNames.Count);
    }

    /// <summary>Scores pixels [count, 3, height, width], 0 to 255; everything is read and written where it is.</summary>
    internal void Run(Memory<float> pixels, int count, Memory<float> logits, Memory<float> probabilities)
    {
        var memory = OrtMemoryInfo.DefaultInstance;
        using var input = OrtValue.CreateTensorValueFromMemory(memory, pixels, [count, 3, Height, Width]);
        using var logitRows = OrtValue.CreateTensorValueFromMemory(memory, logits, [count, ClassNames.Count]);
        using var probabilityRows = OrtValue.CreateTensorValueFromMemory(memory, probabilities, [count, ClassNames.Count]);
        session.Run(runOptions, InputNames, [input], OutputNames, [logitRows, probabilityRows]);
    }

    /// <summary>Binds arrays once, to be scored again and again without garbage. They must stay, and stay where they are, until it is disposed.</summary>
    internal BoundRun Bind(Memory<float> pixels, int count, Memory<float> logits, Memory<float> probabilities) => new(
        session,
        runOptions,
        [(InputNames[0], pixels, [count, 3, Height, Width])],
        [(OutputNames[0], logits, [count, ClassNames.Count]), (OutputNames[1], probabilities, [count, ClassNames.Count])]);

    /// <inheritdoc/>
    public void Dispose()
    {
        runOptions.Dispose();
        session.Dispose();
    }

    private delegate void PlaneReader(Span<byte> planes);

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

    private Prediction[] ClassifyChunk(string[] paths)
    {
        var planes = ArrayPool<byte>.Shared.Rent(paths.Length * Stride);
        try
        {
            for (var i = 0; i < paths.Length; i++) PictureReader.ReadFile(paths[i], Width, Height, planes.AsSpan(i * Stride, Stride), Card.Reading);
            return ClassifyPlanes(planes.AsSpan(0, paths.Length * Stride), paths.Length);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(planes);
        }
    }

    private async Task Produce(IAsyncEnumerable<string> paths, int batchSize, ChannelWriter<Prediction[]> writer, CancellationToken stop)
    {
        try
        {
            var chunk = new List<string>(batchSize);
            await foreach (var path in paths.WithCancellation(stop).ConfigureAwait(false))
            {
                chunk.Add(path);
                if (chunk.Count < batchSize) continue;
                await writer.WriteAsync(ClassifyChunk([.. chunk]), stop).ConfigureAwait(false);
                chunk.Clear();
            }

            if (chunk.Count > 0) await writer.WriteAsync(ClassifyChunk([.. chunk]), stop).ConfigureAwait(false);
            writer.Complete();
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            writer.TryComplete(); // the reader has gone
        }
        catch (Exception error)
        {
            writer.TryComplete(error); // the reader gets it
        }
    }
}
