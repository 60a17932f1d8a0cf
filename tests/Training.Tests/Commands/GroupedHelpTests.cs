using System.CommandLine;
using System.CommandLine.Help;
using System.Text.RegularExpressions;
using TorchBridge.Training.Commands;

namespace TorchBridge.Training.Tests.Commands;

public partial class GroupedHelpTests
{
    private static readonly RootCommand Root = Program.Build();

    public static TheoryData<string> Names => [.. Commands().Select(command => command.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_line_fits_a_terminal_and_every_option_stands_there_once(string name)
    {
        var command = Commands().First(command => command.Name == name);
        var lines = GroupedHelp.Of(command).Split('\n');
        Assert.All(lines, line => Assert.InRange(line.Length, 0, GroupedHelp.Width));
        var shown = lines.Select(line => Header().Match(line)).Where(match => match.Success).Select(Name);
        Assert.Equal(GroupedHelp.OptionsOf(command).Select(option => option.Name).Order(), shown.Order());
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_default_is_said_once_and_in_words(string name)
    {
        var help = GroupedHelp.Of(Commands().First(command => command.Name == name));
        Assert.DoesNotContain("System.", help, StringComparison.Ordinal);
        var said = 0;
        foreach (var line in help.Split('\n'))
        {
            said = Header().IsMatch(line) ? 0 : said;
            said += Regex.Count(line, "Default:");
            Assert.True(said <= 1, line);
        }
    }

    [Theory]
    [InlineData("worker", "worker --cluster <ADDRESS> [options]")]
    [InlineData("score", "score <MANIFEST> --out <DIR> [options]")]
    public void The_usage_has_what_a_command_cannot_do_without(string name, string usage) =>
        Assert.Contains(
            usage,
            GroupedHelp.Of(Commands().First(command => command.Name == name)),
            StringComparison.Ordinal
        );

    [Fact]
    public void Train_shows_what_most_runs_need_first_and_then_group_by_group()
    {
        var train = Root.Subcommands.Single(command => command.Name == "train");
        var lines = GroupedHelp.Of(train).Split('\n');
        Assert.Equal(
            [
                "Most used:",
                "Data:",
                "Starting from trained weights, for your own photos:",
                "Network:",
                "Recipe values (each overrides one value of --recipe):",
                "Output and machine:",
                "Help:",
            ],
            lines.Where(line => line.EndsWith(':') && !line.StartsWith(' '))
        );
        Assert.Equal(
            ["--data", "--recipe", "--epochs", "--out"],
            lines.Select(line => Header().Match(line)).Where(match => match.Success).Take(4).Select(Name)
        );
    }

    /// <summary>Nobody asks for help with <c>ablate-run</c>, and the library's own would be too wide.</summary>
    [Fact]
    public void The_librarys_help_is_nowhere() =>
        Assert.All(Root.Options.OfType<HelpOption>(), option => Assert.IsType<GroupedHelp>(option.Action));

    private static string Name(Match match) => match.Groups[1].Value;

    private static IEnumerable<Command> Commands() => Root.Subcommands.Where(command => !command.Hidden).Prepend(Root);

    [GeneratedRegex(@"^  (?:-\w, )?(--[a-z0-9-]+)( |$)")]
    private static partial Regex Header();
}
