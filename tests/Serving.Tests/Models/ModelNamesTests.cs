using TorchBridge.Serving.Models;

namespace TorchBridge.Serving.Tests.Models;

public class ModelNamesTests
{
    [Theory]
    [InlineData("resnet-18_v2.onnx", true)]
    [InlineData("1", true)]
    [InlineData("", false)]
    [InlineData(".", false)]
    [InlineData("..", false)]
    [InlineData("a/b", false)]
    [InlineData("a b", false)]
    [InlineData("ä", false)]
    public void A_name_is_safe_in_a_path_and_in_an_address(string name, bool expected) =>
        Assert.Equal(expected, ModelNames.IsValid(name));

    [Theory]
    [InlineData("1", 1L)]
    [InlineData("999999999999999999", 999_999_999_999_999_999L)]
    [InlineData("0", null)]
    [InlineData("01", null)]
    [InlineData("+1", null)]
    [InlineData("1.0", null)]
    [InlineData("٣", null)] // a digit, not of ASCII
    [InlineData("9999999999999999999", null)]
    public void A_version_is_a_number_written_in_one_way_only(string name, long? expected)
    {
        Assert.Equal(expected is not null, ModelNames.TryVersion(name, out var version));
        if (expected is not null)
            Assert.Equal(expected, version);
    }
}
