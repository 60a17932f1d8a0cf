using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Benchmarks.Serving;

/// <summary>
/// A server as one would write it with stock ML.NET: an ASP.NET endpoint with a pool of PredictionEngines, each of
/// which handles one request at a time.
/// </summary>
internal static class StockServer
{
    private const int Pixels = 3 * 32 * 32;

    /// <summary>Serves POST /score (pixels in, probabilities out, both as float32) until its standard input
    /// ends.</summary>
    /// <param name="arguments">The path of the model.</param>
    public static double[] Run(string[] arguments)
    {
        var context = new MLContext(seed: 0);
        var data = context.Data.LoadFromEnumerable([new Row { pixels = new float[Pixels] }]);
        var model = context.Transforms.ApplyOnnxModel(["probabilities"], ["pixels"], arguments[0]).Fit(data);
        var pool = new ConcurrentBag<PredictionEngine<Row, Score>>();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        app.MapPost("/score", async request =>
        {
            var body = new byte[Pixels * sizeof(float)];
            await request.Request.Body.ReadExactlyAsync(body, request.RequestAborted).ConfigureAwait(false);
            if (!pool.TryTake(out var engine))
                engine = context.Model.CreatePredictionEngine<Row, Score>(model);
            var score = engine.Predict(new Row { pixels = MemoryMarshal.Cast<byte, float>(body).ToArray() });
            pool.Add(engine);
            await request
                .Response.Body.WriteAsync(
                    MemoryMarshal.AsBytes(score.probabilities.AsSpan()).ToArray(),
                    request.RequestAborted
                )
                .ConfigureAwait(false);
        });
        app.Start();
        Console.WriteLine($"listening {app.Urls.First()}");
        while (Console.In.ReadLine() is not null) { }

        return [0];
    }

    private sealed class Row
    {
        [VectorType(Pixels)]
        public float[] pixels { get; set; } = [];
    }

    private sealed class Score
    {
        [VectorType(10)]
        public float[] probabilities { get; set; } = [];
    }
}
