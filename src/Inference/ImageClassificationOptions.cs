using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference;

/// <summary>
/// Options for classifying a column of pictures: input and output columns, batch size, and handling of unreadable
/// pictures.
/// </summary>
public sealed record ImageClassificationOptions
{
    /// <summary>
    /// Default of <see cref="ImageColumn"/>: the column of the stock zip.
    /// </summary>
    internal const string DefaultImageColumn = "ImagePath";

    /// <summary>The picture column: paths (text), MLImage, encoded pictures (vector of bytes), or pixels (vector of
    /// floats).</summary>
    public string ImageColumn { get; init; } = DefaultImageColumn;

    /// <summary>
    /// Name of the column for the probabilities: a float32 vector with one element per class that sums to one, with
    /// the class names as slot names. Default: Score.
    /// </summary>
    public string ScoreColumn { get; init; } = "Score";

    /// <summary>Name of the column for the most probable class; the value is missing if the network returns NaN.
    /// Default: PredictedLabel.</summary>
    public string PredictedLabelColumn { get; init; } = "PredictedLabel";

    /// <summary>
    /// Type of the label column: text (the default), or keys numbered in the order of the model's classes.
    /// </summary>
    public LabelKind Label { get; init; }

    /// <summary>
    /// Name of the column for the logits, a float32 vector with one element per class; null (the default) for no such
    /// column.
    /// </summary>
    public string? LogitsColumn { get; init; }

    /// <summary>
    /// Number of most probable classes in <see cref="TopLabelsColumn"/> and <see cref="TopScoresColumn"/>, from 1 to
    /// the number of classes; null (the default) for no such columns.
    /// </summary>
    public int? TopK { get; init; }

    /// <summary>
    /// Name of the column for the most probable classes, the most probable first: a text vector with <see
    /// cref="TopK"/> elements. Default: TopLabels.
    /// </summary>
    public string TopLabelsColumn { get; init; } = "TopLabels";

    /// <summary>Name of the column for their probabilities, in the same order: a float32 vector. Default:
    /// TopScores.</summary>
    public string TopScoresColumn { get; init; } = "TopScores";

    /// <summary>
    /// Handling of a picture that cannot be read. Default: the error is thrown after the preceding rows have been
    /// returned.
    /// </summary>
    public OnInvalidImage OnInvalidImage { get; init; }

    /// <summary>
    /// With <see cref="OnInvalidImage.MarkRow"/>, name of the column that says whether the row's picture could be
    /// read. Default: IsValid.
    /// </summary>
    public string IsValidColumn { get; init; } = "IsValid";

    /// <summary>
    /// Called for every picture that cannot be read, unless the error is thrown; runs on the cursor's thread. An
    /// exception from the callback is thrown for that row.
    /// </summary>
    public Action<InvalidPictureException>? InvalidImage { get; init; }

    /// <summary>
    /// Number of rows scored at once, at least 1; null (the default) to choose by timing the first batches.
    /// </summary>
    public int? BatchSize { get; init; }

    /// <summary>Settings of the session: threads and execution providers.</summary>
    public SessionSettings Session { get; init; } = new();

    /// <summary>
    /// The first option in use that stock ML.NET has no equivalent for, which makes saving impossible; null if there
    /// is none.
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
