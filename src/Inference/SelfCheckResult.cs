namespace TorchBridge.Inference;

/// <summary>What a self-check found on this machine.</summary>
/// <param name="Pictures">Pictures compared.</param>
/// <param name="Agree">Pictures with the same most probable class; ties within the tolerance agree.</param>
/// <param name="LargestDifference">Largest absolute difference of a logit; infinity where NaN or infinity came
/// out.</param>
/// <param name="Tolerance">What it was allowed to be, in the unit of the logits.</param>
public sealed record SelfCheckResult(int Pictures, int Agree, double LargestDifference, double Tolerance)
{
    /// <summary>Whether this machine computes what the model's maker computed. NaN never passes.</summary>
    public bool Passed => Agree == Pictures && LargestDifference <= Tolerance;
}
