using Microsoft.ML;
using Microsoft.ML.Data;
using TorchBridge.Inference.Scoring;

namespace TorchBridge.Inference;

/// <summary>Classifies a column of pictures in ML.NET, in batches. Make it with <c>mlContext.Transforms.ClassifyImages</c>.</summary>
public sealed class ImageClassificationEstimator : IEstimator<ImageClassificationTransformer>
{
    private readonly MLContext context;
    private readonly byte[] onnx;
    private readonly string name;
    private readonly ImageClassificationOptions options;

    internal ImageClassificationEstimator(MLContext context, string modelPath, ImageClassificationOptions options)
    {
        (this.context, name, this.options) = (context, modelPath, options);
        if (!File.Exists(modelPath)) throw new FileNotFoundException($"there is no model at {modelPath}", modelPath);
        onnx = File.ReadAllBytes(modelPath);
        var card = ModelCard.Read(onnx, modelPath);
        if (options.TopK is { } k && (k < 1 || k > card.ClassNames.Count)) throw new ArgumentOutOfRangeException(nameof(options), k, $"{nameof(options.TopK)} is {k}; allowed is 1 to {card.ClassNames.Count}, the classes");
    }

    /// <summary>Opens the model. Nothing is learned: the data decide only whether the column fits.</summary>
    /// <param name="input">Data with the column of pictures.</param>
    public ImageClassificationTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        var classifier = ImageClassifier.Load(onnx, name, options.Session);
        var transformer = new ImageClassificationTransformer(context, onnx, name, classifier, options);
        try
        {
            transformer.GetOutputSchema(input.Schema);
            return transformer;
        }
        catch
        {
            transformer.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        if (!inputSchema.Any(column => column.Name == options.ImageColumn)) throw new ArgumentException($"there is no column '{options.ImageColumn}'; there are {string.Join(", ", inputSchema.Select(column => column.Name))}", nameof(inputSchema));
        return Shape(inputSchema);
    }

    /// <summary>Shapes of columns cannot be made outside of ML.NET: a stock estimator that makes columns of the same types has them.</summary>
    private SchemaShape Shape(SchemaShape inputSchema)
    {
        var definition = SchemaDefinition.Create(typeof(Made));
        void Column(string member, string? columnName)
        {
            if (columnName is null) definition.Remove(definition[member]);
            else definition[member].ColumnName = columnName;
        }

        Column(nameof(Made.Score), options.ScoreColumn);
        Column(nameof(Made.Label), options.Label == LabelKind.Text ? options.PredictedLabelColumn : null);
        Column(nameof(Made.Key), options.Label == LabelKind.Key ? options.PredictedLabelColumn : null);
        Column(nameof(Made.Logits), options.LogitsColumn);
        Column(nameof(Made.TopLabels), options.TopK is null ? null : options.TopLabelsColumn);
        Column(nameof(Made.TopScores), options.TopK is null ? null : options.TopScoresColumn);
        Column(nameof(Made.IsValid), options.OnInvalidImage == OnInvalidImage.MarkRow ? options.IsValidColumn : null);
        return context.Transforms.CustomMapping<Nothing, Made>((_, _) => { }, contractName: null, inputSchemaDefinition: null, outputSchemaDefinition: definition).GetOutputSchema(inputSchema);
    }

    private sealed class Nothing;

    /// <summary>One member a column; vectors have some known length, which shapes do not tell.</summary>
    private sealed class Made
    {
        [VectorType(1)]
        public float[]? Score { get; set; }

        public string? Label { get; set; }

        [KeyType(1)]
        public uint Key { get; set; }

        [VectorType(1)]
        public float[]? Logits { get; set; }

        [VectorType(1)]
        public string[]? TopLabels { get; set; }

        [VectorType(1)]
        public float[]? TopScores { get; set; }

        public bool IsValid { get; set; }
    }
}

/// <summary>
/// Classifies a column of pictures. <c>Score</c> holds the probabilities with the class names as slot names, <c>PredictedLabel</c> the class. Saved by
/// <c>mlContext.Model.Save</c> it is the stock chain of the same model: the zip loads in any ML.NET program, without this assembly.
/// </summary>
public sealed class ImageClassificationTransformer : ITransformer, IDisposable
{
    private readonly MLContext context;
    private readonly byte[] onnx;
    private readonly string name;
    private readonly ImageClassifier classifier;
    private readonly ImageClassificationOptions options;
    private readonly ImageScorer scorer;
    private InputKind? fittedTo;

