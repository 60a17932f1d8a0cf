using System.CommandLine;
using System.Globalization;
using Spectre.Console;
using TorchBridge.Onnx.Files;
using TorchBridge.Scale.Cluster;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Data;
using TorchBridge.Training.Jobs;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Commands;

/// <summary>The <c>ablate</c> command: trains with and without each technique, repeated over several seeds.</summary>
internal static class AblateCommand
{
    /// <summary>Builds the command with its options.</summary>
    /// <returns>The command, to be added to the root command.</returns>
    public static Command Build()
    {
        var data = CommonOptions.DataSet("drawn");
        Option<string> folder = new("--out")
        {
            Description =
                "Folder for the report and the stored runs. Running the command again does only the missing runs.",
            DefaultValueFactory = _ => "ablation",
            HelpName = "DIR",
        };
        WholeOption seeds = new("--seeds", new AllowedAttribute(1, 30), 3)
        {
            Description = "Number of runs per variant, each with its own seed, for the data as well.",
        };
        WholeOption epochs = new("--epochs", new AllowedAttribute(1, 10_000), 60)
        {
            Description = "Number of passes over the training pictures.",
        };
        WholeOption pictures = new("--pictures", new AllowedAttribute(50, 500_000), 300)
        {
            Description = "Number of training pictures: a small number makes the effects visible.",
        };
        WholeOption width = new("--width", new AllowedAttribute(8, 512) { MultipleOf = 8 }, 16)
        {
            Description = "Channels of the first convolution, a multiple of 8; 64 is the full network.",
        };
        var sharing = new Jobs.ClusterOptions();
        Option<string[]> only = new("--only")
        {
            Description = "Only these techniques, separated by commas: \"dropout,mixup\".",
            HelpName = "NAMES",
            DefaultValueFactory = _ => [],
            CustomParser = result =>
            {
                string[] names =
                [
                    .. result.Tokens.SelectMany(token =>
                        token.Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                    ),
                ];
                // An empty list would mean all of them.
                if (names.Length == 0)
                    result.AddError(
                        "--only names no technique. Give at least one, or omit the option for all of them."
                    );
                return names;
            },
        };
        var command = new Command(
            "ablate",
            "Train the full set of regularization techniques without each one, and a bare network with each one "
                + "alone; compare the runs seed by seed and report which effects are significant.\n"
                + "Techniques: "
                + $"{string.Join(", ", AblationPlan.Techniques.Select(technique => technique.Name))}; "
                + "LayerNorm, GroupNorm and InstanceNorm instead of BatchNorm.\nExample: ablate --seeds "
                + "3\nExample: ablate --data cifar10 --pictures 4000 --only \"dropout,mixup\""
        )
        {
            data,
            folder,
            seeds,
            epochs,
            pictures,
            width,
            only,
        };
        foreach (var option in sharing.All)
            command.Options.Add(option);
        command.SetAction(
            (parsed, stop) =>
                CommandRunner.Run(() =>
                {
                    var variants = AblationPlan.Variants(
                        epochs.Read(parsed),
                        width.Read(parsed),
                        parsed.GetValue(only)!
                    );
                    var source = parsed.GetValue(data) ?? DataSource.Drawn;
                    var content = source is DataSource.Drawn or DataSource.Cifar
                        ? null
                        : DataFingerprint.ContentOf(DataLoading.Load(AnsiConsole.Console, source, 32, 1, null).Data);
                    var requests = (
                        from seed in Enumerable.Range(1, seeds.Read(parsed))
                        from variant in variants
                        select (
                            Variant: variant.Name,
                            Request: new RunRequest(variant.Configuration, source, pictures.Read(parsed), seed)
                            {
                                Content = content,
                            }
                        )
                    ).ToArray();
                    var shared = sharing.Read(parsed);
                    var ablation = new AblationWork(
                        variants,
                        requests,
                        new RunStore(Path.Combine(parsed.GetValue(folder)!, "runs")),
                        shared.Cluster.Kind == ClusterKind.Embedded
                            ? new ProcessScheduler(Math.Max(1, shared.Parallel))
                            : new ClusterScheduler(Path.Combine(parsed.GetValue(folder)!, "cluster"), shared)
                    );
                    var about = string.Create(
                        CultureInfo.InvariantCulture,
                        $"{(source == DataSource.Drawn ? "drawn pictures" : source)}, "
                            + $"{pictures.Read(parsed):N0} training pictures, ModernCNN with widths "
                            + $"{width.Read(parsed)} to "
                            + $"{8 * width.Read(parsed)}"
                            + $"{(width.Read(parsed) == 64 ? "" : " (reduced network)")}, "
                            + $"{epochs.Read(parsed)} "
                            + $"{(epochs.Read(parsed) == 1 ? "epoch" : "epochs")}, {seeds.Read(parsed)} "
                            + $"{(seeds.Read(parsed) == 1 ? "seed" : "seeds")}, float32."
                    );
                    return Work(AnsiConsole.Console, ablation, parsed.GetValue(folder)!, about, stop);
                })
        );
        return command;
    }

