namespace TorchBridge.Onnx.Compare;

/// <summary>Result of comparing the index of the largest element row by row.</summary>
/// <param name="Agree">Number of rows that agree, including ties.</param>
/// <param name="Ties">Indices of the rows whose largest elements differ but whose expected values there are equal
/// within the tolerance.</param>
internal sealed record RowAgreement(int Agree, IReadOnlyList<int> Ties);
