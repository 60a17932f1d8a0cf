namespace TorchBridge.Benchmarks.Fuzzing;

/// <summary>An entry point for data from outside (a door).</summary>
/// <param name="Corpus">Inputs that are valid, or that once caused a fault. Mutants are made from them.</param>
/// <param name="IsDocumented">Whether an exception is documented as the refusal of a bad input.</param>
/// <param name="Open">Gives an input to the entry point; the random generator chooses its options.</param>
internal sealed record FuzzDoor(
    IReadOnlyList<byte[]> Corpus,
    Func<Exception, bool> IsDocumented,
    Action<byte[], Random> Open
)
{
    /// <summary>Whether inputs are JSON text, whose values are then replaced as a whole.</summary>
    public bool IsText { get; init; }
}
