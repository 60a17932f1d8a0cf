using System.CommandLine;
using Spectre.Console;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Data;
using TorchBridge.Training.Jobs;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Commands;

/// <summary>The <c>sweep</c> command: trains many recipes and compares them.</summary>
internal static class SweepCommand
{
    public static Command Build()
    {
        var (specification, outFolder, sharing) = (Specification(), OutFolder(), new Jobs.ClusterOptions());
        Option<bool> prepare = new("--prepare") { Description = "Create the job's folder without training anything." };
        var command = new Command(
            "sweep",
            "Train many recipes and compare them: a grid, a list or random draws of settings, each with every "
                + "seed. A trial is "
                + "identified by its settings, so running the same command again trains only what is missing. A "
                + "trial whose worker died continues from its last epoch.\n"
                + "A sweep file: { \"data\": \"drawn\", \"pictures\": 300, \"seeds\": [1, 2, 3], \"recipe\": "
                + "\"lesson\", \"grid\": "
                + "{ \"training.learning_rate\": [0.001, 0.003], \"network.dropout\": [0, 0.2] } }. Instead of grid: \"list\": "
                + "[ { \"network.dropout\": 0 }, … ], or \"random\": { \"trials\": 20, \"seed\": 1, \"settings\": { "
                + "\"training.learning_rate\": { \"low\": 0.0001, \"high\": 0.01, \"logarithmic\": true } } }. With "
                + "\"halving\": { \"epochs\": 5, \"factor\": 3 } only the best third continues after 5 epochs, "
                + "of those the best third after 15, and so on; the log says which trials end and why.\n"
                + "Example: sweep rates.json --out sweeps/rates\n"
                + "Example: sweep rates.json --out /shared/rates --cluster redis://host"
        )
        {
            specification,
            outFolder,
            prepare,
        };
        foreach (var option in sharing.All)
            command.Options.Add(option);
        command.SetAction(
            (parsed, stop) =>
                CommandRunner.Run(() =>
                {
                    var folder = parsed.GetValue(outFolder)!;
                    var shared = sharing.Read(parsed);
                    Make(parsed.GetValue(specification), folder);
                    if (parsed.GetValue(prepare))
                        return 0;
                    var exit = JobRunner.Run(AnsiConsole.Console, folder, shared, stop);
                    foreach (var file in SweepReport.Write(folder))
                        AnsiConsole.Console.WriteLine($"  {file}");
                    return exit;
                })
        );
        command.Subcommands.Add(BuildRun());
        return command;
    }

    private static Command BuildRun()
    {
        var (specification, outFolder) = (Specification(), OutFolder());
        NumberOption index = new("--index", new AllowedAttribute(0, 999_999))
        {
            Description = "Number of the trial, from 0.",
            Required = true,
            HelpName = "K",
        };
        var command = new Command(
            "run",
            "Train one trial of a sweep in this process: for your own scheduler.\n"
                + "Example: sweep run rates.json --out rates --index $SLURM_ARRAY_TASK_ID"
        )
        {
            specification,
            outFolder,
            index,
        };
        command.SetAction(
            (parsed, stop) =>
                CommandRunner.Run(() =>
                {
                    Make(parsed.GetValue(specification), parsed.GetValue(outFolder)!);
                    return ScoreCommand.One(
                        AnsiConsole.Console,
                        parsed.GetValue(outFolder)!,
                        index.Whole(parsed)!.Value,
                        null,
                        stop
                    );
                })
        );
        return command;
    }

    private static Argument<string?> Specification() =>
        new("SPEC")
        {
            Description = "The sweep file. Omit it to continue the sweep in --out.",
            Arity = ArgumentArity.ZeroOrOne,
        };

    private static Option<string> OutFolder() =>
        new("--out")
        {
            Description = "Folder of the job, its results and the report; one folder per sweep.",
            Required = true,
            HelpName = "DIR",
        };

    private static void Make(string? path, string folder)
    {
        if (path is null)
            return;
        var sweep = SweepSpecification.Read(path);
        var content = sweep.Data is DataSource.Drawn or DataSource.Cifar
            ? null
            : DataFingerprint.ContentOf(DataLoading.Load(AnsiConsole.Console, sweep.Data, 32, 1, null).Data);
        JobFolder.Write(folder, sweep.Job(content));
    }
}
