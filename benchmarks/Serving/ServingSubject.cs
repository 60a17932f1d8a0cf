using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.OnnxRuntime;
using SkiaSharp;
using TorchBridge.Testing;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;

namespace TorchBridge.Benchmarks.Serving;

/// <summary>
/// The model server on loopback, with load from another process: first compared with raw ONNX Runtime, stock ML.NET
/// in ASP.NET, and onnxruntime-node in fastify; then at fixed rates, below and above its capacity. The network is the
/// full-size Plain network in float32.
/// </summary>
internal static class ServingSubject
{
    private const int Rounds = 5,
        Connections = 32,
        ClosedRequests = 5000,
        OpenSeconds = 12,
        LatencyRuns = 200;

    public static Measurement Run()
    {
        var folder = Directory.CreateTempSubdirectory("torchbridge-bench-").FullName;
        try
        {
            var onnx = ScoringSubject.Export(folder, "plain", BlockForm.Plain, 64);
            Environment.SetEnvironmentVariable("BENCHMARK_JPEG", Jpeg(folder));
            using var ours = ServerProcess.Start(
                "dotnet",
                [
                    ServerDll,
                    "--models",
                    folder,
                    "--reload-milliseconds",
                    "0",
                    "--urls",
                    "http://127.0.0.1:0",
                    "--grpc-url",
                    "none",
                ],
                "page ",
                "is ready"
            );
            using var stock = ServerProcess.Start(
                "dotnet",
                [typeof(ServingSubject).Assembly.Location, Peer.Option, "serve_stock", onnx],
                "listening ",
                "listening "
            );
            using var node = StartNode(onnx);
            return Measure(onnx, new Uri(ours.Address), stock.Address, node?.Address);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static string ServerDll =>
        Path.Combine(Shared.Repository, "src", "Serving", "bin", "Release", "net10.0", "TorchBridge.Serving.dll");

    private static Measurement Measure(string onnx, Uri ours, string stock, string? node)
    {
        var raw = ScoringSubject.Ort(onnx);
        var bare = BareMedian(onnx);
        List<(string, Func<double>)> peers =
        [
            ("ort_batch32_images_per_second", raw),
            ("ours_binary_images_per_second", () => Closed("binary", ours.ToString())),
            ("stock_ml_net_images_per_second", () => Closed("raw", stock)),
            ("ours_json_images_per_second", () => Closed("json", ours.ToString())),
            ("ours_jpeg_images_per_second", () => Closed("jpeg", ours.ToString())),
            ("bare_session_median_ms", bare),
            ("ours_one_connection_median_ms", () => Loaded("binary", ours.ToString(), 1, 400)[1]),
        ];
        if (node is not null)
            peers.Insert(3, ("node_fastify_images_per_second", () => Closed("raw", node)));
        var measurement = new Measurement("serving").Rounds(Rounds, [.. peers]);
        PrintBatches(ours, "closed load");
        measurement
            .Ratio("ours_vs_ort", "ours_binary_images_per_second", "ort_batch32_images_per_second")
            .Ratio("ours_vs_stock", "ours_binary_images_per_second", "stock_ml_net_images_per_second");
        if (node is not null)
            measurement.Ratio("ours_vs_node", "ours_binary_images_per_second", "node_fastify_images_per_second");

        var knee = Peer.Numbers("load_closed", "binary", ours.ToString(), "64", $"{ClosedRequests}")[0];
        measurement.Figure("knee_images_per_second", knee);
        foreach (var percent in (int[])[50, 80, 95, 200])
            Open(measurement, ours, knee * percent / 100, percent);
        PrintBatches(ours, "all");
        return measurement;
    }

    private static void Open(Measurement measurement, Uri ours, double rate, int percent)
    {
        var got = Peer.Numbers(
            "load_open",
            "binary",
            ours.ToString(),
            FormattableString.Invariant($"{rate}"),
            $"{(int)(rate * OpenSeconds)}"
        );
        measurement
            .Figure($"open_{percent}_answered", got[0])
            .Figure($"open_{percent}_p50_ms", got[1])
            .Figure($"open_{percent}_p99_ms", got[2])
            .Figure($"open_{percent}_refused", got[3])
            .Figure($"open_{percent}_refused_p50_ms", got[4])
            .Figure($"open_{percent}_refused_p99_ms", got[5])
            .Figure($"open_{percent}_failed", got[6]);
    }

    private static double Closed(string kind, string address) => Loaded(kind, address, Connections, ClosedRequests)[0];

    private static double[] Loaded(string kind, string address, int connections, int requests)
    {
        var got = Peer.Numbers("load_closed", kind, address, $"{connections}", $"{requests}");
        return got[2] == 0
            ? got
            : throw new InvalidOperationException($"{got[2]} of {requests} requests of {kind} at {address} failed");
    }

    /// <summary>Measures the median time of a run with one picture on a session of ONNX Runtime, in
    /// milliseconds.</summary>
    private static Func<double> BareMedian(string onnx)
    {
        var session = new InferenceSession(onnx);
        var options = new RunOptions();
        var pixels = ScoringSubject.Vectors()[0];
        return () =>
        {
            var times = new double[LatencyRuns];
            for (var i = 0; i < times.Length; i++)
            {
                times[i] =
                    1000
                    * Measurement.Seconds(() =>
                    {
                        using var input = OrtValue.CreateTensorValueFromMemory(
                            OrtMemoryInfo.DefaultInstance,
                            pixels.AsMemory(),
                            [1, 3, 32, 32]
                        );
                        using var results = session.Run(options, ["pixels"], [input], ["probabilities"]);
                    });
            }

            return times.Order().ElementAt(LatencyRuns / 2);
        };
    }

    /// <summary>Prints the sizes of the batches that the server has run so far.</summary>
    private static void PrintBatches(Uri ours, string when)
    {
        using var client = new HttpClient { BaseAddress = ours };
        var stats = client
            .GetFromJsonAsync<JsonNode>(new Uri("v2/models/plain/stats", UriKind.Relative))
            .GetAwaiter()
            .GetResult()!["model_stats"]![0]!;
        var batches = stats["batch_stats"]!
            .AsArray()
            .Select(item => $"{item!["batch_size"]} x {item["compute_infer"]!["count"]}");
        Console.WriteLine($"batches, {when}: {string.Join(", ", batches)}");
    }

    /// <summary>Starts the server in Node if its packages are installed; otherwise prints that it is left
    /// out.</summary>
    private static ServerProcess? StartNode(string onnx)
    {
        var folder = Path.Combine(Shared.Repository, "benchmarks", "Serving", "node");
        if (Directory.Exists(Path.Combine(folder, "node_modules")))
            return ServerProcess.Start("node", [Path.Combine(folder, "server.mjs"), onnx], "listening ", "listening ");
        Console.WriteLine(
            $"Node is left out, because its packages are not installed: run `npm ci --ignore-scripts` in {folder}."
        );
        return null;
    }

    private static string Jpeg(string folder)
    {
        var set = DrawnPictures.Make(1, 10, 10, 10).Training;
        using var bitmap = SKBitmap.Decode(DataSource.ToPng(set.Picture(0), set.Width, set.Height));
        using var data = bitmap.Encode(SKEncodedImageFormat.Jpeg, 90);
        var path = Path.Combine(folder, "picture.jpg");
        File.WriteAllBytes(path, data.ToArray());
        return path;
    }
}
