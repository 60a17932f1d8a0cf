using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;

namespace TorchBridge.Benchmarks.Serving;

/// <summary>
/// Generates load on a server, in a separate process: either a fixed number of connections that each wait for their
/// answers (closed load), or a fixed rate of requests that does not depend on the answers (open load).
/// </summary>
internal static class LoadPeer
{
    private const int Pixels = 3 * 32 * 32;

    /// <summary>The peers, by name. The first argument is the kind of request, the second the server's
    /// address.</summary>
    public static IReadOnlyDictionary<string, Func<string[], double[]>> Peers { get; } =
        new Dictionary<string, Func<string[], double[]>>(StringComparer.Ordinal)
        {
            ["load_closed"] = arguments =>
                Closed(arguments[0], arguments[1], int.Parse(arguments[2]), int.Parse(arguments[3]))
                    .GetAwaiter()
                    .GetResult(),
            ["load_open"] = arguments =>
                Open(arguments[0], arguments[1], double.Parse(arguments[2]), int.Parse(arguments[3]))
                    .GetAwaiter()
                    .GetResult(),
        };

    /// <summary>Closed load: each connection sends its next request when the previous one was answered.</summary>
    /// <returns>Answers per second; the median of their times, in milliseconds; number of failures.</returns>
    private static async Task<double[]> Closed(string kind, string address, int connections, int requests)
    {
        using var client = Client(address, connections);
        var times = new ConcurrentBag<double>();
        int left = requests,
            failed = 0;
        await Ask(client, kind).ConfigureAwait(false); // opens the connection, and compiles the code on both sides
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(
                Enumerable
                    .Range(0, connections)
                    .Select(_ =>
                        Task.Run(async () =>
                        {
                            while (Interlocked.Decrement(ref left) >= 0)
                            {
                                var began = Stopwatch.GetTimestamp();
                                if (await Ask(client, kind).ConfigureAwait(false) == HttpStatusCode.OK)
                                    times.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
                                else
                                    Interlocked.Increment(ref failed);
                            }
                        })
                    )
            )
            .ConfigureAwait(false);
        return [times.Count / Stopwatch.GetElapsedTime(started).TotalSeconds, Quantile(times, 0.5), failed];
    }

    /// <summary>
    /// Open load: requests at random times with a fixed mean rate (a Poisson process). The time of a request counts
    /// from the moment when it should have been sent.
    /// </summary>
    /// <returns>Number of answers, with the median and 99th percentile of their times; number of refusals, with the
    /// median and 99th percentile of their times; number of other failures. Times are in milliseconds.</returns>
    private static async Task<double[]> Open(string kind, string address, double rate, int requests)
    {
        using var client = Client(address, 1024);
        ConcurrentBag<double> answered = [],
            refused = [];
        var failed = 0;
        var random = new Random(1);
        await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Ask(client, kind))).ConfigureAwait(false);
        var due = Stopwatch.GetTimestamp();
        var running = new List<Task>(requests);
        for (var i = 0; i < requests; i++)
        {
            due += (long)(-Math.Log(1 - random.NextDouble()) / rate * Stopwatch.Frequency);
            // Timers are late by about a millisecond. Requests that are due are then sent together; the delay counts
            // as part of their times.
            while (Stopwatch.GetElapsedTime(due).Ticks < 0)
                await Task.Delay(1).ConfigureAwait(false);
            running.Add(Send(due));
        }

        await Task.WhenAll(running).ConfigureAwait(false);
        return
        [
            answered.Count,
            Quantile(answered, 0.5),
            Quantile(answered, 0.99),
            refused.Count,
            Quantile(refused, 0.5),
            Quantile(refused, 0.99),
            failed,
        ];

        async Task Send(long when)
        {
            var status = await Ask(client, kind).ConfigureAwait(false);
            var time = Stopwatch.GetElapsedTime(when).TotalMilliseconds;
            if (status == HttpStatusCode.OK)
                answered.Add(time);
            else if (status == HttpStatusCode.ServiceUnavailable)
                refused.Add(time);
            else
                Interlocked.Increment(ref failed);
        }
    }

    private static HttpClient Client(string address, int connections) =>
        new(new SocketsHttpHandler { MaxConnectionsPerServer = connections }) { BaseAddress = new Uri(address) };

    private static async Task<HttpStatusCode> Ask(HttpClient client, string kind)
    {
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, Paths[kind]) { Content = Contents[kind]() };
            using var answer = await client.SendAsync(request).ConfigureAwait(false);
            await answer.Content.ReadAsByteArrayAsync().ConfigureAwait(false);
            return answer.StatusCode;
        }
        catch (HttpRequestException)
        {
            return HttpStatusCode.InternalServerError;
        }
    }

    private static readonly float[] Picture = [.. Enumerable.Range(0, Pixels).Select(i => (float)((i * 37) % 256))];

    private static readonly byte[] Raw = [.. Picture.SelectMany(BitConverter.GetBytes)];

    private static readonly byte[] Head = Encoding.UTF8.GetBytes(
        $$$"""
        {"inputs":[{"name":"pixels","shape":[1,3,32,32],"datatype":"FP32",
        "parameters":{"binary_data_size":{{{Raw.Length}}}}}],"outputs":[{"name":"probabilities",
        "parameters":{"binary_data":true}}]}
        """
    );

    private static readonly byte[] Binary = [.. Head, .. Raw];

    private static readonly byte[] Json = Encoding.UTF8.GetBytes(
        $$$"""
        {"inputs":[{"name":"pixels","shape":[1,3,32,32],"datatype":"FP32",
        "data":[{{{string.Join(',', Picture)}}}]}],"outputs":[{"name":"probabilities"}]}
        """
    );

    private static readonly Lazy<byte[]> Jpeg = new(() =>
        File.ReadAllBytes(Environment.GetEnvironmentVariable("BENCHMARK_JPEG")!)
    );

    private static readonly Dictionary<string, Uri> Paths = new(StringComparer.Ordinal)
    {
        ["binary"] = new("v2/models/plain/infer", UriKind.Relative),
        ["json"] = new("v2/models/plain/infer", UriKind.Relative),
        ["jpeg"] = new("classify", UriKind.Relative),
        ["raw"] = new("score", UriKind.Relative),
    };

    private static readonly Dictionary<string, Func<HttpContent>> Contents = new(StringComparer.Ordinal)
    {
        ["binary"] = () =>
            new ByteArrayContent(Binary) { Headers = { { "Inference-Header-Content-Length", $"{Head.Length}" } } },
        ["json"] = () =>
            new ByteArrayContent(Json) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } },
        ["jpeg"] = () => new ByteArrayContent(Jpeg.Value),
        ["raw"] = () =>
            new ByteArrayContent(Raw)
            {
                Headers = { ContentType = new MediaTypeHeaderValue("application/octet-stream") },
            },
    };

    private static double Quantile(IEnumerable<double> values, double share)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length == 0 ? 0 : sorted[Math.Min(sorted.Length - 1, (int)(share * sorted.Length))];
    }
}
