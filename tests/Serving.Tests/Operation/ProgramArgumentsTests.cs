using TorchBridge.Serving.Operation;

namespace TorchBridge.Serving.Tests.Operation;

public class ProgramArgumentsTests
{
    [Fact]
    public void Options_are_read_with_a_space_and_with_an_equals_sign()
    {
        var settings = ProgramArguments.Read(["--models", "a=b", "--max-batch-size=4", "--urls", "http://*:1"])!;
        Assert.Equal("a=b", settings["Server:Models"]);
        Assert.Equal("4", settings["Server:MaxBatchSize"]);
        Assert.Equal("http://*:1", settings["urls"]);
    }

    [Theory]
    [InlineData("--help")]
    [InlineData("-h")]
    public void Help_asks_for_no_settings(string option) => Assert.Null(ProgramArguments.Read(["--urls", "x", option]));

    [Theory]
    [InlineData("models")]
    [InlineData("--modells")]
    [InlineData("--models")]
    [InlineData("-models=x")]
    public void What_is_no_option_or_has_no_value_is_refused(string option) =>
        Assert.Throws<UsageException>(() => ProgramArguments.Read([option]));

    [Fact]
    public void Help_names_every_option_that_is_read()
    {
        var options = ProgramArguments
            .Help.Split('\n')
            .Where(line => line.StartsWith("  --", StringComparison.Ordinal))
            .Select(line => line.TrimStart().Split(' ')[0])
            .ToArray();
        Assert.Contains("--api-key", options);
        Assert.All(options, option => Assert.Single(ProgramArguments.Read([option, "value"])!));
    }

    [Fact]
    public void Help_fits_into_80_columns_and_has_no_broken_lines()
    {
        var lines = ProgramArguments.Help.Split('\n');
        Assert.All(lines, line => Assert.InRange(line.Length, 0, 80));
        Assert.All(lines, line => Assert.Equal(line.TrimEnd(), line));
        Assert.DoesNotContain("Default: .", ProgramArguments.Help, StringComparison.Ordinal);
    }
}
