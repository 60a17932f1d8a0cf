using System.CommandLine;
using System.Globalization;
using Spectre.Console;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Data;
using TorchBridge.Training.Inspection;

namespace TorchBridge.Training.Commands;

/// <summary><c>inspect</c>: what a set of pictures holds, before anything is trained on it.</summary>
internal static class InspectCommand
{
    private const int Listed = 20;

    /// <summary>The command with its options.</summary>
    /// <returns>For the program's root command; whatever is found, it exits with 0.</returns>
    public static Command Build()
    {
        Argument<string> data = new("DATA")
        {
            Description = "A folder with one sub-folder a class, or a .zip or .tar.gz of such.",
        };
        OutputFileOption sheet = new("--sheet")
        {
            Description = "Where to write a page with samples of each class.",
            DefaultValueFactory = _ => "inspect.html",
            HelpName = "FILE",
        };
        var json = CommonOptions.JsonFile();
        var command = new Command(
            "inspect",
            "What a set of pictures holds: counts, sizes, imbalance, files that cannot be read, "
                + "duplicates within and across parts; and a sheet of samples of each class.\nExample: inspect "
                + "./my-photos"
        )
        {
            data,
            sheet,
            json,
        };
        command.SetAction(
            (parsed, stop) =>
                CommandRunner.Run(() =>
                {
                    var placed = PictureFolder.Place(parsed.GetValue(data)!, out var leftOut);
                    var inspection = DataInspection.Of(placed, stop);
                    if (leftOut.Text is { } line)
                        AnsiConsole.Console.WriteLine(line);
                    Print(AnsiConsole.Console, inspection);
                    SampleSheet.Write(parsed.GetValue(sheet)!, parsed.GetValue(data)!, placed, inspection);
                    AnsiConsole.Console.WriteLine($"Samples of each class: {parsed.GetValue(sheet)}");
                    CommonOptions.WriteJson(parsed.GetValue(json), inspection);
                    return 0;
                })
        );
        return command;
    }

    /// <summary>Counts by part and class, what was left out, and what is double.</summary>
    /// <param name="console">Where it goes.</param>
    /// <param name="inspection">What was found.</param>
    private static void Print(IAnsiConsole console, DataInspection inspection)
    {
        foreach (var item in inspection.Counts)
            console.WriteLine(FormattableString.Invariant($"  {item.Part, -10} {item.Class, -24} {item.Count, 8:N0}"));
        console.WriteLine(
            FormattableString.Invariant(
                $"Shorter sides: {inspection.SmallestSide} to {inspection.LargestSide} pixels, median {inspection.MedianSide}."
            )
        );
        if (inspection.IsImbalanced)
            console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Imbalance: the largest class has {inspection.LargestOverSmallest:F0} times the "
                        + $"pictures of the smallest. Look at the accuracy of each class, not at that of all."
                )
            );
        List(
            console,
            "cannot be read and must be removed before training",
            [.. inspection.Unreadable.Select(item => item.Why)]
        );
        List(
            console,
            "are duplicates across parts, which make the test figures false",
            [.. Groups(inspection, group => group.IsAcrossParts)]
        );
        List(
            console,
            "are duplicates in different classes, one of which is wrong",
            [.. Groups(inspection, group => group.IsAcrossClasses)]
        );
        List(
            console,
            "are duplicates within a part and class",
            [.. Groups(inspection, group => !group.IsAcrossParts && !group.IsAcrossClasses)]
        );
    }

    /// <summary>Groups of equal pictures, a line each.</summary>
    /// <param name="inspection">What was found.</param>
    /// <param name="isMeant">Which groups.</param>
    private static IEnumerable<string> Groups(DataInspection inspection, Func<DuplicateGroup, bool> isMeant) =>
        inspection
            .Duplicates.Where(isMeant)
            .Select(group => $"{string.Join(" = ", group.Names)} ({(group.IsSameFile ? "same file" : "same pixels")})");

    /// <summary>
    /// The first lines of a list and how many more there are; nothing where it is empty.
    /// </summary>
    /// <param name="console">Where it goes.</param>
    /// <param name="what">What the lines are, in the plural.</param>
    /// <param name="items">All of them.</param>
    private static void List(IAnsiConsole console, string what, string[] items)
    {
        if (items.Length == 0)
            return;
        console.WriteLine(FormattableString.Invariant($"{items.Length:N0} {what}:"));
        foreach (var item in items.Take(Listed))
            console.WriteLine($"  {item}");
        if (items.Length > Listed)
            console.WriteLine(
                FormattableString.Invariant($"  and {items.Length - Listed:N0} more (--json FILE has all)")
            );
    }
}
