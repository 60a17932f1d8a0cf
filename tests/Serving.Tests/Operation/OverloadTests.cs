using System.Net;
using TorchBridge.Serving.Batching;
using TorchBridge.Testing;

namespace TorchBridge.Serving.Tests.Operation;

/// <summary>More requests than there is room for.</summary>
public class OverloadTests
{
    /// <summary>So that what the tests send waits behind the one worker that is held.</summary>
    private static readonly (string, string) OneWorker = ("Sessions", "1");

    [Fact]
    public Task A_full_queue_answers_503_with_Retry_After_at_once_and_what_waits_is_answered() =>
        WhileFull(async server =>
        {
            var refused = await server.Infer("affine", TestServer.Affine(1));
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.Status);
            Assert.Equal(TimeSpan.FromSeconds(1), refused.Response.Headers.RetryAfter!.Delta);
        });

    [Fact]
    public Task A_full_queue_is_said_before_the_body_has_come() =>
        WhileFull(async server =>
        {
            // The body that is announced never comes.
            var answer = await RawHttp.Send(
                server.Addresses[0],
                "POST /v2/models/affine/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"u8.ToArray()
            );
            Assert.StartsWith("HTTP/1.1 503", answer, StringComparison.Ordinal);
            Assert.Contains("1 requests waiting", answer, StringComparison.Ordinal);
        });

    [Fact]
    public Task No_picture_is_decoded_where_the_queue_is_full() =>
        WhileFull(
            async server =>
            {
                // Decoded, it would be refused as damaged: 400.
                var refused = await server.Post("classify", new ByteArrayContent(Picture()[..30]));
                Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.Status);
            },
            TestModels.Classifier()
        );

    [Fact]
    public async Task A_client_that_goes_away_leaves_the_queue()
    {
        await using var server = await TestServer.Start(TestServer.Plain(("affine", TestModels.Affine())), OneWorker);
        using var worker = new HeldWorker(server);
        var running = server.Infer("affine", TestServer.Affine(1));
        await worker.IsHeld;
        using var away = new CancellationTokenSource();
        var waiting = server.Http.PostAsync(
            new Uri("v2/models/affine/infer", UriKind.Relative),
            new StringContent(TestServer.Affine(1)),
            away.Token
        );
        await Until(() => QueueOf(server).Count == 1);
        await away.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        await Until(() => QueueOf(server).Count == 0);
        worker.LetGo();
        Assert.Equal(HttpStatusCode.OK, (await running).Status);
        Assert.Equal(1, server.Registry.Find("affine")!.Latest!.Statistics.Read().Rows); // it was never run
    }

    [Fact]
    public async Task What_waits_while_a_batch_runs_is_the_next_batch()
    {
        await using var server = await TestServer.Start(
            TestServer.Plain(("affine", TestModels.Affine())),
            OneWorker,
            ("MaxBatchSize", "4")
        );
        using var worker = new HeldWorker(server);
        var running = server.Infer("affine", TestServer.Affine(0));
        await worker.IsHeld;
        var waiting = Enumerable.Range(1, 6).Select(i => server.Infer("affine", TestServer.Affine(i))).ToArray();
        await Until(() => QueueOf(server).Count == 6);
        worker.LetGo();
        await running;
        for (var i = 0; i < waiting.Length; i++)
            Assert.Equal([i + 1, i + 2, i + 3], TestServer.Values((await waiting[i]).Json));
        Assert.Equal(
            new Dictionary<int, long>
            {
                [1] = 1,
                [4] = 1,
                [2] = 1,
            },
            new Dictionary<int, long>(server.Registry.Find("affine")!.Latest!.Statistics.Read().RunsBySize)
        );
    }

    [Fact]
    public async Task A_request_that_has_waited_too_long_is_not_run()
    {
        await using var server = await TestServer.Start(TestServer.Plain(("affine", TestModels.Affine())), OneWorker);
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
        await using var server = await TestServer.Start(
            TestServer.Plain(("affine", TestModels.Affine())),
            OneWorker,
            ("MaxConcurrentRequests", "1"),
            ("MaxRequestBytes", "100000"),
            ("MaxBytesInFlight", "150000")
        );
        using var slow = new TricklingContent(80_000);
        var first = server.Post("v2/models/affine/infer", slow);
        await slow.HasBegun;
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await server.Infer("affine", TestServer.Affine(1))).Status);
        Assert.Equal(HttpStatusCode.OK, (await server.Get("v2/health/live")).Status); // there is always room to say so
        slow.Finish();
        Assert.Equal(HttpStatusCode.BadRequest, (await first).Status); // zeros are no JSON
        await server.StillLive();
    }

    /// <summary>Does something while one request runs and the one that may wait does; both are answered then.</summary>
    private static async Task WhileFull(Func<TestServer, Task> act, byte[]? classifier = null)
    {
        await using var server = await TestServer.Start(
            TestServer.Plain(("affine", classifier ?? TestModels.Affine())),
            OneWorker,
            ("QueueCapacity", "1")
        );
        using var worker = new HeldWorker(server);
        var running = Ask();
        await worker.IsHeld;
        var waiting = Ask();
        await Until(() => QueueOf(server).Count == 1);
        await act(server);
        worker.LetGo();
        Assert.Equal(HttpStatusCode.OK, (await running).Status);
        Assert.Equal(HttpStatusCode.OK, (await waiting).Status);

        Task<(HttpStatusCode Status, System.Text.Json.Nodes.JsonNode? Json, HttpResponseMessage Response)> Ask() =>
            classifier is null
                ? server.Infer("affine", TestServer.Affine(1))
                : server.Post("classify", new ByteArrayContent(Picture()));
    }

    private static byte[] Picture() => TestPictures.Encode(20, 12, SkiaSharp.SKEncodedImageFormat.Png);

    private static BatchQueue QueueOf(TestServer server) => server.Registry.Find("affine")!.Latest!.Queue;

    private static async Task Until(Func<bool> condition)
    {
        while (!condition())
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }
}
