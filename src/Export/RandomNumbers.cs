namespace TorchBridge.Export;

/// <summary>What becomes of random numbers that <c>forward</c> draws in eval mode: <c>rand</c>, <c>randn</c>,
/// <c>randint</c> and their <c>_like</c> forms. Dropout draws none there.</summary>
public enum RandomNumbers
{
    /// <summary>An error that names the line: a file cannot repeat them. The default.</summary>
    Refused,

    /// <summary>Drawn once, with <see cref="ExportOptions.Seed"/>, and constants of the file: every run has the same.
    /// Their shape may not follow a free axis.</summary>
    Fixed,

    /// <summary>Drawn anew by the file at each run (<c>RandomNormalLike</c>, <c>RandomUniformLike</c>), from the same
    /// distribution and of the same shape. All else is compared with the module, given the numbers that it
    /// drew.</summary>
    Drawn,
}
