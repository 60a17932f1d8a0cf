namespace TorchBridge.Onnx.Compare;

/// <summary>In how many rows the largest element is the same one.</summary>
/// <param name="Agree">Rows that agree, ties among them.</param>
/// <param name="Ties">Numbers of the rows whose largest elements differ, and are expected to be as good as
/// equal.</param>
internal sealed record RowAgreement(int Agree, IReadOnlyList<int> Ties);
