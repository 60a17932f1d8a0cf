namespace TorchBridge.Export.Tests.Generators;

/// <summary>The outcome of a generated case.</summary>
public enum GeneratedOutcome
{
    /// <summary>The file equals the module wherever it was looked at.</summary>
    Right,

    /// <summary>The export was refused.</summary>
    Refused,

    /// <summary>The module itself does not take its example: there is nothing to export.</summary>
    Invalid,

    /// <summary>The file differs from the module, verification had to stop a wrong lowering, or another exception
    /// came out.</summary>
    Wrong,
}
