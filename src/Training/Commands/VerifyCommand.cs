using System.CommandLine;
using System.Globalization;
using Spectre.Console;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Jobs;

namespace TorchBridge.Training.Commands;

/// <summary>The <c>verify</c> command: checks that a job's results are complete.</summary>
internal static class VerifyCommand
{
    public static Command Build()
    {
        Argument<string> folder = new("DIR")
        {
            Description = "The folder of a job, which is --out of `score` or `sweep`.",
        };
        var json = CommonOptions.JsonFile();
        var command = new Command(
            "verify",
            "Check that a job's results are complete: every item once, every file with the digest with which it "
                + "was published, "
                + "the rows of a scoring job in the manifest's order, and nothing else in the folder.\n"
                + "Example: verify scores"
        )
        {
            folder,
            json,
        };
        command.SetAction(
            (parsed, _) =>
                CommandRunner.Run(() =>
                {
                    var (work, results) = JobFolder.Open(parsed.GetValue(folder)!, isRead: true);
                    using (work)
                    {
                        var found = results.Verify(work, JobRunner.Check(work));
                        foreach (var problem in found.Problems)
                            Console.Error.WriteLine(problem);
                        AnsiConsole.Console.WriteLine(
                            string.Create(
                                CultureInfo.InvariantCulture,
                                $"{found.Done:N0} of {found.Items:N0} items are done and intact, {found.Rows:N0} "
                                    + $"rows, "
                                    + $"{found.Errors:N0} of them with an error; {found.Problems.Count:N0} problems."
                            )
                        );
                        CommonOptions.WriteJson(parsed.GetValue(json), found);
                        return found.Problems.Count == 0 ? 0 : ExitCodes.Failed;
                    }
                })
        );
        return command;
    }
}