    /// <summary>The internal command that runs one training in a child process.</summary>
    /// <returns>A hidden command with two arguments, the request file and the result file.</returns>
    public static Command BuildRun()
    {
        Argument<string> request = new("REQUEST"),
            result = new("RESULT");
        var command = new Command(ProcessScheduler.Command) { request, result };
        command.Hidden = true;
        command.SetAction(
            (parsed, stop) =>
                CommandRunner.Run(() =>
                {
                    ProcessScheduler.Serve(
                        parsed.GetValue(request)!,
                        parsed.GetValue(result)!,
                        Console.OpenStandardInput(),
                        stop
                    );
                    return 0;
                })
        );
        return command;
    }

    /// <summary>
    /// Does the missing runs with one progress line each, and writes the report after every run.
    /// </summary>
    /// <param name="console">Console for progress.</param>
    /// <param name="ablation">The runs to do.</param>
    /// <param name="folder">Folder of the report; locked while the command runs.</param>
    /// <param name="about">The report's subtitle.</param>
    /// <param name="stop">Cancels the command; finished runs are kept.</param>
    /// <returns>The program's exit code.</returns>
    private static int Work(
        IAnsiConsole console,
        AblationWork ablation,
        string folder,
        string about,
        CancellationToken stop
    )
    {
        using var claim = new ModelFolder(folder).Claim();
        FileSet.Recover(Path.Combine(folder, "runs"));
        console.WriteLine(about);
        console.WriteLine(
            FormattableString.Invariant(
                $"{ablation.Total} runs, {ablation.Stored} of them already stored in {Path.Combine(folder, "runs")}."
            )
        );
        if (ablation.NotUsed is { } line)
            console.WriteLine(line);
        try
        {
            if (console.Profile.Capabilities.Interactive && !Console.IsOutputRedirected)
            {
                console
                    .Live(AblationReport.Table(ablation.Rows()))
                    .Start(context =>
                        ablation
                            .Do(
                                (_, done) =>
                                    context.UpdateTarget(
                                        new Rows(
                                            AblationReport.Table(ablation.Rows()),
                                            new Text(FormattableString.Invariant($"{done} of {ablation.Total} runs"))
                                        )
                                    ),
                                stop
                            )
                            .GetAwaiter()
                            .GetResult()
                    );
            }
            else
            {
                ablation
                    .Do(
                        (run, done) =>
                            console.WriteLine(
                                string.Create(
                                    CultureInfo.InvariantCulture,
                                    $"{done, 4} of {ablation.Total}  {run.Variant, -40} seed "
                                        + $"{run.Result.Request.Seed}  training "
                                        + $"{run.Result.TrainingAccuracy:P1}  validation "
                                        + $"{run.Result.ValidationAccuracy:P1}  test "
                                        + $"{run.Result.TestAccuracy:P1}{Took(run.Result)}"
                                )
                            ),
                        stop
                    )
                    .GetAwaiter()
                    .GetResult();
                console.Write(AblationReport.Table(ablation.Rows()));
            }
        }
        catch (OperationCanceledException)
        {
            console.WriteLine(
                $"Stopped. Finished runs are stored; run the same command with --out {folder} to continue."
            );
            return ExitCodes.Stopped;
        }

        console.WriteLine(AblationReport.Findings(ablation.Rows()));
        foreach (var file in AblationReport.Write(folder, about, ablation.Rows()))
            console.WriteLine($"  {file}");
        return 0;
    }

    /// <summary>How long a run took. Cluster runs omit it, so that their results are the same bytes wherever they
    /// ran.</summary>
    /// <param name="result">The run.</param>
    private static string Took(RunResult result) =>
        result.Seconds > 0 ? string.Create(CultureInfo.InvariantCulture, $"  {result.Seconds:F0} s") : "";
}
