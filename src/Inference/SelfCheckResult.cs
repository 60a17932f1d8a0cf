namespace TorchBridge.Inference;

/// <summary>The result of a self-check on this machine.</summary>
/// <param name="Pictures">Number of pictures compared.</param>
/// <param name="Agree">Number of pictures with the same most probable class; ties within the tolerance agree.</param>
/// <param name="LargestDifference">Largest absolute difference of a logit; infinity if a logit is NaN or
/// infinite.</param>
/// <param name="Tolerance">Largest allowed difference, in the unit of the logits.</param>
public sealed record SelfCheckResult(int Pictures, int Agree, double LargestDifference, double Tolerance)
{
    /// <summary>Whether this machine computes the same results as the exporting machine. NaN never passes.</summary>
    public bool Passed => Agree == Pictures && LargestDifference <= Tolerance;
}
