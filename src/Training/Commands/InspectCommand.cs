using System.CommandLine;
using System.Globalization;
using Spectre.Console;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Data;
using TorchBridge.Training.Inspection;

namespace TorchBridge.Training.Commands;

/// <summary>The <c>inspect</c> command: examines a set of pictures before training.</summary>
internal static class InspectCommand
{
    private const int Listed = 20;

    /// <summary>Builds the command with its options.</summary>
    /// <returns>The command, to be added to the root command. It exits with 0 whatever it finds.</returns>
    public static Command Build()
    {
        Argument<string> data = new("DATA")
        {
            Description = "A folder with one subfolder per class, or a .zip or .tar.gz of such a folder.",
        };
        OutputFileOption sheet = new("--sheet")
        {
            Description = "HTML page to write, with samples of each class.",
            DefaultValueFactory = _ => "inspect.html",
            HelpName = "FILE",
        };
        var json = CommonOptions.JsonFile();
        var command = new Command(
            "inspect",
            "Examine a set of pictures: counts, sizes, class imbalance, unreadable files, "
                + "duplicates within and across parts; and write a page with samples of each class.\nExample: "
                + "inspect ./my-photos"
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
                    if (PictureFolder.NoteOn(placed) is { } note)
                        AnsiConsole.Console.WriteLine(note);
                    SampleSheet.Write(parsed.GetValue(sheet)!, parsed.GetValue(data)!, placed, inspection);
                    AnsiConsole.Console.WriteLine($"Samples of each class: {parsed.GetValue(sheet)}");
                    CommonOptions.WriteJson(parsed.GetValue(json), inspection);
                    return 0;
                })
        );
        return command;
    }

    /// <summary>Prints counts by part and class, unreadable files and duplicates.</summary>
    /// <param name="console">The console.</param>
    /// <param name="inspection">The findings.</param>
    private static void Print(IAnsiConsole console, DataInspection inspection)
    {
        console.WriteLine($"  {"part", -10} {"class", -24} pictures");
        foreach (var item in inspection.Counts)
            console.WriteLine(FormattableString.Invariant($"  {item.Part, -10} {item.Class, -24} {item.Count, 8:N0}"));
        console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{inspection.Counts.Sum(item => item.Count):N0} pictures. Their shorter sides range from "
                    + $"{inspection.SmallestSide} to {inspection.LargestSide} pixels; the median is "
                    + $"{inspection.MedianSide}."
            )
        );
        foreach (var empty in inspection.Counts.Where(item => item.Count == 0))
            console.WriteLine($"{empty.Part}: {empty.Class} has no readable picture.");
        if (inspection.IsImbalanced)
            console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Imbalance: the largest class has {inspection.LargestOverSmallest:F0} times the "
                        + $"pictures of the smallest. Look at the accuracy of each class, not only at the "
                        + $"overall accuracy."
                )
            );
        string[] unreadable = [.. inspection.Unreadable.Select(item => item.Why)],
            acrossParts = [.. Groups(inspection, group => group.IsAcrossParts)],
            acrossClasses = [.. Groups(inspection, group => group.IsAcrossClasses)],
            within = [.. Groups(inspection, group => !group.IsAcrossParts && !group.IsAcrossClasses)];
        const string tooGood = "in more than one part, which makes the test results too optimistic",
            wrong = "in more than one class, so one of the labels is wrong",
            again = "more than once in its class";
        List(
            console,
            unreadable,
            "file cannot be read and must be removed",
            "files cannot be read and must be removed"
        );
        List(console, acrossParts, $"picture is {tooGood}", $"pictures are {tooGood}");
        List(console, acrossClasses, $"picture is {wrong}", $"pictures are {wrong}");
        List(console, within, $"picture occurs {again}", $"pictures occur {again}");
        if (inspection.Unreadable.Count + inspection.Duplicates.Count == 0)
            console.WriteLine("Every picture can be read, and there are no duplicates.");
    }

    /// <summary>Groups of equal pictures, one line each.</summary>
    /// <param name="inspection">The findings.</param>
    /// <param name="isMeant">Selects the groups.</param>
    private static IEnumerable<string> Groups(DataInspection inspection, Func<DuplicateGroup, bool> isMeant) =>
        inspection
            .Duplicates.Where(isMeant)
            .Select(group => $"{string.Join(" = ", group.Names)} ({(group.IsSameFile ? "same file" : "same pixels")})");

    /// <summary>
    /// Prints the first items of a list and the number of further ones; nothing if it is empty.
    /// </summary>
    /// <param name="console">The console.</param>
    /// <param name="items">All items.</param>
    /// <param name="one">Text for a single item.</param>
    /// <param name="many">Text for several items.</param>
    private static void List(IAnsiConsole console, string[] items, string one, string many)
    {
        if (items.Length == 0)
            return;
        console.WriteLine(FormattableString.Invariant($"{items.Length:N0} {(items.Length == 1 ? one : many)}:"));
        foreach (var item in items.Take(Listed))
            console.WriteLine($"  {item}");
        if (items.Length > Listed)
            console.WriteLine(
                FormattableString.Invariant($"  and {items.Length - Listed:N0} more (--json FILE lists all of them)")
            );
    }
}
