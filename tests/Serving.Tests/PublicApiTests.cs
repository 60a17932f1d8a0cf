namespace TorchBridge.Serving.Tests;

public class PublicApiTests
{
    [Fact]
    public void The_public_API_is_the_committed_one()
    {
        var difference = PublicApi.Difference(
            typeof(ModelServerOptions).Assembly,
            Path.Combine(Shared.Repository, "tests", "Serving.Tests", "PublicApi.txt")
        );
        Assert.True(difference is null, difference);
    }
}
