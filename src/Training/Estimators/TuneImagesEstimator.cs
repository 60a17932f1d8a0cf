using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchBridge.Inference;
using TorchBridge.Inference.Pictures;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Weights;

namespace TorchBridge.Training.Estimators;

/// <summary>Fine-tunes a network on a column of pictures and a column of classes. Create it with
/// <c>context.MulticlassClassification.Trainers.TuneImages</c>.</summary>
public sealed class TuneImagesEstimator : IEstimator<ImageClassificationTransformer>
{
    private readonly MLContext context = new(seed: 0);
    private readonly TuneImagesOptions options;

    /// <summary>Creates an estimator after checking the options' ranges.</summary>
    /// <param name="options">Columns, weights and training options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    internal TuneImagesEstimator(TuneImagesOptions options)
    {
        void Require(bool isRight, string name, object value, string allowed)
        {
            if (!isRight)
                throw new ArgumentOutOfRangeException(
                    nameof(options),
                    value,
                    FormattableString.Invariant($"{name} is {value}; allowed is {allowed}")
                );
        }

        Require(options.Size is >= 32 and <= 512, nameof(options.Size), options.Size, "32 to 512");
        Require(
            options.ValidationShare is > 0 and <= 0.5,
            nameof(options.ValidationShare),
            options.ValidationShare,
            "above 0 to 0.5"
        );
        Require(
            options.Epochs is null or (>= 1 and <= 100_000),
            nameof(options.Epochs),
            options.Epochs ?? 0,
            "1 to 100,000"
        );
        this.options = options;
    }

    /// <summary>Trains, exports and verifies a model; part of the rows is held out for validation.</summary>
    /// <param name="input">Data with a column of pictures and a column of classes.</param>
    /// <exception cref="InvalidOperationException">The data or the weights cannot be used; the message says
    /// why.</exception>
    /// <exception cref="OperationCanceledException">Training was cancelled.</exception>
    public ImageClassificationTransformer Fit(IDataView input) => Fit(input, null);

