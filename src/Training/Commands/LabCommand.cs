using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Spectre.Console;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Data;
using TorchBridge.Training.Lab;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Commands;

/// <summary>The <c>lab</c> command: shows what each technique does, with a table, a plot and a paragraph.</summary>
internal static class LabCommand
{
    /// <summary>Builds the command with one subcommand per topic, and <c>all</c>.</summary>
    /// <returns>For the program's root command.</returns>
    public static Command Build()
    {
        var lab = new Command(
            "lab",
            "Show what each technique does: a table, plots and a paragraph. `lab all` combines all topics "
                + "in one page.\nExample: lab batchnorm\nExample: lab all --out lab"
        );
        foreach (var topic in LabTopics.All)
            lab.Subcommands.Add(Topic(topic.Name, $"{topic.About}\nExample: lab {topic.Name}", [topic]));
        lab.Subcommands.Add(
            Topic(
                "all",
                "Run all topics and write them to one HTML page: about five minutes on two cores.\nExample: lab "
                    + "all --out lab",
                LabTopics.All
            )
        );
        return lab;
    }

    /// <summary>Builds the command of one topic, or of all.</summary>
    /// <param name="name">Name of the command.</param>
    /// <param name="description">Description for the help.</param>
    /// <param name="topics">The topics to run, in order.</param>
    private static Command Topic(string name, string description, IReadOnlyList<LabTopic> topics)
    {
        var (data, seed) = (CommonOptions.DataSet("drawn"), CommonOptions.Seed());
        Option<string> folder = new("--out")
        {
            Description = "Folder for the plots.",
            DefaultValueFactory = _ => "lab",
            HelpName = "DIR",
        };
        WholeOption width = new("--width", new AllowedAttribute(8, 512) { MultipleOf = 8 }, 16)
        {
            Description =
                "Channels of the first convolution of the trained networks, a multiple of 8; 64 is the full network.",
        };
        var command = new Command(name, description) { data, folder, width, seed };
        command.SetAction(
            (parsed, stop) =>
                CommandRunner.Run(() =>
                {
                    var channels = width.Read(parsed);
                    var seedValue = seed.Whole(parsed) ?? 1;
                    var source = parsed.GetValue(data) ?? DataSource.Drawn;
                    using var pictures = LabData.Of(
                        DataLoading.Load(AnsiConsole.Console, source, 32, seedValue, null).Data,
                        seedValue
                    );
                    Run(
                        AnsiConsole.Console,
                        topics,
                        parsed.GetValue(folder)!,
                        new LabContext(channels, seedValue, pictures, stop)
                    );
                    return 0;
                })
        );
        return command;
    }

    /// <summary>
    /// Runs topics, prints each table and paragraph, and writes the plots and, for several topics, a page.
    /// </summary>
    /// <param name="console">Where it goes.</param>
    /// <param name="topics">The topics, in order.</param>
    /// <param name="folder">Folder for the plots; locked while the command runs.</param>
    /// <param name="context">Data, seed and cancellation.</param>
    private static void Run(IAnsiConsole console, IReadOnlyList<LabTopic> topics, string folder, LabContext context)
    {
        using var claim = new ModelFolder(folder).Claim();
        var pages = new List<LabPage>();
        foreach (var topic in topics)
        {
            context.Stop.ThrowIfCancellationRequested();
            var started = Stopwatch.GetTimestamp();
            LabPage Work() => topic.Run(context);
            var page =
                console.Profile.Capabilities.Interactive && !Console.IsOutputRedirected
                    ? console.Status().Start($"{topic.Name} ({pages.Count + 1} of {topics.Count})", _ => Work())
                    : Work();
            pages.Add(page);
            LabOutput.Print(console, page);
            foreach (var path in LabOutput.WritePictures(folder, page))
                console.WriteLine($"  {path}.svg, .png");
            console.WriteLine(FormattableString.Invariant($"  {Stopwatch.GetElapsedTime(started).TotalSeconds:F0} s"));
        }

        if (pages.Count == 1)
            return;
        var html = Path.Combine(folder, "lab.html");
        LabOutput.WriteHtml(
            html,
            "The lab: what each technique does",
            string.Create(
                CultureInfo.InvariantCulture,
                $"{context.Data.Pictures.Name}: {context.Data.Pictures.Training.Count} training and "
                    + $"{context.Data.Pictures.Validation.Count} validation pictures, seed {context.Seed}; "
                    + $"networks are reduced where noted. Each result is a single run; `ablate` repeats and compares."
            ),
            pages
        );
        console.WriteLine($"All topics on one page: {html}");
    }
}
