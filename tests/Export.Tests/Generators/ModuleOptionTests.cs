using static TorchSharp.torch;

namespace TorchBridge.Export.Tests.Generators;

/// <summary>Every option of every module of TorchSharp is in the file, or the export is refused and names it.</summary>
public class ModuleOptionTests
{
    /// <summary>Needs a pair of states, which the generator does not make; ModuleTests has it.</summary>
    private const string TakesMore = "LSTMCell";

    [Fact]
    public void No_option_is_ignored()
    {
        using var folder = new TempFolder();
        var faults = new List<string>();
        var right = new List<string>();
        foreach (var option in ModuleCases.All)
        {
            using var scope = NewDisposeScope();
            var item = ModuleCases.Of(option, seed: 17);
            using var module = item.Module;
            var result = CaseRunner.Run(item, folder["module.onnx"]);
            if (result.Outcome == GeneratedOutcome.Right)
                right.Add(option.Factory.Name);
            var isNamed =
                result.Outcome == GeneratedOutcome.Refused
                && option.Option.Length > 0
                && result.Detail.Contains(option.Option, StringComparison.OrdinalIgnoreCase);
            // TorchSharp's Hardtanh does nothing but in place, and is refused so.
            isNamed |=
                option.Factory.Name == "Hardtanh" && result.Detail.Contains("inplace: true", StringComparison.Ordinal);
            if (result.Outcome is not (GeneratedOutcome.Right or GeneratedOutcome.Invalid) && !isNamed)
                faults.Add($"{result.Case}: {result.Outcome}: {result.Detail}");
        }

        Assert.True(faults.Count == 0, string.Join("\n", faults));
        Assert.InRange(right.Count, ModuleCases.All.Count * 9 / 10, ModuleCases.All.Count);
        // No module has only examples that it does not take.
        Assert.Equal([TakesMore], ModuleCases.All.Select(option => option.Factory.Name).Except(right));
    }
}
