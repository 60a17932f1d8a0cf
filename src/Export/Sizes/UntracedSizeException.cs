namespace TorchBridge.Export.Sizes;

/// <summary>A file differs from its module at a size that was not traced; tracing that size as well may yield the
/// right formulas.</summary>
/// <param name="point">The size at which they differ.</param>
/// <param name="difference">The difference.</param>
internal sealed class UntracedSizeException(SizePoint point, ParityException difference)
    : Exception(difference.Message, difference)
{
    /// <summary>The size at which they differ.</summary>
    public SizePoint Point => point;

    /// <summary>The difference.</summary>
    public ParityException Difference => difference;
}
