using TorchBridge.Export.Capture;
using TorchBridge.Export.Sizes;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>Inputs and the module's outputs for them.</summary>
/// <param name="Name">Name for the report: <c>random, batch = 17, x_2 = 96</c>.</param>
/// <param name="Point">Sizes of the free axes.</param>
/// <param name="Kind">Kind of the inputs.</param>
/// <param name="Inputs">The inputs.</param>
/// <param name="Expected">The module's outputs.</param>
/// <param name="IsExpensive">Whether the file runs only once: folded, and with ONNX Runtime's optimizations.</param>
/// <param name="RanOnce">Whether the module ran only once, so that it has not been shown to repeat its result
/// yet.</param>
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
    /// <summary>Whether the inputs contain NaN or infinities, which some of ONNX Runtime's kernels treat
    /// differently.</summary>
    public bool IsSpecial => Kind is InputKind.NotANumber or InputKind.Infinities;

    /// <summary>Whether an input has no elements.</summary>
    public bool IsEmpty => Inputs.Any(input => input.numel() == 0);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in Inputs.Concat(Expected))
            tensor.Dispose();
    }
}
