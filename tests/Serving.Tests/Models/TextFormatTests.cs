using TorchBridge.Serving.Models;

namespace TorchBridge.Serving.Tests.Models;

public class TextFormatTests
{
    [Fact]
    public void What_Triton_reads_is_read()
    {
        var message = TextFormat.Read(
            """
            # a comment
            name: "a\"b\\\n\x41\101" 'c'
            max_batch_size: 8,
            dims: [ 3, -1 ]; dims: 5
            input [ { name: "x" data_type: TYPE_FP32 }, { name: 'y' } ]
            dynamic_batching { }
            nested < a: 1 b { c: true } >
            empty: []
            """
        );
        Assert.Equal("a\"b\\\nAAc", message.Text("name"));
        Assert.Equal(8, message.Number("max_batch_size"));
        Assert.Equal([3, -1, 5], message.Numbers("dims"));
        Assert.Equal(["x", "y"], message.Messages("input").Select(item => item.Text("name")));
        Assert.NotNull(message.Message("dynamic_batching"));
        Assert.Equal("true", message.Message("nested")!.Message("b")!.Text("c"));
        Assert.Null(message.Text("absent"));
    }

    [Theory]
    [InlineData("name")]
    [InlineData("name: ")]
    [InlineData("name \"x\"")]
    [InlineData("name: \"x")]
    [InlineData("name: \"x\ny\"")]
    [InlineData("name: \"\\q\"")]
    [InlineData("a {")]
    [InlineData("a }")]
    [InlineData("a: [1, 2")]
    [InlineData("a: 1 !")]
    [InlineData("\"a\": 1")]
    public void What_it_does_not_read_is_refused_with_its_line(string text)
    {
        var error = Assert.Throws<FormatException>(() => TextFormat.Read($"# first\n{text}"));
        Assert.Matches("line [23]:", error.Message);
    }

    [Fact]
    public void Deep_nesting_is_refused() =>
        Assert.Throws<FormatException>(() => TextFormat.Read(string.Concat(Enumerable.Repeat("a {", 100_000))));
}
