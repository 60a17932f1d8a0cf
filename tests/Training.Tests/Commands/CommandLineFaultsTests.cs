using TorchBridge.Training.Commands;

namespace TorchBridge.Training.Tests.Commands;

/// <summary>Errors in a command line are reported before any work begins.</summary>
public class CommandLineFaultsTests
{
    [Theory]
    [InlineData("--out", "train", "--out", "")]
    [InlineData("--out", "--out", " ")]
    [InlineData("--config", "train", "--config", "")]
    [InlineData("--weights", "train", "--weights", "")]
    [InlineData("--lr", "--lr", "\t")]
    [InlineData("--data", "evaluate", "--data", "")]
    [InlineData("--out", "lab", "dropout", "--out", "")]
    [InlineData("--only", "ablate", "--only", "")]
    [InlineData("--keep-float", "quantize", "--keep-float", "")]
    [InlineData("--csv", "predict", "a.png", "--csv", "")]
    [InlineData("--to", "package", "--target", "docker", "--to", "")]
    [InlineData("FILE", "predict", "a.png", "")]
    [InlineData("DATA", "inspect", "")]
    public void An_empty_value_is_refused_by_the_name_of_its_option(string name, params string[] arguments) =>
        Assert.Equal(
            [$"{name} has an empty value. Give it a value, or omit it."],
            Faults(arguments).Where(fault => fault.Contains("empty", StringComparison.Ordinal))
        );

    [Theory]
    [InlineData("--only", ",")]
    [InlineData("--only", " , ,")]
    public void A_list_of_no_techniques_is_not_all_of_them(params string[] arguments) =>
        Assert.Equal(
            ["--only names no technique. Give at least one, or omit the option for all of them."],
            Faults(["ablate", .. arguments])
        );

    [Fact]
    public void A_file_that_cannot_be_written_is_refused_before_the_work()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["file"], "old");
        Directory.CreateDirectory(folder["folder"]);
        Assert.Equal(
            [$"--json {folder["folder"]} is a folder. Give the path of a file."],
            Faults("train", "--json", folder["folder"])
        );
        Assert.Equal(
            [$"--json {folder["missing", "x.json"]}: the folder does not exist. Create it, or give another path."],
            Faults("train", "--json", folder["missing", "x.json"])
        );
        Assert.Single(Faults("predict", "a.png", "--csv", folder["file", "x.csv"]));
        Assert.Single(Faults("inspect", "x", "--sheet", folder["folder"]));
        Assert.Empty(Faults("train", "--json", folder["new.json"]));
        Assert.Empty(Faults("train", "--json", folder["file"]));
        Assert.Equal("old", File.ReadAllText(folder["file"]));
        Assert.Equal(["file"], folder.Files);
    }

    [Theory]
    [InlineData]
    [InlineData("train", "--epochs", "3")]
    [InlineData("ablate", "--only", "dropout, mixup")]
    [InlineData("predict", "a.png", "b.png")]
    public void Nothing_is_said_where_nothing_is_wrong(params string[] arguments) => Assert.Empty(Faults(arguments));

    [Theory]
    [InlineData("train", "--epochs", "3", "--epochs", "4")]
    [InlineData("trane")]
    public void What_is_not_understood_is_told(params string[] arguments) => Assert.NotEmpty(Faults(arguments));

    [Fact]
    public void A_value_that_is_not_allowed_is_told_with_its_option_and_those_that_are() =>
        Assert.Equal(
            ["--mode: Argument 'int3' not recognized. Must be one of: 'int8', 'weights_int8', 'weights_float16'."],
            Faults("quantize", "--mode", "int3")
        );

    public static TheoryData<string> Commands => [.. Paths(Program.Build(), "")];

    [Theory]
    [MemberData(nameof(Commands))]
    public void Help_is_given_before_what_a_command_needs(string command)
    {
        var root = Program.Build();
        foreach (var help in (string[])["--help", "-h", "-?"])
        {
            var parsed = root.Parse([.. command.Split(' ', StringSplitOptions.RemoveEmptyEntries), help]);
            Assert.Empty(CommandLineFaults.Of(parsed));
            Assert.IsType<GroupedHelp>(parsed.Action);
        }
    }

    private static IEnumerable<string> Paths(System.CommandLine.Command command, string path) =>
        [path, .. command.Subcommands.SelectMany(below => Paths(below, $"{path} {below.Name}"))];

    private static string[] Faults(params string[] arguments) =>
        [.. CommandLineFaults.Of(Program.Build().Parse(arguments))];
}
