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

    /// <summary>Counts by part and class, what cannot be read, and what is double.</summary>
    /// <param name="console">Where it goes.</param>
    /// <param name="inspection">What was found.</param>
    private static void Print(IAnsiConsole console, DataInspection inspection)
    {
        console.WriteLine($"  {"part", -10} {"class", -24} pictures");
        foreach (var item in inspection.Counts)
            console.WriteLine(FormattableString.Invariant($"  {item.Part, -10} {item.Class, -24} {item.Count, 8:N0}"));
        console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{inspection.Counts.Sum(item => item.Count):N0} pictures. Their shorter sides have "
                    + $"{inspection.SmallestSide} to {inspection.LargestSide} pixels, half of them up to "
                    + $"{inspection.MedianSide}."
            )
        );
        foreach (var empty in inspection.Counts.Where(item => item.Count == 0))
            console.WriteLine($"{empty.Part}: {empty.Class} has no picture that can be read.");
        if (inspection.IsImbalanced)
            console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Imbalance: the largest class has {inspection.LargestOverSmallest:F0} times the "
                        + $"pictures of the smallest. Look at the accuracy of each class, not at that of all."
                )
            );
        string[] unreadable = [.. inspection.Unreadable.Select(item => item.Why)],
            acrossParts = [.. Groups(inspection, group => group.IsAcrossParts)],
            acrossClasses = [.. Groups(inspection, group => group.IsAcrossClasses)],
            within = [.. Groups(inspection, group => !group.IsAcrossParts && !group.IsAcrossClasses)];
        const string tooGood = "in more than one part, which makes the test figures too good",
            wrong = "in more than one class: one of the two labels is wrong",
            again = "more than once in its class";
        List(console, unreadable, "file cannot be read, and must go", "files cannot be read, and must go");
        List(console, acrossParts, $"picture is {tooGood}", $"pictures are {tooGood}");
        List(console, acrossClasses, $"picture is {wrong}", $"pictures are {wrong}");
        List(console, within, $"picture is there {again}", $"pictures are there {again}");
        if (inspection.Unreadable.Count + inspection.Duplicates.Count == 0)
            console.WriteLine("Every picture can be read, and none is there twice.");
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
    /// <param name="items">All of them.</param>
    /// <param name="one">What there is to say of one.</param>
    /// <param name="many">What there is to say of more.</param>
    private static void List(IAnsiConsole console, string[] items, string one, string many)
    {
        if (items.Length == 0)
            return;
        console.WriteLine(FormattableString.Invariant($"{items.Length:N0} {(items.Length == 1 ? one : many)}:"));
        foreach (var item in items.Take(Listed))
            console.WriteLine($"  {item}");
        if (items.Length > Listed)
            console.WriteLine(
                FormattableString.Invariant($"  and {items.Length - Listed:N0} more (--json FILE has all)")
            );
    }
}
