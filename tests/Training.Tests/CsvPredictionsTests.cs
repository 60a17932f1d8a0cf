using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Tests;

public class CsvPredictionsTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("a/b.png", "a/b.png")]
    [InlineData("a,b", "\"a,b\"")]
    [InlineData("a\"b", "\"a\"\"b\"")]
    [InlineData("a\rb", "\"a\rb\"")]
    [InlineData("a\nb", "\"a\nb\"")]
    [InlineData("=1+1", "'=1+1")]
    [InlineData("+1", "'+1")]
    [InlineData("-x.png", "'-x.png")]
    [InlineData("@cat", "'@cat")]
    [InlineData("\t=1", "'\t=1")]
    [InlineData("\r=1", "\"'\r=1\"")]
    [InlineData("=A1,B1", "\"'=A1,B1\"")]
    public void A_cell_is_text_in_every_spreadsheet(string text, string cell) =>
        Assert.Equal(cell, CsvPredictions.Quoted(text));
}
