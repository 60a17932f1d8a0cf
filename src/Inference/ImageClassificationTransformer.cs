using Microsoft.ML;
using Microsoft.ML.Data;
using TorchBridge.Inference.Scoring;
using TorchBridge.Inference.Sessions;

namespace TorchBridge.Inference;

/// <summary>
/// Classifies a column of pictures. <c>Score</c> holds the probabilities with the class names as slot names,
/// <c>PredictedLabel</c> the class. Saved by <c>mlContext.Model.Save</c> it is the stock chain of the same model: the
/// zip loads in any ML.NET program, without this assembly. <see cref="Dispose"/> waits for the batch that runs; who
/// reads a row later gets an <see cref="ObjectDisposedException"/>.
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

    /// <summary>Takes over a classifier, which is disposed with this.</summary>
    /// <param name="context">For the stock chain that is saved.</param>
    /// <param name="onnx">The model's bytes, for the stock chain and for a session of one thread.</param>
    /// <param name="name">What to call the model in an error.</param>
    /// <param name="classifier">The opened model.</param>
    /// <param name="options">How rows are read and written.</param>
    /// <param name="fittedTo">What the column held that it was fitted to: the saved chain reads the same.</param>
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

    /// <summary>Pictures that could not be read so far, by all cursors together.</summary>
    public long InvalidImages => scorer.InvalidImages;

    /// <summary>
    /// Whether each row gives one row: not where unreadable pictures are left out.
    /// </summary>
    public bool IsRowToRowMapper => options.OnInvalidImage != OnInvalidImage.Skip;

    /// <summary>Runs the model's self-check on this machine.</summary>
    /// <returns>Pictures, agreement and largest difference; <see cref="SelfCheckResult.Passed"/> says whether it is
    /// fine.</returns>
    /// <exception cref="InvalidDataException">The model carries none.</exception>
    /// <exception cref="ObjectDisposedException">It has been disposed.</exception>
    public SelfCheckResult Verify()
    {
        using var visit = lifetime.Enter();
        return classifier.Verify();
    }

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        using var visit = lifetime.Enter();
        return Columns(inputSchema).Schema;
    }

    /// <summary>Adds the scored columns; lazily, in batches, in the order of the rows.</summary>
    /// <param name="input">Data with the column of pictures; it is read once, a batch ahead.</param>
    /// <returns>A lazy view; nothing is scored before a cursor is moved.</returns>
    /// <exception cref="ArgumentException">The column of pictures is missing, or holds nothing that can be
    /// classified; or a column of keys numbers the classes otherwise than the model.</exception>
    /// <exception cref="ObjectDisposedException">It has been disposed.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using var visit = lifetime.Enter();
        return new LookAheadDataView(input, scorer, Columns(input.Schema));
    }

    /// <summary>A mapper of single rows, for PredictionEngine.</summary>
    /// <param name="inputSchema">Columns of the rows that will come.</param>
    /// <exception cref="InvalidOperationException">Unreadable pictures are left out, so no row maps to one
    /// row.</exception>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        if (!IsRowToRowMapper)
            throw new InvalidOperationException(
                $"with {nameof(OnInvalidImage)} = {nameof(OnInvalidImage.Skip)} rows are left out, and no row maps to one row"
            );
        using var visit = lifetime.Enter();
        return new ScoredRowMapper(inputSchema, inner: null, scorer, Columns(inputSchema));
    }

    /// <inheritdoc/>
    public void Dispose() => lifetime.Close();

    /// <summary>
    /// Saves the equivalent chain of stock stages; refuses where stock ML.NET would see other pixels or make other
    /// columns.
    /// </summary>
    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        using var visit = lifetime.Enter();
        if (options.WithoutStockTwin is { } option)
            throw new NotSupportedException(
                $"{option} has no equivalent in stock ML.NET, and this cannot be saved. Save one without it, "
                    + "and set it again after loading; or ship the .onnx file and ClassifyImages"
            );
        if (fittedTo != InputKind.Pixels && classifier.Card.Reading.WithoutStockTwin is { } reading)
            throw new NotSupportedException(
                $"the model reads its pictures with {reading}, which stock ML.NET has not, and this "
                    + "cannot be saved. Use a column of pixels; or ship the .onnx file and ClassifyImages"
            );
        if (fittedTo == InputKind.Encoded)
            throw new NotSupportedException(
                "encoded pictures (a vector of bytes) have no reader in stock ML.NET, and this cannot be "
                    + "saved. Use a column of paths or of MLImage; or ship the .onnx file and ClassifyImages"
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

    /// <summary>The input's columns and those that are made of them.</summary>
    /// <param name="input">The schema that rows have.</param>
    private ScoredSchema Columns(DataViewSchema input) => new(input, scorer.OutputsFor(input));

    /// <summary>A view without rows, with the column that the stock chain reads.</summary>
    /// <param name="kind">What the column of pictures holds.</param>
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
