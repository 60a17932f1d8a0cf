using System.Text.RegularExpressions;
using Spectre.Console;
using TorchBridge.Testing;

namespace TorchBridge.Benchmarks;

/// <summary>
/// Statistics of the source, for each project: files, lengths, widths, documentation, types per file, one-letter
/// locals, and files that have a test file of the same name. Blank lines count as lines, as in the review with which
/// these figures are compared.
/// </summary>
internal static partial class StyleSubject
{
    private const int Widest = 140;

    /// <summary>Prints the table.</summary>
    public static int Run()
    {
        var table = new Table().AddColumns(
            "project",
            "files",
            "lines p50 / p90 / max",
            "types per file",
            "doc % / comment %",
            "width p50 / p90 / p99 / max",
            $"over {Widest}",
            "one-letter locals",
            "same-named tests"
        );
        var rooms = Directory
            .GetDirectories(Path.Combine(Shared.Repository, "src"))
            .Order(StringComparer.Ordinal)
            .Select(folder => Path.GetRelativePath(Shared.Repository, folder))
            .Prepend("src")
            .Append("tests")
            .Append("benchmarks");
        var tests = Sources("tests").Select(file => Path.GetFileNameWithoutExtension(file)).ToHashSet();
        foreach (var room in rooms)
            table.AddRow(Row(room, [.. Sources(room)], tests));
        AnsiConsole.Profile.Width = Math.Max(AnsiConsole.Profile.Width, Widest);
        AnsiConsole.Write(table);
        return 0;
    }

    private static string[] Row(string room, string[] files, HashSet<string> tests)
    {
        var texts = files.Select(File.ReadAllLines).ToArray();
        var lines = texts.SelectMany(text => text).ToArray();
        var lengths = texts.Select(text => text.Length).Order().ToArray();
        var widths = lines.Where(line => line.Length > 0).Select(line => line.Length).Order().ToArray();
        var doc = lines.Count(line => line.TrimStart().StartsWith("///", StringComparison.Ordinal));
        var comment = lines.Count(line => line.TrimStart().StartsWith("//", StringComparison.Ordinal)) - doc;
        var types = lines.Count(line => TopLevelType().IsMatch(line));
        var letters = lines.Sum(line => OneLetterLocal().Count(line));
        var named = files.Count(file => tests.Contains($"{Path.GetFileNameWithoutExtension(file)}Tests"));
        return
        [
            room,
            Text(files.Length),
            $"{At(lengths, 0.5)} / {At(lengths, 0.9)} / {At(lengths, 1)}",
            FormattableString.Invariant($"{(double)types / files.Length:F2}"),
            FormattableString.Invariant($"{100.0 * doc / lines.Length:F1} / {100.0 * comment / lines.Length:F1}"),
            $"{At(widths, 0.5)} / {At(widths, 0.9)} / {At(widths, 0.99)} / {At(widths, 1)}",
            Text(widths.Count(width => width > Widest)),
            Text(letters),
            $"{named}/{files.Length}",
        ];
    }

    private static string Text(int number) => FormattableString.Invariant($"{number:N0}");

    private static string At(int[] sorted, double share) =>
        Text(sorted[Math.Min(sorted.Length - 1, (int)(share * sorted.Length))]);

    private static IEnumerable<string> Sources(string room) =>
        Directory
            .EnumerateFiles(Path.Combine(Shared.Repository, room), "*.cs", SearchOption.AllDirectories)
            .Where(file => !Generated().IsMatch(file));

    [GeneratedRegex(@"[\\/](bin|obj|node_modules)[\\/]")]
    private static partial Regex Generated();

    [GeneratedRegex(
        @"^((public|internal|file|sealed|static|abstract|partial|readonly|unsafe|ref) )*(class|record|struct|interface|enum|delegate)\b"
    )]
    private static partial Regex TopLevelType();

    [GeneratedRegex(@"\b(var|int|long|double|float|string|bool|byte|Tensor|char) [a-z] (=|in)\s")]
    private static partial Regex OneLetterLocal();
}
