using System.Net;
using System.Text;
using Grpc.Core;
using TorchBridge.Serving.Grpc.Wire;
using TorchBridge.Serving.Models;

namespace TorchBridge.Serving.Tests.Operation;

public class ServerApplicationTests
{
    private const string Key = "a key of some length";

    [Fact]
    public async Task A_key_is_asked_for_everywhere_but_at_health()
    {
        await using var server = await TestServer.Start(
            TestServer.Plain(("affine", TestModels.Affine()), ("cats", TestModels.Classifier())),
            ("ApiKey", Key)
        );
        foreach (
            var path in (string[])["v2", "v2/models/affine", "v2/models/affine/stats", "openapi", "", "examples/cats/0"]
        )
            Assert.Equal(HttpStatusCode.Unauthorized, (await server.Get(path)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await server.Infer("affine", TestServer.Affine(1))).Status);
        Assert.Equal(HttpStatusCode.OK, (await server.Get("v2/health/live")).Status);
        Assert.Equal(HttpStatusCode.OK, (await server.Get("v2/health/ready")).Status);
        (string Name, string Value)[] right =
        [
            ("Authorization", $"Bearer {Key}"),
            ("X-Api-Key", Key),
            ("Authorization", $"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes($"anybody:{Key}"))}"),
        ];
        (string Name, string Value)[] wrong =
        [
            ("Authorization", $"Bearer {Key}x"),
            ("X-Api-Key", ""),
            ("Authorization", "Basic !"),
            ("Authorization", $"Basic {Convert.ToBase64String("nocolon"u8)}"),
            ("Authorization", Key),
        ];
        foreach (var header in right)
            Assert.Equal(
                HttpStatusCode.OK,
                (await server.Post("v2/models/affine/infer", new StringContent(TestServer.Affine(1)), header)).Status
            );
        foreach (var header in wrong)
            Assert.Equal(
                HttpStatusCode.Unauthorized,
                (await server.Post("v2/models/affine/infer", new StringContent(TestServer.Affine(1)), header)).Status
            );

        var stop = TestContext.Current.CancellationToken;
        Assert.True((await server.Grpc.ServerReadyAsync(new ServerReadyRequest(), cancellationToken: stop)).Ready);
        var error = await Assert.ThrowsAsync<RpcException>(() =>
            server.Grpc.ServerMetadataAsync(new ServerMetadataRequest(), cancellationToken: stop).ResponseAsync
        );
        Assert.Equal(StatusCode.Unauthenticated, error.StatusCode);
        await server.Grpc.ServerMetadataAsync(
            new ServerMetadataRequest(),
            new Metadata { { "authorization", $"Bearer {Key}" } },
            cancellationToken: stop
        );
    }

    [Fact]
    public async Task No_other_page_may_call_unless_it_is_named()
    {
        await using (var server = await TestServer.Start(TestServer.Plain(("affine", TestModels.Affine()))))
            Assert.False(
                (await Preflight(server, "https://example.org")).Headers.Contains("Access-Control-Allow-Origin")
            );
        await using var named = await TestServer.Start(
            TestServer.Plain(("affine", TestModels.Affine())),
            ("AllowedOrigins", "https://example.org, http://localhost:3000")
        );
        Assert.Equal(
            "https://example.org",
            (await Preflight(named, "https://example.org")).Headers.GetValues("Access-Control-Allow-Origin").Single()
        );
        Assert.False((await Preflight(named, "https://evil.example")).Headers.Contains("Access-Control-Allow-Origin"));
    }

    [Fact]
    public async Task Metrics_have_a_port_of_their_own_and_tell_of_requests()
    {
        await using var server = await TestServer.Start(
            TestServer.Plain(("affine", TestModels.Affine())),
            ("metrics-url", "http://127.0.0.1:0")
        );
        using var metrics = new HttpClient { BaseAddress = new Uri(server.Addresses[2]) };
        var stop = TestContext.Current.CancellationToken;
        await metrics.GetStringAsync(new Uri("metrics", UriKind.Relative), stop); // the first look starts the listening
        for (var i = 0; i < 3; i++)
            await server.Infer("affine", TestServer.Affine(1));
        await server.Infer("affine", "{}");
        await server.Infer("<script>", "{}");
        var text = await metrics.GetStringAsync(new Uri("metrics", UriKind.Relative), stop);
        Assert.Contains(
            "torchbridge_request_seconds_count{model=\"affine\",outcome=\"ok\"} 3",
            text,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "torchbridge_request_seconds_count{model=\"affine\",outcome=\"invalid\"} 1",
            text,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "torchbridge_request_seconds_count{model=\"\",outcome=\"notfound\"} 1",
            text,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "torchbridge_batch_rows_count{model=\"affine\",version=\"1\"} 3",
            text,
            StringComparison.Ordinal
        );
        Assert.Contains("torchbridge_model_ready{model=\"affine\"} 1", text, StringComparison.Ordinal);
        Assert.DoesNotContain("script", text, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await server.Get("metrics")).Status);
        Assert.Equal(
            HttpStatusCode.NotFound,
            (await metrics.GetAsync(new Uri("v2", UriKind.Relative), stop)).StatusCode
        );
    }

    [Fact]
    public async Task Traces_name_the_model_and_the_times()
    {
        var finished = new List<System.Diagnostics.Activity>();
        using var listener = new System.Diagnostics.ActivityListener
        {
            ShouldListenTo = source => source.Name == TorchBridge.Serving.Models.ServingMetrics.Name,
            Sample = (ref _) => System.Diagnostics.ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                lock (finished)
                    finished.Add(activity);
            },
        };
        System.Diagnostics.ActivitySource.AddActivityListener(listener);
        await using var server = await TestServer.Start(TestServer.Plain(("traced", TestModels.Affine())));
        await server.Infer("traced", TestServer.Affine(1));
        System.Diagnostics.Activity[] mine;
        lock (finished)
            mine = [.. finished.Where(activity => (string?)activity.GetTagItem("model") == "traced")];
        Assert.Equal(1, Assert.Single(mine).GetTagItem("batch_rows"));
    }

    [Fact]
    public async Task Statistics_tell_of_batches()
    {
        await using var server = await TestServer.Start(TestServer.Plain(("affine", TestModels.Affine())));
        await Task.WhenAll(Enumerable.Range(0, 100).Select(i => server.Infer("affine", TestServer.Affine(i))));
        var stats = (await server.Get("v2/models/affine/stats")).Json!["model_stats"]![0]!;
        Assert.Equal(100, (int)stats["inference_count"]!);
        Assert.Equal(
            (int)stats["execution_count"]!,
            stats["batch_stats"]!.AsArray().Sum(item => (int)item!["compute_infer"]!["count"]!)
        );
        Assert.Equal(
            100,
            stats["batch_stats"]!
                .AsArray()
                .Sum(item => (int)item!["batch_size"]! * (int)item["compute_infer"]!["count"]!)
        );
    }

    private static async Task<HttpResponseMessage> Preflight(TestServer server, string origin)
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Options,
            new Uri("v2/models/affine/infer", UriKind.Relative)
        );
        request.Headers.Add("Origin", origin);
        request.Headers.Add("Access-Control-Request-Method", "POST");
        return await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
    }
}
