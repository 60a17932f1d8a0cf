using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference;

/// <summary>
/// How a column of pictures is classified: which columns are read and made, how many rows at once, and what becomes
/// of pictures that cannot be read.
/// </summary>
public sealed record ImageClassificationOptions
{
    /// <summary>
    /// What <see cref="ImageColumn"/> is where nobody says otherwise: the stock zip's.
    /// </summary>
    internal const string DefaultImageColumn = "ImagePath";

    /// <summary>The column of pictures: paths (text), MLImage, encoded pictures (vector of bytes), or pixels (vector
    /// of floats).</summary>
    public string ImageColumn { get; init; } = DefaultImageColumn;

    /// <summary>
    /// Receives the probabilities: a vector of float32, one per class, adding up to one, with the class names as slot
    /// names. Default: Score.
    /// </summary>
    public string ScoreColumn { get; init; } = "Score";

    /// <summary>Receives the most probable class; missing where the network says NaN.</summary>
    public string PredictedLabelColumn { get; init; } = "PredictedLabel";

    /// <summary>
    /// What the column of labels holds: text (the default), or keys numbered in the order of the model's classes.
    /// </summary>
    public LabelKind Label { get; init; }

    /// <summary>
    /// Receives the logits, a vector of float32, one per class; null (the default) for no such column.
    /// </summary>
    public string? LogitsColumn { get; init; }

    /// <summary>
    /// How many of the most probable classes <see cref="TopLabelsColumn"/> and <see cref="TopScoresColumn"/> hold, 1
    /// to the number of classes; null (the default) for no such columns.
    /// </summary>
    public int? TopK { get; init; }

    /// <summary>
    /// Receives the names of the most probable classes, the most probable first: a vector of <see cref="TopK"/>
    /// texts.
    /// </summary>
    public string TopLabelsColumn { get; init; } = "TopLabels";

    /// <summary>Receives their probabilities, in the same order: a vector of float32.</summary>
    public string TopScoresColumn { get; init; } = "TopScores";

    /// <summary>
    /// What happens to a picture that cannot be read. Default: the error is thrown, after the rows before it were
    /// given out.
    /// </summary>
    public OnInvalidImage OnInvalidImage { get; init; }

    /// <summary>
    /// With <see cref="OnInvalidImage.MarkRow"/>, receives whether the row's picture could be read. Default: IsValid.
    /// </summary>
    public string IsValidColumn { get; init; } = "IsValid";

    /// <summary>
    /// Called with every picture that cannot be read, where it is not thrown; on the thread of the cursor. What it
    /// throws ends the row.
    /// </summary>
    public Action<InvalidPictureException>? InvalidImage { get; init; }

    /// <summary>
    /// Rows that are scored at once, 1 and up; null (the default) to find out by timing the first batches.
    /// </summary>
    public int? BatchSize { get; init; }

    /// <summary>How the session is opened: threads and execution providers.</summary>
    public SessionSettings Session { get; init; } = new();

    /// <summary>
    /// The first option set that stock ML.NET has no equivalent of, for a refusal to save; null where there is none.
    /// </summary>
    internal string? WithoutStockTwin =>
        OnInvalidImage != OnInvalidImage.Throw ? $"{nameof(OnInvalidImage)} = {OnInvalidImage}"
        : TopK is not null ? nameof(TopK)
        : LogitsColumn is not null ? nameof(LogitsColumn)
        : Label == LabelKind.Key ? $"{nameof(Label)} = {Label}"
        : ScoreColumn != MlNetModel.Score ? nameof(ScoreColumn)
        : PredictedLabelColumn != MlNetModel.PredictedLabel ? nameof(PredictedLabelColumn)
        : null;
}
