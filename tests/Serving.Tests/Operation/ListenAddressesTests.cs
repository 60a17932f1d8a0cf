using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using TorchBridge.Serving.Operation;

namespace TorchBridge.Serving.Tests.Operation;

public class ListenAddressesTests
{
    [Fact]
    public void Nobody_outside_reaches_a_server_that_was_not_told_to_listen()
    {
        var addresses = ListenAddresses.Read(Settings())!;
        Assert.Null(addresses.Metrics);
        Assert.Equal(2, addresses.All.Count());
        Assert.All(addresses.All, address => Assert.True(ListenAddresses.IsLoopback(address)));
    }

    [Fact]
    public void Several_addresses_are_read_and_gRPC_may_be_left_out()
    {
        var addresses = ListenAddresses.Read(
            Settings(
                ("urls", " http://*:80 ; http://[::1]:81"),
                ("grpc-url", "none"),
                ("metrics-url", "http://10.0.0.1:9")
            )
        )!;
        Assert.Equal([80, 81], addresses.Rest.Select(address => address.Port));
        Assert.Null(addresses.Grpc);
        Assert.Equal(9, addresses.Metrics!.Port);
        Assert.Equal([false, true], addresses.Rest.Select(ListenAddresses.IsLoopback));
    }

    [Theory]
    [InlineData("127.0.0.1:8080")]
    [InlineData("https://127.0.0.1:8080")]
    [InlineData("http://example.org:8080")]
    public void What_cannot_be_listened_at_is_refused_by_name(string address)
    {
        var error = Assert.Throws<UsageException>(() => ListenAddresses.Read(Settings(("urls", address))));
        Assert.Contains(address, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Kestrels_own_section_goes_before() =>
        Assert.Null(ListenAddresses.Read(Settings(("Kestrel:Endpoints:Rest:Url", "https://*:443"))));

    [Theory]
    [InlineData("http://127.5.6.7:1", true)]
    [InlineData("http://[::1]:1", true)]
    [InlineData("http://localhost:1", true)]
    [InlineData("http://*:1", false)]
    [InlineData("http://192.168.0.1:1", false)]
    public void Loopback_is_all_of_127_and_1(string address, bool expected) =>
        Assert.Equal(expected, ListenAddresses.IsLoopback(BindingAddress.Parse(address)));

    private static IConfiguration Settings(params (string Key, string Value)[] values) =>
        new ConfigurationBuilder()
            .AddInMemoryCollection(values.Select(pair => new KeyValuePair<string, string?>(pair.Key, pair.Value)))
            .Build();
}
