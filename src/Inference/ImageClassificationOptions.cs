using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference;

/// <summary>How a column of pictures is classified.</summary>
public sealed record ImageClassificationOptions
{
    internal const string DefaultImageColumn = "ImagePath";

    /// <summary>The column of pictures: paths (text), MLImage, encoded pictures (vector of bytes), or pixels (vector
    /// of floats).</summary>
    public string ImageColumn { get; init; } = DefaultImageColumn;

    /// <summary>Receives the probabilities, with the class names as slot names.</summary>
    public string ScoreColumn { get; init; } = "Score";

    /// <summary>Receives the most probable class; missing where the network says NaN.</summary>
    public string PredictedLabelColumn { get; init; } = "PredictedLabel";

    /// <summary>What that column holds. Default text.</summary>
    public LabelKind Label { get; init; }

    /// <summary>Receives the logits; null for no such column.</summary>
    public string? LogitsColumn { get; init; }

    /// <summary>How many of the most probable classes <see cref="TopLabelsColumn"/> and <see cref="TopScoresColumn"/>
    /// hold; null for no such columns.</summary>
    public int? TopK { get; init; }

    /// <summary>Receives the names of the most probable classes.</summary>
    public string TopLabelsColumn { get; init; } = "TopLabels";

    /// <summary>Receives their probabilities.</summary>
    public string TopScoresColumn { get; init; } = "TopScores";

    /// <summary>What happens to a picture that cannot be read. Default: the error is thrown.</summary>
    public OnInvalidImage OnInvalidImage { get; init; }

    /// <summary>With <see cref="OnInvalidImage.MarkRow"/>: whether the row's picture could be read.</summary>
    public string IsValidColumn { get; init; } = "IsValid";

    /// <summary>Called with every picture that cannot be read, where it is not thrown.</summary>
    public Action<InvalidPictureException>? InvalidImage { get; init; }

    /// <summary>Rows that are scored at once; null to find out on the first ones.</summary>
    public int? BatchSize { get; init; }

    /// <summary>How the session is opened.</summary>
    public SessionSettings Session { get; init; } = new();

    /// <summary>The option that stock ML.NET has no twin of, or null.</summary>
    internal string? WithoutStockTwin =>
        OnInvalidImage != OnInvalidImage.Throw ? $"{nameof(OnInvalidImage)} = {OnInvalidImage}"
        : TopK is not null ? nameof(TopK)
        : LogitsColumn is not null ? nameof(LogitsColumn)
        : Label == LabelKind.Key ? $"{nameof(Label)} = {Label}"
        : ScoreColumn != MlNetModel.Score ? nameof(ScoreColumn)
        : PredictedLabelColumn != MlNetModel.PredictedLabel ? nameof(PredictedLabelColumn)
        : null;
}
