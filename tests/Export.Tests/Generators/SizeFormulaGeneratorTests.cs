namespace TorchBridge.Export.Tests.Generators;

/// <summary>Generated formulas of sizes: the file equals the module at sizes never traced, or the export is
/// refused.</summary>
public class SizeFormulaGeneratorTests
{
    [Theory]
    [InlineData(0, 40)]
    [InlineData(1000, 40)]
    public void None_is_wrong(int first, int count)
    {
        using var folder = new TempFolder();
        var results = Enumerable
            .Range(first, count)
            .Select(seed => SizeFormulaGenerator.Run(seed, folder["formula.onnx"]))
            .ToArray();
        var wrong = results
            .Where(result => result.Outcome == GeneratedOutcome.Wrong)
            .Select(result => $"{result.Case}: {result.Detail}");
        Assert.Empty(wrong);
        // A generator that is always refused would prove nothing.
        Assert.InRange(results.Count(result => result.Outcome == GeneratedOutcome.Right), count / 2, count);
    }
}
