namespace TorchBridge.Inference;

/// <summary>What happens to a picture that cannot be read: one that is missing, truncated, or none at all.</summary>
public enum OnInvalidImage
{
    /// <summary>The error is thrown; it names the picture.</summary>
    Throw,

    /// <summary>The row is left out.</summary>
    Skip,

    /// <summary>The row stays, with a missing label, scores of NaN and <c>IsValid</c> false.</summary>
    MarkRow,
}
