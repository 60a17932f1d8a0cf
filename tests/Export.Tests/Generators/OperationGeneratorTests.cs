namespace TorchBridge.Export.Tests.Generators;

/// <summary>Generated operations, modules and chains: the file gives what the module gives, or the export is refused.
/// The long run is <c>benchmarks -- generate</c>.</summary>
public class OperationGeneratorTests
{
    [Theory]
    [InlineData(0, 150)]
    [InlineData(20000, 150)]
    public void None_is_wrong(int first, int count)
    {
        using var folder = new TempFolder();
        var results = Enumerable
            .Range(first, count)
            .Select(seed => OperationGenerator.Run(seed, folder["case.onnx"]))
            .ToArray();
        var wrong = results
            .Where(result => result.Outcome == GeneratedOutcome.Wrong)
            .Select(result => $"{result.Case}: {result.Detail}")
            .ToArray();
        Assert.True(wrong.Length == 0, string.Join("\n", wrong));
        // A generator that is always refused, or whose modules never take what they are given, would prove nothing.
        var valid = results.Count(result => result.Outcome != GeneratedOutcome.Invalid);
        Assert.InRange(valid, count * 8 / 10, count);
        Assert.InRange(results.Count(result => result.Outcome == GeneratedOutcome.Right), valid * 6 / 10, valid);
    }
}
