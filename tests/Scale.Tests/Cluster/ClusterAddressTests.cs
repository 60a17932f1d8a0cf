using TorchBridge.Scale.Cluster;
using TorchBridge.Scale.Contract;

namespace TorchBridge.Scale.Tests.Cluster;

public class ClusterAddressTests
{
    [Fact]
    public void Addresses_are_read()
    {
        Assert.Equal(new ClusterAddress(ClusterKind.Localhost, "", 30000), ClusterAddress.Parse("localhost"));
        Assert.Equal(new ClusterAddress(ClusterKind.Localhost, "", 41000), ClusterAddress.Parse("localhost:41000"));
        var redis = ClusterAddress.Parse("redis://me:a%40b@host:7000/3");
        Assert.Equal(ClusterKind.Redis, redis.Kind);
        Assert.Contains("host:7000", redis.Store, StringComparison.Ordinal);
        Assert.Contains("password=a@b", redis.Store, StringComparison.Ordinal);
        Assert.Contains("defaultDatabase=3", redis.Store, StringComparison.Ordinal);
        Assert.Contains("6379", ClusterAddress.Parse("redis://host").Store, StringComparison.Ordinal);
        var postgres = ClusterAddress.Parse("postgres://me:secret@host/jobs");
        Assert.Equal(ClusterKind.Postgres, postgres.Kind);
        Assert.Contains("Host=host;Port=5432", postgres.Store, StringComparison.Ordinal);
        Assert.Contains("Database=jobs", postgres.Store, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("host")]
    [InlineData("localhost:")]
    [InlineData("localhost:0")]
    [InlineData("localhost:99999")]
    [InlineData("http://host")]
    [InlineData("redis://host/abc")]
    [InlineData("redis://host?ssl=true")]
    [InlineData("postgres://host/jobs")]
    [InlineData("postgres://me@host")]
    public void What_is_no_address_is_refused_with_what_is_allowed(string text) =>
        Assert.Contains(
            "allowed are localhost",
            Assert.Throws<ScaleException>(() => ClusterAddress.Parse(text)).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void A_password_is_in_no_message() =>
        Assert.DoesNotContain(
            "secret",
            Assert.Throws<ScaleException>(() => ClusterAddress.Parse("redis://me:secret@host/x")).Message,
            StringComparison.Ordinal
        );
}
