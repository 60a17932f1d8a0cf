using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Tests.Ranges;

public class NumberTextTests
{
    private static readonly AllowedAttribute Share = new(0, 1);
    private static readonly AllowedAttribute Count = new(1, 5000);

    [Theory]
    [InlineData("0.001", 0.001)]
    [InlineData("1e-3", 0.001)]
    [InlineData(".5", 0.5)]
    [InlineData("+1.", 1)]
    public void A_number_is_read_in_one_form(string text, double expected) =>
        Assert.Equal(expected, NumberText.Real(text, "--lr", Share));

    [Theory]
    [InlineData("0,001", "separators: 0.001")] // .NET would read 1
    [InlineData("1.0.0", "decimal point")]
    [InlineData("NaN", "decimal point")]
    [InlineData("1e99999", "decimal point")]
    [InlineData("0.5\n", "decimal point")]
    [InlineData("2", "0 to 1")]
    public void Anything_else_is_refused_with_what_was_meant(string text, string said) =>
        Assert.Contains(
            said,
            Assert.Throws<UserException>(() => NumberText.Real(text, "--lr", Share)).Message,
            StringComparison.Ordinal
        );

    [Theory]
    [InlineData("1,000")]
    [InlineData("1e3")]
    [InlineData("10.0")]
    [InlineData("99999999999")]
    [InlineData("0")]
    public void A_whole_number_has_digits_only_and_lies_in_its_range(string text) =>
        Assert.Throws<UserException>(() => NumberText.Whole(text, "--epochs", Count));

    [Fact]
    public void A_range_is_told_as_it_is_typed() => Assert.Equal("1 to 5000", Count.ToString());
}
