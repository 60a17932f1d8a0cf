using System.Globalization;
using System.Text.RegularExpressions;
using TorchBridge.Benchmarks.Fuzzing;
using TorchBridge.Onnx.Runtime;
using TorchBridge.Quantization;
using TorchBridge.Quantization.Tests;
using TorchBridge.Testing;

namespace TorchBridge.Benchmarks;

/// <summary>What happens to files made by others: each model of ../shared/findings/files is quantized in every mode,
/// and the result is compared by running it in ONNX Runtime; pictures, model cards and recipes are given to their
/// entry points (doors). Prints a page of Markdown.</summary>
internal static partial class LegalModelsSubject
{
    private const int Batches = 4;

    private static readonly (string Name, QuantizationOptions Options)[] Modes =
    [
        ("int8", new QuantizationOptions()),
        ("int8, equalized", new QuantizationOptions { EqualizeRanges = true }),
        ("weights int8", new QuantizationOptions { Mode = QuantizationMode.WeightsInt8 }),
        ("weights float16", new QuantizationOptions { Mode = QuantizationMode.WeightsFloat16 }),
    ];

    private static readonly (string Folder, string Door)[] Others =
    [
        ("pictures", "picture"),
        ("cards", "card"),
        ("recipes", "recipe"),
    ];

    /// <summary>Prints the page.</summary>
    /// <returns>0 if every result was right, or its model was refused as documented; otherwise 1.</returns>
    public static int Run()
    {
        if (Shared.Find("findings", "files", "onnx") is not { } folder)
        {
            Console.Error.WriteLine(
                "This subject needs the folder ../shared/findings/files, which contains files made by others."
            );
            return 1;
        }

        var scratch = Directory.CreateTempSubdirectory("torchbridge-legal-");
        try
        {
            string[] models = [.. Directory.GetFiles(folder, "*.onnx").Order(StringComparer.Ordinal)];
            Outcome[][] outcomes =
            [
                .. models.Select(model =>
                    Modes
                        .Select(mode => Quantize(model, Path.Combine(scratch.FullName, "small.onnx"), mode.Options))
                        .ToArray()
                ),
            ];
            Print(models, outcomes);
            return outcomes.All(row => row.All(outcome => outcome.IsRight)) & PrintOthers() ? 0 : 1;
        }
        finally
        {
            scratch.Delete(recursive: true);
        }
    }

    private static Outcome Quantize(string model, string target, QuantizationOptions options)
    {
        try
        {
            var report = OnnxQuantizer.Quantize(model, FoundBatches.Of(model, Batches), target, options);
            return new Outcome(
                FoundBatches.LeastDecibels(model, target),
                null,
                [.. report.LeftInFloat.Select(left => Kind(left.Reason))],
                IsDocumented: true
            );
        }
        catch (QuantizationException error)
        {
            return new Outcome(double.NaN, Kind(error.Message, model), [], IsDocumented: true);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            return new Outcome(double.NaN, Kind($"UNDOCUMENTED {error}", model), [], IsDocumented: false);
        }
    }

    private static void Print(string[] models, Outcome[][] outcomes)
    {
        Console.WriteLine(
            FormattableString.Invariant(
                $"""
                # {models.Length} models made by others, and what the quantizer does with each
                `dotnet run -c Release --project benchmarks -- legal-models` makes this page from ../shared/findings/files (a processor {(
                    Processor.MayOverflow ? "without" : "with"
                )} VNNI).
                Written and right: ONNX Runtime loads the file, and every output, including integer outputs, has at least
                the budget's {new AccuracyBudget().Decibels} dB on inputs that calibration did not use.

                """
            )
        );
        Table(["", .. Modes.Select(mode => mode.Name)]);
        Row("written and right", outcomes, outcome => outcome is { Reason: null, IsRight: true });
        Row("**written and wrong**", outcomes, outcome => outcome is { Reason: null, IsRight: false });
        Row("refused, with the reason", outcomes, outcome => outcome is { Reason: not null, IsDocumented: true });
        Row("**another exception**", outcomes, outcome => !outcome.IsDocumented);
        Console.WriteLine("\n## Why models are refused");
        Table(["reason", .. Modes.Select(mode => mode.Name)]);
        foreach (var reason in Most(outcomes.SelectMany(row => row).Select(outcome => outcome.Reason)))
            Row(reason, outcomes, outcome => outcome.Reason == reason);
        Console.WriteLine("\n## Why layers stay in float32 in files that are written");
        Table(["reason", "layers in int8", "layers in int8, equalized"]);
        foreach (var reason in Most(outcomes.SelectMany(row => row).SelectMany(outcome => outcome.Left)))
            Cells([
                reason,
                .. Enumerable
                    .Range(0, 2)
                    .Select(mode => Number(outcomes.Sum(row => row[mode].Left.Count(left => left == reason)))),
            ]);
        Console.WriteLine("\n## Each model: the lowest signal-to-noise ratio of its outputs");
        Table(["model", .. Modes.Select(mode => mode.Name)]);
        foreach (var (model, row) in models.Zip(outcomes))
            Cells([Path.GetFileNameWithoutExtension(model), .. row.Select(outcome => outcome.ToString())]);
    }

