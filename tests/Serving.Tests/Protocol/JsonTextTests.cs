using System.Text.Json;

namespace TorchBridge.Serving.Tests.Protocol;

public class JsonTextTests
{
    [Fact]
    public void A_long_text_is_cut_and_a_short_one_is_not()
    {
        Assert.Equal(new string('x', 64), JsonText.Short(new string('x', 64)));
        Assert.Equal($"{new string('x', 64)}…", JsonText.Short(new string('x', 65)));
    }

    [Fact]
    public void A_mistakes_place_is_counted_from_one()
    {
        var error = Assert.ThrowsAny<JsonException>(() => JsonDocument.Parse("{\n  x"));
        Assert.StartsWith("line 2, byte 3: ", JsonText.Reason(error), StringComparison.Ordinal);
        Assert.DoesNotContain("LineNumber", JsonText.Reason(error), StringComparison.Ordinal);
    }
}
