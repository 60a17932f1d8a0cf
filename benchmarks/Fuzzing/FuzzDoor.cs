namespace TorchBridge.Benchmarks.Fuzzing;

/// <summary>A place where something from outside comes in.</summary>
/// <param name="Corpus">Inputs that are right, or that were once the cause of a fault; mutants are made of
/// them.</param>
/// <param name="IsDocumented">Whether the door documents an exception: it says of a bad input that it is bad.</param>
/// <param name="Open">Gives the door an input; the generator decides what else may vary.</param>
internal sealed record FuzzDoor(
    IReadOnlyList<byte[]> Corpus,
    Func<Exception, bool> IsDocumented,
    Action<byte[], Random> Open
)
{
    /// <summary>Whether an input is text with numbers in it, which are then changed as numbers.</summary>
    public bool IsText { get; init; }
}
