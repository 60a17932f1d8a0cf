using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests.Generators;

/// <summary>How floating-point results are compared. Integers and Booleans are always compared exactly, and NaN is
/// equal only to NaN.</summary>
internal enum Closeness
{
    /// <summary>Each element by its own size: functions of single elements.</summary>
    Element,

    /// <summary>Each element by the largest one of its row (the last axis): sums of products.</summary>
    Row,

    /// <summary>As <see cref="Element"/>, and the sign of a zero counts too.</summary>
    ElementAndSignOfZero,
}

/// <summary>A module with an example, and other inputs for which the file must give the same results as the
/// module.</summary>
/// <param name="Name">Name of the case, for the report.</param>
/// <param name="Module">The module, in eval mode.</param>
/// <param name="Example">The example with which it is exported.</param>
/// <param name="Others">Inputs that the export has not seen, with their descriptions.</param>
internal sealed record GeneratedCase(
    string Name,
    nn.Module Module,
    Tensor[] Example,
    IReadOnlyList<(string What, Tensor[] Inputs)> Others
)
{
    /// <summary>How exactly results must agree.</summary>
    public Closeness Closeness { get; init; } = Closeness.Row;

    /// <summary>Factor on the usual tolerance, for functions that amplify roundings.</summary>
    public double Slack { get; init; } = 1;

    /// <summary>What a float32 result near zero may be off by: ONNX Runtime's kernels for sigmoid, tanh and erf are
    /// exact to 1e-7 of one, not of their value.</summary>
    public double Floor { get; init; } = 1e-7;

    /// <summary>Size of the terms that a result is summed up from where they may cancel: roundings are of these,
    /// however small what is left of them.</summary>
    public double Terms { get; init; }

    /// <summary>Options of the export.</summary>
    public ExportOptions Options { get; init; } = new() { Verify = false };
}
