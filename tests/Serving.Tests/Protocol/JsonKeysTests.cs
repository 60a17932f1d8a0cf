using System.Text;
using System.Text.Json;

namespace TorchBridge.Serving.Tests.Protocol;

public class JsonKeysTests
{
    [Theory]
    [InlineData("{}", "")]
    [InlineData("""{"a": 1, "b": 2}""", "ab")]
    [InlineData("""{"a": 1, "A": 2}""", "aA")]
    public void Keys_come_one_after_the_other(string json, string expected) => Assert.Equal(expected, Read(json));

    [Theory]
    [InlineData("""{"a": 1, "a": 1}""")]
    [InlineData("""{"a": 1, "\u0061": 1}""")] // the same key, written otherwise
    public void A_key_that_comes_twice_is_refused(string json) =>
        TensorAssert.Refused(RefusalKind.Invalid, () => Read(json));

    [Fact]
    public void More_keys_than_anything_has_are_refused() =>
        TensorAssert.Refused(RefusalKind.TooLarge, () =>
            Read($"{{{string.Join(",", Enumerable.Range(0, 257).Select(number => $"\"{number}\":0"))}}}")
        );

    private static string Read(string json)
    {
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(json));
        reader.Read();
        var keys = new JsonKeys("the request");
        var text = "";
        while (keys.Next(ref reader))
            text += keys.Current;
        return text;
    }
}
