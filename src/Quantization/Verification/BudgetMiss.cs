namespace TorchBridge.Quantization.Verification;

/// <summary>
/// What a budget misses, and where: the first of the conditions that does not hold.
/// </summary>
/// <param name="Text">As people read it.</param>
/// <param name="Output">The output that misses it.</param>
internal sealed record BudgetMiss(string Text, string Output)
{
    /// <inheritdoc/>
    public override string ToString() => Text;
}