    /// <summary>Prints the outcome of pictures, model cards and recipes.</summary>
    /// <returns>Whether each was read, or refused as documented.</returns>
    private static bool PrintOthers()
    {
        var isClean = true;
        Console.WriteLine("\n## Pictures, model cards and recipes made by others");
        Table(["file", "outcome"]);
        foreach (var (folder, name) in Others)
        {
            var door = FuzzDoors.All[name]();
            foreach (
                var file in Directory.GetFiles(Shared.Find("findings", "files", folder)!).Order(StringComparer.Ordinal)
            )
            {
                var outcome = "read";
                try
                {
                    door.Open(File.ReadAllBytes(file), new Random(0));
                }
                catch (Exception error) when (door.IsDocumented(error))
                {
                    outcome = error.Message.ReplaceLineEndings(" ");
                }
                catch (Exception error) when (error is not OutOfMemoryException)
                {
                    outcome = $"**another exception**: {error.GetType()}";
                    isClean = false;
                }

                Cells([$"{folder}/{Path.GetFileName(file)}", Scratch().Replace(outcome, "FILE")]);
            }
        }

        return isClean;
    }

    private static IEnumerable<string> Most(IEnumerable<string?> reasons) =>
        reasons
            .OfType<string>()
            .GroupBy(reason => reason, StringComparer.Ordinal)
            .OrderByDescending(same => same.Count())
            .ThenBy(same => same.Key, StringComparer.Ordinal)
            .Select(same => same.Key);

    private static void Row(string name, Outcome[][] outcomes, Func<Outcome, bool> isCounted) =>
        Cells([name, .. Modes.Select((_, mode) => Number(outcomes.Count(row => isCounted(row[mode]))))]);

    private static void Table(string[] heads)
    {
        Cells(heads);
        Cells(Array.ConvertAll(heads, _ => "---"));
    }

    private static void Cells(string[] cells) =>
        Console.WriteLine(
            $"| {string.Join(" | ", cells.Select(cell => cell.Replace("|", "\\|", StringComparison.Ordinal)))} |"
        );

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>A reason without the names and numbers of one model, so that equal reasons can be counted.</summary>
    private static string Kind(string reason, string model = "\0")
    {
        var text = reason.Replace(model, "FILE", StringComparison.Ordinal).ReplaceLineEndings(" ");
        var end = text.IndexOf("; alone it", StringComparison.Ordinal);
        return Figure().Replace(Quoted().Replace(Layer().Replace(end < 0 ? text : text[..end], "$1: "), "'…'"), "N");
    }

    [GeneratedRegex(@"[^\s;:]+ \((\w+)\): ", RegexOptions.CultureInvariant)]
    private static partial Regex Layer();

    [GeneratedRegex("'[^']+'", RegexOptions.CultureInvariant)]
    private static partial Regex Quoted();

    [GeneratedRegex(@"-?\b\d+(\.\d+)?\b", RegexOptions.CultureInvariant)]
    private static partial Regex Figure();

    /// <summary>A path in the temporary folder of a fuzzing process.</summary>
    [GeneratedRegex(@"\S*torchbridge-fuzz-[^\s:;,]*", RegexOptions.CultureInvariant)]
    private static partial Regex Scratch();

    /// <summary>The outcome of quantizing a model.</summary>
    /// <param name="Decibels">The lowest signal-to-noise ratio of all outputs; NaN if no file was written.</param>
    /// <param name="Reason">Why no file was written, or null.</param>
    /// <param name="Left">Why layers stay in float32.</param>
    /// <param name="IsDocumented">False if an exception was thrown that is not documented.</param>
    private sealed record Outcome(double Decibels, string? Reason, string[] Left, bool IsDocumented)
    {
        public bool IsRight => IsDocumented && (Reason is not null || Decibels >= new AccuracyBudget().Decibels);

        public override string ToString() =>
            Reason is not null
                ? IsDocumented
                    ? "refused"
                    : "**failed**"
                : Decibels == 200
                    ? "equal"
                    : FormattableString.Invariant($"{Decibels:F1} dB");
    }
}
