namespace TorchBridge.Inference;

/// <summary>How a picture that cannot be read is handled: one that is missing, truncated, or not a picture.</summary>
public enum OnInvalidImage
{
    /// <summary>An exception that names the picture is thrown.</summary>
    Throw,

    /// <summary>The row is skipped.</summary>
    Skip,

    /// <summary>The row is kept, with a missing label, NaN scores and <c>IsValid</c> set to false.</summary>
    MarkRow,
}
