namespace TorchBridge.Onnx.Compare;

/// <summary>How far an array of numbers differs from the expected values.</summary>
/// <param name="LargestAbsolute">Largest absolute difference; infinity if one number of a pair is not finite and the
/// two are not equal.</param>
/// <param name="LargestRelative">Largest difference divided by the expected value, over expected values above 1 % of
/// the largest.</param>
/// <param name="LargestValue">Largest absolute value among the finite expected values.</param>
/// <param name="IsFinite">Whether every number on both sides is finite.</param>
internal readonly record struct ArrayDifference(
    double LargestAbsolute,
    double LargestRelative,
    double LargestValue,
    bool IsFinite
);
