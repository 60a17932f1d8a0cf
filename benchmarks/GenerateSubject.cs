using System.Diagnostics;
using System.Text.RegularExpressions;
using Spectre.Console;
using TorchBridge.Export.Tests.Generators;

namespace TorchBridge.Benchmarks;

/// <summary>
/// Exports many generated cases: formulas of sizes, operations with their options, and graphs that fold. Either the
/// file gives what the module gives, or the export is refused, and the reasons are counted. The tests run a few of
/// the same cases.
/// </summary>
internal static partial class GenerateSubject
{
    private const int ShownReasons = 12;

    /// <summary>The generators by name, each with the number of cases of a complete run.</summary>
    public static IReadOnlyDictionary<string, (Func<int, string, GeneratedResult> Run, int Cases)> All { get; } =
        new Dictionary<string, (Func<int, string, GeneratedResult>, int)>(StringComparer.Ordinal)
        {
            ["sizes"] = (SizeFormulaGenerator.Run, 10_000),
            ["operations"] = ((seed, path) => OperationGenerator.Run(seed, path), 20_000),
            ["folding"] = (FoldingGenerator.Run, 2_000),
        };

    /// <summary>Runs one generator, or all of them.</summary>
    /// <param name="generator">A name of <see cref="All"/>, or null for all generators.</param>
    /// <param name="most">The most cases to run of each.</param>
    /// <param name="first">Number of the first case.</param>
    /// <returns>The exit code: 0, 1 if a case is wrong, or 2 if there is no such generator.</returns>
    public static int Run(string? generator, int most, int first)
    {
        if (generator is not null && !All.ContainsKey(generator))
        {
            Console.Error.WriteLine(
                $"There is no generator '{generator}'. The generators are {string.Join(", ", All.Keys)}."
            );
            return 2;
        }

        var wrong = 0;
        foreach (var (name, (run, cases)) in All.Where(pair => generator is null || pair.Key == generator))
            wrong += Run(name, run, Math.Min(most, cases), first);
        return wrong == 0 ? 0 : 1;
    }

    private static int Run(string name, Func<int, string, GeneratedResult> run, int cases, int first)
    {
        var folder = Directory.CreateTempSubdirectory("torchbridge-generate");
        var counts = new Dictionary<GeneratedOutcome, int>();
        var reasons = new Dictionary<string, int>(StringComparer.Ordinal);
        var watch = Stopwatch.StartNew();
        try
        {
            for (var i = 0; i < cases; i++)
            {
                var result = run(first + i, Path.Combine(folder.FullName, "case.onnx"));
                counts[result.Outcome] = counts.GetValueOrDefault(result.Outcome) + 1;
                if (result.Outcome == GeneratedOutcome.Wrong)
                    Console.WriteLine($"WRONG {first + i}: {result.Case}: {result.Detail}");
                if (result.Outcome == GeneratedOutcome.Refused)
                {
                    var reason = Reason(result.Detail);
                    reasons[reason] = reasons.GetValueOrDefault(reason) + 1;
                }

                if ((i + 1) % 500 == 0)
                    Console.WriteLine(
                        FormattableString.Invariant(
                            $"{name}: {i + 1:N0} of {cases:N0}, {watch.Elapsed.TotalMinutes:F1} min"
                        )
                    );
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        var table = new Table().AddColumns(name, "cases");
        foreach (var outcome in Enum.GetValues<GeneratedOutcome>())
            table.AddRow(outcome.ToString(), counts.GetValueOrDefault(outcome).ToString("N0", null));
        foreach (var (reason, count) in reasons.OrderByDescending(pair => pair.Value).Take(ShownReasons))
            table.AddRow(Markup.Escape($"refused: {reason}"), count.ToString("N0", null));
        AnsiConsole.Write(table);
        return counts.GetValueOrDefault(GeneratedOutcome.Wrong);
    }

    /// <summary>The reason of a refusal without the places, names and numbers of one case, so that equal reasons can
    /// be counted.</summary>
    private static string Reason(string message)
    {
        var line = message.Split('\n')[0];
        line = Quoted().Replace(line, "'…'");
        line = Numbers().Replace(line, "n");
        return line.Length > 110 ? line[..110] : line;
    }

    [GeneratedRegex("'[^']*'|\\[[^\\]]*\\]|\\([^)]*\\)|[A-Za-z]+\\.cs:\\d+")]
    private static partial Regex Quoted();

    [GeneratedRegex(@"-?\d+(\.\d+)?")]
    private static partial Regex Numbers();
}
