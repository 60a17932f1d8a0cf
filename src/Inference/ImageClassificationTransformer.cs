using Microsoft.ML;
using Microsoft.ML.Data;
using TorchBridge.Inference.Scoring;
using TorchBridge.Inference.Sessions;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Inference;

/// <summary>
/// Classifies a column of pictures. <c>Score</c> contains the probabilities with the class names as slot names,
/// <c>PredictedLabel</c> the class. <c>mlContext.Model.Save</c> saves it as an equivalent chain of stock
/// transformers, so that the zip loads in any ML.NET program without this assembly. <see cref="Dispose"/> waits for
/// the running batch; later readers of a row get an <see cref="ObjectDisposedException"/>.
/// </summary>
public sealed class ImageClassificationTransformer : ITransformer, IDisposable
{
    private readonly MLContext context;
    private readonly byte[] onnx;
    private readonly string name;
    private readonly ImageClassifier classifier;
    private readonly ImageClassificationOptions options;
    private readonly ImageScorer scorer;
    private readonly InputKind fittedTo;
    private readonly Lifetime lifetime;

    /// <summary>Takes ownership of a classifier.</summary>
    /// <param name="context">Context for the stock chain that is saved.</param>
    /// <param name="onnx">The model's bytes, for the stock chain and for a single-threaded session.</param>
    /// <param name="name">Name of the model in error messages.</param>
    /// <param name="classifier">The opened model.</param>
    /// <param name="options">Options of the classification.</param>
    /// <param name="fittedTo">Kind of the column that the transformer was fitted to, which the saved chain
    /// reads.</param>
    internal ImageClassificationTransformer(
        MLContext context,
        byte[] onnx,
        string name,
        ImageClassifier classifier,
        ImageClassificationOptions options,
        InputKind fittedTo
    )
    {
        this.context = context;
        this.onnx = onnx;
        this.name = name;
        this.classifier = classifier;
        this.options = options;
        this.fittedTo = fittedTo;
        scorer = new ImageScorer(
            classifier,
            () => ImageClassifier.Load(onnx, name, options.Session.OneThreaded),
            options
        );
        lifetime = new Lifetime(nameof(ImageClassificationTransformer), scorer.Dispose);
    }

    /// <summary>Names of the classes, in the order of the scores.</summary>
    public IReadOnlyList<string> ClassNames => classifier.ClassNames;

    /// <summary>Number of pictures that could not be read so far, over all cursors.</summary>
    public long InvalidImages => scorer.InvalidImages;

    /// <summary>
    /// Whether each input row gives one output row; false if unreadable pictures are skipped.
    /// </summary>
    public bool IsRowToRowMapper => options.OnInvalidImage != OnInvalidImage.Skip;

    /// <summary>Runs the model's self-check on this machine.</summary>
    /// <returns>Number of pictures, agreement and largest difference; <see cref="SelfCheckResult.Passed"/> is the
    /// verdict.</returns>
    /// <exception cref="InvalidDataException">The model contains no self-check.</exception>
    /// <exception cref="ObjectDisposedException">The transformer has been disposed.</exception>
    public SelfCheckResult Verify()
    {
        using var visit = lifetime.Enter();
        return classifier.Verify();
    }