    internal ImageClassificationTransformer(MLContext context, byte[] onnx, string name, ImageClassifier classifier, ImageClassificationOptions options)
    {
        (this.context, this.onnx, this.name, this.classifier, this.options) = (context, onnx, name, classifier, options);
        scorer = new ImageScorer(classifier, () => ImageClassifier.Load(onnx, name, options.Session with { Threads = 1 }), options);
    }

    /// <summary>Names of the classes, in the order of the scores.</summary>
    public IReadOnlyList<string> ClassNames => classifier.ClassNames;

    /// <summary>Pictures that could not be read so far, by all cursors together.</summary>
    public long InvalidImages => scorer.InvalidImages;

    /// <inheritdoc/>
    public bool IsRowToRowMapper => options.OnInvalidImage != OnInvalidImage.Skip;

    /// <summary>Runs the model's self-check on this machine.</summary>
    /// <exception cref="InvalidDataException">The model carries none.</exception>
    public SelfCheckResult Verify() => classifier.Verify();

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => Columns(inputSchema).Schema;

    /// <summary>Adds the scored columns; lazily, in batches, in the order of the rows.</summary>
    /// <param name="input">Data with the column of pictures; it is read by two cursors at once.</param>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new LookAheadDataView(input, scorer, Columns(input.Schema));
    }

    /// <inheritdoc/>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => IsRowToRowMapper
        ? new ScoredRowMapper(inputSchema, scorer, Columns(inputSchema))
        : throw new InvalidOperationException($"with {nameof(OnInvalidImage)} = {nameof(OnInvalidImage.Skip)} rows are left out, and no row maps to one row");

    /// <inheritdoc/>
    public void Dispose() => scorer.Dispose();

    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        if (options.WithoutStockTwin is { } option)
            throw new NotSupportedException($"{option} has no twin in stock ML.NET, and this cannot be saved. Save one without it, and set it again after loading; or ship the .onnx file and ClassifyImages");
        if (fittedTo is not InputKind.Pixels && classifier.Card.Reading.WithoutStockTwin is { } reading)
            throw new NotSupportedException($"the model reads its pictures with {reading}, which stock ML.NET has not, and this cannot be saved. Use a column of pixels; or ship the .onnx file and ClassifyImages");
        if (fittedTo is InputKind.Encoded)
            throw new NotSupportedException("encoded pictures (a vector of bytes) have no reader in stock ML.NET, and this cannot be saved. Use a column of paths or of MLImage; or ship the .onnx file and ClassifyImages");
        var data = StockInput(fittedTo ?? InputKind.Path);
        using var stage = OnnxStage.Load(context, MlNetModel.From(onnx, name, ClassNames), [MlNetModel.Score, MlNetModel.PredictedLabel], [StockPipeline.PixelsColumn]);
        IEstimator<ITransformer> last = stage.Estimator;
        if (fittedTo == InputKind.Pixels && options.ImageColumn != StockPipeline.PixelsColumn) last = context.Transforms.CopyColumns(StockPipeline.PixelsColumn, options.ImageColumn).Append(last);
        var chain = StockPipeline.Reading(context, classifier.Card, options.ImageColumn, fittedTo ?? InputKind.Path)?.Append(last) ?? last;
        var stock = chain.Fit(data);
        using var disposable = stock as IDisposable;
        ((ICanSaveModel)stock).Save(ctx);
    }

    private ScoredSchema Columns(DataViewSchema input)
    {
        var columns = new ScoredSchema(input, scorer.OutputsFor(input));
        fittedTo = InputKinds.Of(options.ImageColumn, input[options.ImageColumn].Type, classifier.Card);
        return columns;
    }

    /// <summary>A view without rows, with the column that the stock chain reads.</summary>
    private IDataView StockInput(InputKind kind)
    {
        var builder = new DataViewSchema.Builder();
        builder.AddColumn(options.ImageColumn, kind switch
        {
            InputKind.Image => new Microsoft.ML.Transforms.Image.ImageDataViewType(),
            InputKind.Pixels => new VectorDataViewType(NumberDataViewType.Single, 3 * classifier.Width * classifier.Height),
            _ => TextDataViewType.Instance,
        });
        return new EmptyView(builder.ToSchema());
    }
}
