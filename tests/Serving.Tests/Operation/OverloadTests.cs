using System.Net;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Operation;

namespace TorchBridge.Serving.Tests.Operation;

/// <summary>More requests than there is room for. The model takes its time: while one runs, the next wait.</summary>
public class OverloadTests
{
    private const int Rounds = 400;

    [Fact]
    public async Task A_full_queue_answers_503_with_Retry_After_at_once_and_what_waits_is_answered()
    {
        await using var server = await TestServer.Start(TestServer.Plain(("slow", TestModels.Slow(Rounds))), ("MaxBatchSize", "1"), ("QueueCapacity", "1"));
        var model = Version(server);
        var running = Ask(server, TestContext.Current.CancellationToken);
        await Until(() => model.Queue.Count == 0 && model.Statistics.Read().Runs == 0 && IsRunning(server));
        var waiting = Ask(server, TestContext.Current.CancellationToken);
        await Until(() => model.Queue.Count == 1 || running.IsCompleted);
        Assert.SkipWhen(running.IsCompleted, "this machine was too fast, or too slow, for the requests to meet");
        var refused = await Ask(server, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(1), refused.Headers.RetryAfter!.Delta);
        Assert.Equal(HttpStatusCode.OK, (await running).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await waiting).StatusCode);
    }

    [Fact]
    public async Task A_client_that_goes_away_leaves_the_queue()
    {
        await using var server = await TestServer.Start(TestServer.Plain(("slow", TestModels.Slow(Rounds))), ("MaxBatchSize", "1"));
        var model = Version(server);
        var running = Ask(server, TestContext.Current.CancellationToken);
        await Until(() => IsRunning(server) || running.IsCompleted);
        using var away = new CancellationTokenSource();
        var waiting = Ask(server, away.Token);
        await Until(() => model.Queue.Count == 1 || running.IsCompleted);
        Assert.SkipWhen(running.IsCompleted, "this machine was too fast, or too slow, for the requests to meet");
        await away.CancelAsync();
        await Until(() => model.Queue.Count == 0);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.Equal(HttpStatusCode.OK, (await running).StatusCode);
    }

    [Fact]
    public async Task A_request_that_has_waited_too_long_is_not_run()
    {
        await using var server = await TestServer.Start(TestServer.Plain(("affine", TestModels.Affine())));
        // A microsecond is over before anybody takes it, or just not: answered or expired, nothing else.
        var statuses = new HashSet<HttpStatusCode>();
        for (var i = 0; i < 200; i++)
        {
            var answer = await server.Infer("affine", TestServer.Affine(1)[..^1] + ""","parameters":{"timeout":1}}""");
            statuses.Add(answer.Status);
        }

        Assert.Subset(new HashSet<HttpStatusCode> { HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable }, statuses);
        await server.StillLive();
    }

    [Fact]
    public async Task No_more_requests_and_bytes_are_in_the_house_than_it_has_room_for()
    {
        await using var server = await TestServer.Start(TestServer.Plain(("affine", TestModels.Affine())), ("MaxConcurrentRequests", "1"), ("MaxRequestBytes", "100000"), ("MaxBytesInFlight", "150000"));
        using var slow = new TricklingContent(80_000);
        var first = server.Post("v2/models/affine/infer", slow);
        await slow.HasBegun;
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await server.Infer("affine", TestServer.Affine(1))).Status);
        Assert.Equal(HttpStatusCode.OK, (await server.Get("v2/health/live")).Status); // there is always room to say so
        slow.Finish();
        Assert.Equal(HttpStatusCode.BadRequest, (await first).Status); // zeros are no JSON
        await server.StillLive();
    }

    private static ModelVersion Version(TestServer server) => server.Registry.Find("slow")!.Latest!;

    private static bool IsRunning(TestServer server) => server.Services.GetRequiredService<RequestGate>().Requests > 0;

    private static Task<HttpResponseMessage> Ask(TestServer server, CancellationToken stop)
    {
        var json = $"{{\"inputs\":[{{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,64,64],\"data\":[{string.Join(',', Enumerable.Repeat("0.5", 64 * 64))}]}}]}}";
        return server.Http.PostAsync(new Uri("v2/models/slow/infer", UriKind.Relative), new StringContent(json, Encoding.UTF8, "application/json"), stop);
    }

    private static async Task Until(Func<bool> condition)
    {
        while (!condition())
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }
}
