using TorchBridge.Onnx.Graph;

namespace TorchBridge.Onnx.Tests;

public class PublicApiTests
{
    [Fact]
    public void The_public_API_is_the_committed_one()
    {
        var difference = PublicApi.Difference(
            typeof(OnnxGraph).Assembly,
            Path.Combine(Shared.Repository, "tests", "Onnx.Tests", "PublicApi.txt")
        );
        Assert.True(difference is null, difference);
    }
}
