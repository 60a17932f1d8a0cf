using System.Text;
using System.Text.Json;

namespace TorchBridge.Serving.Tests.Protocol;

public class JsonParametersTests
{
    [Fact]
    public void Texts_numbers_and_booleans_keep_their_type()
    {
        var parameters = Read("""{"t": "text", "b": true, "n": 9007199254740993, "d": 0.5}""");
        Assert.Equal("text", parameters["t"]);
        Assert.Equal(9007199254740993L, parameters["n"]); // not through float64
        Assert.Equal(0.5, parameters["d"]);
        Assert.True(JsonParameters.Flag(parameters, "b", "the request"));
        Assert.Null(JsonParameters.Flag(parameters, "missing", "the request"));
        TensorAssert.Refused(RefusalKind.Invalid, () => JsonParameters.Flag(parameters, "t", "the request"));
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("""{"a": null}""")]
    [InlineData("""{"a": []}""")]
    [InlineData("""{"a": 1e999}""")]
    public void Nothing_else_is_a_parameter(string json) => TensorAssert.Refused(RefusalKind.Invalid, () => Read(json));

    [Theory]
    [InlineData("""{"a": 1, "b": 1, "c": 1}""")]
    [InlineData("""{"a": "123456789"}""")]
    [InlineData("""{"123456789": 1}""")]
    public void More_or_longer_ones_than_allowed_are_refused(string json) =>
        TensorAssert.Refused(RefusalKind.TooLarge, () => Read(json));

    private static Dictionary<string, object> Read(string json)
    {
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(json));
        reader.Read();
        var limits =
            json.Contains("123", StringComparison.Ordinal) || json.Contains("\"c\"", StringComparison.Ordinal)
                ? new ProtocolLimits { Parameters = 2, TextLength = 8 }
                : new ProtocolLimits();
        return JsonParameters.Read(ref reader, "the request", limits);
    }
}
