namespace TorchBridge.Export.Tests.Generators;

/// <summary>Generated graphs with BatchNorms: the folded file gives what the network gives in float64.</summary>
public class FoldingGeneratorTests
{
    [Theory]
    [InlineData(0, 120)]
    [InlineData(5000, 120)]
    public void None_is_wrong(int first, int count)
    {
        using var folder = new TempFolder();
        var results = Enumerable
            .Range(first, count)
            .Select(seed => FoldingGenerator.Run(seed, folder["folding.onnx"]))
            .ToArray();
        var wrong = results
            .Where(result => result.Outcome == GeneratedOutcome.Wrong)
            .Select(result => $"{result.Case}: {result.Detail}");
        Assert.Empty(wrong);
        // One where nothing folds would prove little.
        Assert.InRange(results.Count(result => result.Outcome == GeneratedOutcome.Right), count * 9 / 10, count);
        Assert.InRange(results.Count(result => result.Detail is not ("" or "0 folded")), count / 3, count);
    }
}
