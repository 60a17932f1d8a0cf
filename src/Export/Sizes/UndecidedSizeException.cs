namespace TorchBridge.Export.Sizes;

/// <summary>Several formulas fit a size in all traces so far, and one more trace must decide.</summary>
/// <param name="refusal">The exception to throw if no trace decides.</param>
/// <param name="point">Point at which the formulas differ; null if any other point may decide.</param>
internal sealed class UndecidedSizeException(ExportException refusal, SizePoint? point)
    : Exception(refusal.Message, refusal)
{
    /// <summary>The exception to throw if no trace decides.</summary>
    public ExportException Refusal => refusal;

    /// <summary>Point at which the formulas differ.</summary>
    public SizePoint? Point => point;
}
