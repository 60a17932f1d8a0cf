using System.CommandLine;
using Spectre.Console;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Data;
using TorchBridge.Training.Inspection;

namespace TorchBridge.Training.Commands;

/// <summary>The <c>inspect</c> command: examines a set of pictures before training.</summary>
internal static class InspectCommand
{
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
            Description = "HTML page to write, with the findings and samples of each class.",
            DefaultValueFactory = _ => "inspect.html",
            HelpName = "FILE",
        };
        var json = CommonOptions.JsonFile();
        var command = new Command(
            "inspect",
            "Examine a set of pictures: counts, sizes, class imbalance, unreadable files, "
                + "duplicates within and across parts; and write a page with them and samples of each class.\nExample: "
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
                    AnsiConsole.Console.WriteLine($"Page with samples of each class: {parsed.GetValue(sheet)}");
                    CommonOptions.WriteJson(parsed.GetValue(json), inspection);
                    return 0;
                })
        );
        return command;
    }

    /// <summary>Prints the number of pictures of each class and part, and the findings.</summary>
    /// <param name="console">The console.</param>
    /// <param name="inspection">The findings.</param>
    private static void Print(IAnsiConsole console, DataInspection inspection)
    {
        console.WriteLine($"  {"part", -10} {"class", -24} pictures");
        foreach (var item in inspection.Counts)
            console.WriteLine(FormattableString.Invariant($"  {item.Part, -10} {item.Class, -24} {item.Count, 8:N0}"));
        foreach (var finding in Finding.AllOf(inspection))
        {
            console.WriteLine(finding.Text);
            foreach (var item in finding.Items.Take(Finding.Listed))
                console.WriteLine($"  {item}");
            if (finding.Items.Count > Finding.Listed)
                console.WriteLine(
                    FormattableString.Invariant(
                        $"  and {finding.Items.Count - Finding.Listed:N0} more (--json FILE lists all of them)"
                    )
                );
        }
    }
}
