namespace TorchBridge.Export;

/// <summary>How random numbers that <c>forward</c> draws in eval mode are exported: <c>rand</c>, <c>randn</c>,
/// <c>randint</c> and their <c>_like</c> forms. Dropout draws none in eval mode.</summary>
public enum RandomNumbers
{
    /// <summary>The export is refused with an error that names the line, because a file cannot reproduce them. The
    /// default.</summary>
    Refused,

    /// <summary>Drawn once, with <see cref="ExportOptions.Seed"/>, and stored as constants in the file, so every run
    /// uses the same numbers. Their shape must not depend on a free axis.</summary>
    Fixed,

    /// <summary>Drawn again by the file at each run (<c>RandomNormalLike</c>, <c>RandomUniformLike</c>), from the
    /// same distribution and with the same shape. Everything else is compared with the module using the numbers that
    /// the module drew.</summary>
    Drawn,
}
