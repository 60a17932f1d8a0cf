using TorchBridge.Serving.Operation;

namespace TorchBridge.Serving.Tests.Operation;

public class ModelServerOptionsCheckTests
{
    [Fact]
    public void All_that_is_wrong_is_told_at_once()
    {
        var result = Check(
            new ModelServerOptions
            {
                Models = "no such folder",
                MaxRequestBytes = 2,
                MaxBytesInFlight = 1,
                ApiKey = "short",
                AllowedOrigins = "https://good.org, https://bad.org/path, *, ftp://bad.org",
            }
        );
        Assert.Equal(6, result.Failures!.Count());
        Assert.DoesNotContain(result.Failures!, text => text.Contains("good.org", StringComparison.Ordinal));
    }

    [Fact]
    public void What_a_server_is_started_with_by_default_is_right()
    {
        using var folder = new TempFolder();
        Assert.True(Check(new ModelServerOptions { Models = folder[""] }).Succeeded);
    }

    [Fact]
    public void Origins_are_split_at_commas() =>
        Assert.Equal(
            ["https://a.org", "http://b.org:81"],
            ModelServerOptionsCheck.OriginsOf(
                new ModelServerOptions { AllowedOrigins = " https://a.org ,, http://b.org:81" }
            )
        );

    private static Microsoft.Extensions.Options.ValidateOptionsResult Check(ModelServerOptions options) =>
        new ModelServerOptionsCheck().Validate(null, options);
}
