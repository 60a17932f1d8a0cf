using Microsoft.ML;
using Microsoft.ML.Data;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference;

/// <summary>Classifies a column of pictures in ML.NET in batches. Create it with
/// <c>mlContext.Transforms.ClassifyImages</c>.</summary>
public sealed class ImageClassificationEstimator : IEstimator<ImageClassificationTransformer>
{
    private readonly MLContext context;
    private readonly byte[] onnx;
    private readonly string name;
    private readonly ImageClassificationOptions options;

    /// <summary>
    /// Reads the model and its card; <see cref="Fit"/> verifies that it can run.
    /// </summary>
    /// <param name="context">The context whose catalog creates it.</param>
    /// <param name="modelPath">A classifier's ONNX file.</param>
    /// <param name="options">Columns, batch size, and handling of unreadable pictures.</param>
    /// <exception cref="InvalidDataException">The file is not a TorchBridge classifier.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The batch size is below 1, or TopK is not from 1 to the number
    /// of classes.</exception>
    internal ImageClassificationEstimator(MLContext context, string modelPath, ImageClassificationOptions options)
    {
        this.context = context;
        this.options = options;
        name = modelPath;
        SkiaVersion.Check();
        onnx = SessionSettings.ReadModel(modelPath);
        var card = ModelCard.Read(onnx, modelPath);
        if (options.BatchSize is < 1)
            throw new ArgumentOutOfRangeException(
                nameof(options),
                options.BatchSize,
                "the batch size must be at least 1"
            );
        if (options.TopK is { } k && (k < 1 || k > card.ClassNames.Count))
            throw new ArgumentOutOfRangeException(
                nameof(options),
                k,
                $"{nameof(options.TopK)} is {k}; allowed is 1 to {card.ClassNames.Count}, the number of classes"
            );
    }

    /// <summary>Opens the model. Nothing is trained: the data are only used to check the column.</summary>
    /// <param name="input">Data with the picture column.</param>
    /// <returns>A transformer that owns an ONNX Runtime session; dispose it.</returns>
    /// <exception cref="ArgumentException">The column does not exist or its type cannot be classified.</exception>
    /// <exception cref="InvalidDataException">The network cannot be opened, or its metadata do not match its
    /// graph.</exception>
    public ImageClassificationTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        var classifier = ImageClassifier.Load(onnx, name, options.Session);
        try
        {
            var column = input.Schema.GetColumnOrNull(options.ImageColumn)
                ?? throw new ArgumentException(
                    $"there is no column '{options.ImageColumn}'; the columns are "
                        + $"{string.Join(", ", input.Schema.Select(item => item.Name))}",
                    nameof(input)
                );
            var transformer = new ImageClassificationTransformer(
                context,
                onnx,
                name,
                classifier,
                options,
                InputKinds.Of(column.Name, column.Type, classifier.Card)
            );
            transformer.GetOutputSchema(input.Schema);
            return transformer;
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        if (!inputSchema.Any(column => column.Name == options.ImageColumn))
            throw new ArgumentException(
                $"there is no column '{options.ImageColumn}'; the columns are "
                    + $"{string.Join(", ", inputSchema.Select(column => column.Name))}",
                nameof(inputSchema)
            );
        return Shape(inputSchema);
    }

    /// <summary>
    /// Column shapes cannot be created outside of ML.NET, so they are taken from a stock estimator that produces
    /// columns of the same types.
    /// </summary>
    /// <param name="inputSchema">Schema of the rows.</param>
    private SchemaShape Shape(SchemaShape inputSchema)
    {
        var definition = SchemaDefinition.Create(typeof(Made));
        void Column(string member, string? columnName)
        {
            if (columnName is null)
                definition.Remove(definition[member]);
            else
                definition[member].ColumnName = columnName;
        }

        Column(nameof(Made.Score), options.ScoreColumn);
        Column(nameof(Made.Label), options.PredictedLabelColumn);
        Column(nameof(Made.Logits), options.LogitsColumn);
        Column(nameof(Made.TopLabels), options.TopK is null ? null : options.TopLabelsColumn);
        Column(nameof(Made.TopScores), options.TopK is null ? null : options.TopScoresColumn);
        Column(nameof(Made.IsValid), options.OnInvalidImage == OnInvalidImage.MarkRow ? options.IsValidColumn : null);
        var shape = context
            .Transforms.CustomMapping<Nothing, Made>(
                (_, _) => { },
                contractName: null,
                inputSchemaDefinition: null,
                outputSchemaDefinition: definition
            )
            .GetOutputSchema(inputSchema);
        // Keys with the names of their values, which MapKeyToValue needs.
        return options.Label == LabelKind.Key
            ? context.Transforms.Conversion.MapValueToKey(options.PredictedLabelColumn).GetOutputSchema(shape)
            : shape;
    }

    /// <summary>An input row without columns.</summary>
    private sealed class Nothing;

    /// <summary>The output row: one member per column. Vectors have some known length, which shapes do not
    /// contain.</summary>
    private sealed class Made
    {
        /// <summary>Probabilities, one per class.</summary>
        [VectorType(1)]
        public float[]? Score { get; set; }

        /// <summary>The most probable class.</summary>
        public string? Label { get; set; }

        /// <summary>Logits, one per class, if requested.</summary>
        [VectorType(1)]
        public float[]? Logits { get; set; }

        /// <summary>The most probable classes, if requested.</summary>
        [VectorType(1)]
        public string[]? TopLabels { get; set; }

        /// <summary>Their probabilities.</summary>
        [VectorType(1)]
        public float[]? TopScores { get; set; }

        /// <summary>Whether the picture could be read, if invalid rows are marked.</summary>
        public bool IsValid { get; set; }
    }
}