    /// <summary>Writes the model's ONNX file atomically, for <c>ClassifyImages</c> and <see cref="ImageClassifier"/>.
    /// Works even if there is no stock equivalent that <c>mlContext.Model.Save</c> could write.</summary>
    /// <param name="path">Path of the file; an existing file is replaced.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the path is denied.</exception>
    public void SaveOnnx(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        using var visit = lifetime.Enter();
        AtomicFile.Write(path, stream => stream.Write(onnx));
    }

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        using var visit = lifetime.Enter();
        return Columns(inputSchema).Schema;
    }

    /// <summary>Adds the scored columns: lazily, in batches, in row order.</summary>
    /// <param name="input">Data with the picture column; it is read once, one batch ahead.</param>
    /// <returns>A lazy view; nothing is scored until a cursor is advanced.</returns>
    /// <exception cref="ArgumentException">The picture column is missing or its type cannot be classified, or a key
    /// column numbers the classes differently from the model.</exception>
    /// <exception cref="ObjectDisposedException">The transformer has been disposed.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using var visit = lifetime.Enter();
        return new LookAheadDataView(input, scorer, Columns(input.Schema));
    }

    /// <summary>Creates a mapper for single rows, used by PredictionEngine.</summary>
    /// <param name="inputSchema">Schema of the rows to map.</param>
    /// <exception cref="InvalidOperationException">Unreadable pictures are skipped, so rows do not map one to
    /// one.</exception>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        if (!IsRowToRowMapper)
            throw new InvalidOperationException(
                $"with {nameof(OnInvalidImage)} = {nameof(OnInvalidImage.Skip)} rows are skipped, so rows do not "
                    + $"map one to one; use another value for single predictions"
            );
        using var visit = lifetime.Enter();
        return new ScoredRowMapper(inputSchema, inner: null, scorer, Columns(inputSchema));
    }

    /// <inheritdoc/>
    public void Dispose() => lifetime.Close();

    /// <summary>
    /// Saves the equivalent chain of stock stages; refuses if stock ML.NET would read other pixels or produce other
    /// columns.
    /// </summary>
    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        using var visit = lifetime.Enter();
        if (options.WithoutStockTwin is { } option)
            throw new NotSupportedException(
                $"{option} has no equivalent in stock ML.NET, so this transformer cannot be saved. Save one "
                    + $"without it and set it again after loading, or write the .onnx file with {nameof(SaveOnnx)} "
                    + $"and load it with ClassifyImages"
            );
        if (fittedTo != InputKind.Pixels && classifier.Card.Reading.WithoutStockTwin is { } reading)
            throw new NotSupportedException(
                $"the model reads its pictures with {reading}, which stock ML.NET does not support, so this "
                    + $"transformer cannot be saved. Write the .onnx file with {nameof(SaveOnnx)} and load it with "
                    + $"ClassifyImages, or use a column of pixels"
            );
        if (fittedTo == InputKind.Encoded)
            throw new NotSupportedException(
                "stock ML.NET cannot read encoded pictures (a vector of bytes), so this transformer cannot be "
                    + "saved. Write the .onnx file with {nameof(SaveOnnx)} and load it with ClassifyImages, or use a "
                    + "column of paths or of MLImage"
            );
        var data = StockInput(fittedTo);
        using var stage = OnnxStage.Load(
            context,
            MlNetModel.From(onnx, name, ClassNames),
            [MlNetModel.Score, MlNetModel.PredictedLabel],
            [StockPipeline.PixelsColumn]
        );
        IEstimator<ITransformer> last = stage.Estimator;
        if (fittedTo == InputKind.Pixels && options.ImageColumn != StockPipeline.PixelsColumn)
            last = context.Transforms.CopyColumns(StockPipeline.PixelsColumn, options.ImageColumn).Append(last);
        var chain = StockPipeline.Reading(context, classifier.Card, options.ImageColumn, fittedTo)?.Append(last)
            ?? last;
        var stock = chain.Fit(data);
        using var disposable = stock as IDisposable;
        ((ICanSaveModel)stock).Save(ctx);
    }

    /// <summary>The input's columns and the scored ones.</summary>
    /// <param name="input">Schema of the rows.</param>
    private ScoredSchema Columns(DataViewSchema input) => new(input, scorer.OutputsFor(input));

    /// <summary>A view without rows that has the column read by the stock chain.</summary>
    /// <param name="kind">Kind of the picture column.</param>
    private IDataView StockInput(InputKind kind)
    {
        var builder = new DataViewSchema.Builder();
        builder.AddColumn(
            options.ImageColumn,
            kind switch
            {
                InputKind.Image => new Microsoft.ML.Transforms.Image.ImageDataViewType(),
                InputKind.Pixels => new VectorDataViewType(
                    NumberDataViewType.Single,
                    3 * classifier.Width * classifier.Height
                ),
                _ => TextDataViewType.Instance,
            }
        );
        return new EmptyView(builder.ToSchema());
    }
}
