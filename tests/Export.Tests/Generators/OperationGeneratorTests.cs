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

    /// <summary>All operations but <c>squeeze()</c>, which is refused while any axis may be 1.</summary>
    public static TheoryData<string> Operations => [.. OperationGenerator.Operations.Except(["squeeze: all"])];

    /// <summary>Whatever is drawn above, each operation runs here, and is exported at least once.</summary>
    [Theory]
    [MemberData(nameof(Operations))]
    public void Each_operation_is_exported_and_right(string operation)
    {
        using var folder = new TempFolder();
        var isExported = false;
        GeneratedResult? last = null;
        for (var seed = 1; seed <= 2 || (!isExported && seed <= 40); seed++)
        {
            var result = OperationGenerator.Run(seed, folder["case.onnx"], operation);
            Assert.True(result.Outcome != GeneratedOutcome.Wrong, $"{result.Case}: {result.Detail}");
            isExported |= result.Outcome == GeneratedOutcome.Right;
            last = result;
        }

        Assert.True(isExported, $"never exported: {last?.Case}: {last?.Outcome} {last?.Detail}");
    }
}
