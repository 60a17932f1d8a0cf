using System.Text.Json.Nodes;
using TorchBridge.Scale.Contract;

namespace TorchBridge.Scale.Tests.Contract;

public class CanonicalJsonTests
{
    [Theory]
    [InlineData("""{ "b": 1, "a": [ true, null ] }""", """{"a":[true,null],"b":1}""")]
    [InlineData("""{"a":0.10}""", """{"a":0.1}""")]
    [InlineData("""{"a":1e2,"b":100.0,"c":-0.0}""", """{"a":100,"b":100,"c":0}""")]
    [InlineData("9007199254740993", "9007199254740993")] // above 2^53: a double would make it ...992
    [InlineData("\"\\u0041\\u00e9\\n\"", "\"Aé\\n\"")]
    [InlineData("""{"Z":1,"a":2,"é":3}""", """{"Z":1,"a":2,"é":3}""")]
    [InlineData("{}", "{}")]
    public void A_value_has_one_text(string written, string canonical)
    {
        Assert.Equal(canonical, CanonicalJson.Text(JsonNode.Parse(written)));
        Assert.Equal(canonical, CanonicalJson.Text(JsonNode.Parse(canonical)));
    }

    [Fact]
    public void What_is_no_number_or_stands_twice_is_refused()
    {
        Assert.Throws<FormatException>(() => CanonicalJson.Text(JsonNode.Parse("1e999")));
        Assert.Throws<FormatException>(() => CanonicalJson.Text(JsonNode.Parse("""{"a":1,"a":2}""")));
    }

    [Fact]
    public void An_id_changes_with_all_that_decides_and_with_nothing_else()
    {
        var id = ContentHash.Id(JsonNode.Parse("""{"seed":1,"lr":0.1}""")!);
        Assert.Equal(ContentHash.IdLength, id.Length);
        Assert.Equal(id, ContentHash.Id(JsonNode.Parse("""{ "lr": 1e-1, "seed": 1 }""")!));
        Assert.NotEqual(id, ContentHash.Id(JsonNode.Parse("""{"seed":2,"lr":0.1}""")!));
        Assert.NotEqual(id, ContentHash.Id(JsonNode.Parse("""{"seed":"1","lr":0.1}""")!));
    }
}
