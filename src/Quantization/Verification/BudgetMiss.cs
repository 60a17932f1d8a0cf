namespace TorchBridge.Quantization.Verification;

/// <summary>
/// The first condition of a budget that is not met.
/// </summary>
/// <param name="Text">Human-readable description.</param>
/// <param name="Output">The output that misses the budget.</param>
internal sealed record BudgetMiss(string Text, string Output)
{
    /// <inheritdoc/>
    public override string ToString() => Text;
}
