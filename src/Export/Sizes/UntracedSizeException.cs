namespace TorchBridge.Export.Sizes;

/// <summary>A file differs from its module at a size that was not traced: traced there too, the formulas may come out
/// right.</summary>
/// <param name="point">Where.</param>
/// <param name="difference">How.</param>
internal sealed class UntracedSizeException(SizePoint point, ParityException difference)
    : Exception(difference.Message, difference)
{
    /// <summary>Where it differs.</summary>
    public SizePoint Point => point;

    /// <summary>How it differs.</summary>
    public ParityException Difference => difference;
}