    /// <summary>Trains, exports and verifies a model.</summary>
    /// <param name="input">Data with a column of pictures and a column of classes.</param>
    /// <param name="validation">Validation data with the same columns; null to hold out part of <paramref
    /// name="input"/>.</param>
    /// <exception cref="InvalidOperationException">The data or the weights cannot be used; the message says
    /// why.</exception>
    /// <exception cref="OperationCanceledException">Training was cancelled.</exception>
    public ImageClassificationTransformer Fit(IDataView input, IDataView? validation)
    {
        ArgumentNullException.ThrowIfNull(input);
        try
        {
            var reading = new PictureReading(options.Antialias);
            var rows = PictureColumn.Read(input, options, reading, null);
            if (rows.ClassNames.Count < 2)
                throw new UserException(
                    $"The column '{options.LabelColumn}' has only {rows.ClassNames.Count} class; a classifier "
                        + $"needs at least two."
                );
            var held = validation is null ? null : PictureColumn.Read(validation, options, reading, rows.ClassNames);
            var (training, forValidation) = held is null ? Split(rows.Pictures) : (rows.Pictures, held.Pictures);
            if (training.Count == 0 || forValidation.Count == 0)
                throw new UserException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"There are {training.Count} pictures for training and {forValidation.Count} for "
                            + $"validation, but both parts need some. Provide more rows, or another "
                            + $"{nameof(options.ValidationShare)}."
                    )
                );
            var data = new PictureData("rows of a data view", rows.ClassNames, training, forValidation, forValidation);
            return Train(data, reading, rows.IsKey);
        }
        catch (UserException error)
        {
            throw new InvalidOperationException(error.Message, error);
        }
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        foreach (var name in (string[])[options.ImageColumn, options.LabelColumn])
        {
            if (!inputSchema.Any(column => column.Name == name))
                throw new ArgumentException(
                    $"there is no column '{name}'; the columns are "
                        + $"{string.Join(", ", inputSchema.Select(column => column.Name))}",
                    nameof(inputSchema)
                );
        }

        // Column shapes cannot be created outside ML.NET, so they are taken from stock estimators that add columns of
        // the same types.
        var made = context.Transforms.CustomMapping<Nothing, Made>((_, _) => { }, contractName: null);
        return inputSchema.First(column => column.Name == options.LabelColumn).IsKey
            ? made.Append(context.Transforms.Conversion.MapValueToKey(nameof(Made.PredictedLabel)))
                .GetOutputSchema(inputSchema)
            : made.GetOutputSchema(inputSchema);
    }

    /// <summary>
    /// Trains on pictures in memory, exports to a temporary file, and creates a transformer from it.
    /// </summary>
    /// <param name="data">The training and validation parts; there is no test part.</param>
    /// <param name="reading">How the pictures were read, which is stored in the model.</param>
    /// <param name="isKey">Whether the label is a key, so that <c>PredictedLabel</c> is one too.</param>
    private ImageClassificationTransformer Train(PictureData data, PictureReading reading, bool isKey)
    {
        using var weights = PretrainedWeights.Open(options.Weights);
        var configuration = RunConfiguration.Named(options.TuneAll ? "photos-all" : "photos");
        var network = weights.Shape(configuration.Network, isKindAsked: false) with
        {
            Classes = data.ClassNames.Count,
            Height = options.Size,
            Width = options.Size,
        };
        var recipe = configuration.Training with
        {
            Epochs = options.Epochs ?? configuration.Training.Epochs,
            WarmUpEpochs = Math.Min(
                configuration.Training.WarmUpEpochs,
                options.Epochs ?? configuration.Training.Epochs
            ),
        };
        var settings = new ModelSettings(
            network,
            recipe,
            ComputeOptions.Parse("auto", null, "cpu"),
            options.Seed,
            data.Name,
            null,
            data.ClassNames,
            weights.Statistics
        )
        {
            Reading = reading,
            Start = weights.Origin,
        };
        using var model = new TrainedModel(settings);
        var log = new LogObserver(options.Log);
        log.Note(weights.LoadInto(model.Network, data.ClassNames, data.Training));
        var result = new Trainer(model, log).Train(data, stop: options.Cancellation);
        if (result.Ending == TrainingResult.StoppedByUser)
            throw new OperationCanceledException(options.Cancellation);
        var evaluation = Evaluation.Of(model.Classifier, data.Test, options.Cancellation);
        var scratch = TemporaryFolder.Create("tune");
        try
        {
            var folder = new ModelFolder(scratch.FullName);
            var packaged = ModelPackager.Package(
                model,
                folder,
                new LoadedData(data, () => DataSource.ToPng(data.Test)),
                evaluation,
                stop: options.Cancellation
            );
            log.Note(ModelPackager.Describe(packaged.Parity[^1]));
            return context
                .Transforms.ClassifyImages(
                    folder.Onnx,
                    options.ImageColumn,
                    new ImageClassificationOptions { Label = isKey ? LabelKind.Key : LabelKind.Text }
                )
                .Fit(Empty());
        }
        finally
        {
            scratch.Delete(recursive: true);
        }
    }

    /// <summary>Splits the rows, stratified by class.</summary>
    /// <param name="set">All rows.</param>
    /// <returns>Two sets; the options' share of each class, rounded, is for validation.</returns>
    private (PictureSet Training, PictureSet Validation) Split(PictureSet set)
    {
        List<int> training = [],
            validation = [];
        foreach (var group in Enumerable.Range(0, set.Count).GroupBy(i => set.Labels[i]).OrderBy(group => group.Key))
        {
            var members = group.ToArray();
            var order = new Draw(options.Seed, 7, group.Key)
                .Permutation(members.Length)
                .Select(i => members[i])
                .ToArray();
            var count = (int)Math.Round(options.ValidationShare * members.Length);
            validation.AddRange(order.Take(count).Order());
            training.AddRange(order.Skip(count).Order());
        }

        return (set.Select(training), set.Select(validation));
    }

    /// <summary>A data view without rows, whose schema lets the transformer check its column.</summary>
    private IDataView Empty()
    {
        var definition = SchemaDefinition.Create(typeof(PathRow));
        definition[nameof(PathRow.Path)].ColumnName = options.ImageColumn;
        return context.Data.LoadFromEnumerable(Array.Empty<PathRow>(), definition);
    }

    private sealed class Nothing;

    private sealed class PathRow
    {
        public string Path { get; set; } = "";
    }

    private sealed class Made
    {
        [VectorType(1)]
        public float[]? Score { get; set; }

        public string? PredictedLabel { get; set; }
    }
}
