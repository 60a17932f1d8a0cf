using TorchBridge.Export.Capture;
using TorchBridge.Export.Sizes;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>Inputs, and what the module makes of them.</summary>
/// <param name="Name">For the report: <c>random, batch = 17, x_2 = 96</c>.</param>
/// <param name="Point">Where it runs.</param>
/// <param name="Kind">What is in the inputs.</param>
/// <param name="Inputs">The inputs.</param>
/// <param name="Expected">The module's outputs.</param>
/// <param name="IsExpensive">Whether the file runs once only: folded, and with ONNX Runtime's optimizations.</param>
/// <param name="RanOnce">Whether the module ran once: it has not shown yet that it gives the same twice.</param>
internal sealed record VerificationCase(
    string Name,
    SizePoint Point,
    InputKind Kind,
    Tensor[] Inputs,
    Tensor[] Expected,
    bool IsExpensive,
    bool RanOnce
) : IDisposable
{
    /// <summary>Whether NaN and infinities are fed, which some of ONNX Runtime's kernels treat in ways of their
    /// own.</summary>
    public bool IsSpecial => Kind is InputKind.NotANumber or InputKind.Infinities;

    /// <summary>Whether there are no rows.</summary>
    public bool IsEmpty => Inputs.Any(input => input.numel() == 0);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in Inputs.Concat(Expected))
            tensor.Dispose();
    }
}
