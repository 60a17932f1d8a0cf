namespace TorchBridge.Export.Sizes;

/// <summary>Several formulas fit a size in all traces so far: one more trace is to decide.</summary>
/// <param name="refusal">What is thrown where no trace decides.</param>
/// <param name="point">Where the formulas differ; null where any further point may show it.</param>
internal sealed class UndecidedSizeException(ExportException refusal, SizePoint? point)
    : Exception(refusal.Message, refusal)
{
    /// <summary>What is thrown where no trace decides.</summary>
    public ExportException Refusal => refusal;

    /// <summary>Where the formulas differ.</summary>
    public SizePoint? Point => point;
}
