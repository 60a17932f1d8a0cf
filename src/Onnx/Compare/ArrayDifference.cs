namespace TorchBridge.Onnx.Compare;

/// <summary>How an array of numbers differs from what was expected.</summary>
/// <param name="LargestAbsolute">Largest absolute difference; infinity where one number is not finite and the other
/// is not the same.</param>
/// <param name="LargestRelative">Largest difference over the expected number, of those above 1 % of the
/// largest.</param>
/// <param name="LargestValue">Largest absolute expected number that is finite.</param>
/// <param name="IsFinite">Whether every number on both sides is finite.</param>
internal readonly record struct ArrayDifference(
    double LargestAbsolute,
    double LargestRelative,
    double LargestValue,
    bool IsFinite
);
