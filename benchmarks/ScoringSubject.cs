using System.Diagnostics;
using BenchmarkDotNet.Attributes;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using SkiaSharp;
using TorchBridge.Export;
using TorchBridge.Inference;
using TorchBridge.Inference.Pictures;
using TorchBridge.Testing;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Benchmarks;

/// <summary>
/// Scoring in ML.NET: our transformer compared with raw ONNX Runtime and with stock ApplyOnnxModel on vectors, and
/// with the stock chain on picture files; memory over a long stream; and the time from the start of a process to its
/// first prediction.
/// </summary>
internal static class ScoringSubject
{
    private const int Rounds = 5,
        Rows = 384,
        Batch = 32,
        Pixels = 3 * 32 * 32,
        LongStream = 200_000,
        ShortStream = 20_000;

    public static IReadOnlyDictionary<string, Func<string[], double>> Peers { get; } =
        new Dictionary<string, Func<string[], double>>(StringComparer.Ordinal)
        {
            ["first_prediction_ours"] = arguments =>
            {
                using var classifier = ImageClassifier.Load(arguments[0]);
                return classifier.Classify(arguments[2]).Probabilities[0];
            },
            ["first_prediction_stock"] = arguments =>
                StockPipeline.Score(arguments[1], [arguments[2]]).Single().Scores[0],
            ["memory"] = arguments => ResidentGrowth(arguments[0]),
        };

    public static Measurement Run()
    {
        var folder = Directory.CreateTempSubdirectory("torchbridge-bench-").FullName;
        try
        {
            string plain = Export(folder, "plain", BlockForm.Plain, 64),
                residual = Export(folder, "residual", BlockForm.Residual, 64),
                tiny = Export(folder, "tiny", BlockForm.Plain, 8);
            var files = Files(Path.Combine(folder, "pictures"));
            var zip = Path.Combine(folder, "plain.zip");
            StockPipeline.Save(plain, zip);
            var measurement = new Measurement("scoring").Rounds(
                Rounds,
                ("plain_ort_batch32_images_per_second", Ort(plain)),
                ("plain_transformer_images_per_second", Transformer(plain)),
                ("plain_apply_onnx_images_per_second", ApplyOnnx(plain)),
                ("residual_ort_batch32_images_per_second", Ort(residual)),
                ("residual_transformer_images_per_second", Transformer(residual)),
                ("residual_apply_onnx_images_per_second", ApplyOnnx(residual)),
                ("files_transformer_images_per_second", FilesTransformer(plain, files)),
                ("files_stock_images_per_second", FilesStock(zip, files)),
                ("read_seconds_a_picture", () => Measurement.Seconds(() => ReadAll(files)) / files.Length),
                ("first_prediction_ours_seconds", () =>
                    Measurement.Seconds(() => Peer.Run("first_prediction_ours", plain, zip, files[0]))
                ),
                ("first_prediction_stock_seconds", () =>
                    Measurement.Seconds(() => Peer.Run("first_prediction_stock", plain, zip, files[0]))
                )
            );
            return measurement
                .Figure("rss_200k_vs_20k", Peer.Run("memory", tiny))
                .Derive("files_seconds_a_picture", "files_transformer_images_per_second", rate => 1 / rate)
                .Ratio("share_of_reading", "read_seconds_a_picture", "files_seconds_a_picture")
                .Ratio(
                    "transformer_vs_ort",
                    "plain_transformer_images_per_second",
                    "plain_ort_batch32_images_per_second"
                )
                .Ratio(
                    "transformer_vs_apply_onnx",
                    "plain_transformer_images_per_second",
                    "plain_apply_onnx_images_per_second"
                )
                .Ratio(
                    "transformer_vs_ort_residual",
                    "residual_transformer_images_per_second",
                    "residual_ort_batch32_images_per_second"
                )
                .Ratio(
                    "transformer_vs_apply_onnx_residual",
                    "residual_transformer_images_per_second",
                    "residual_apply_onnx_images_per_second"
                )
                .Ratio("files_vs_stock", "files_transformer_images_per_second", "files_stock_images_per_second")
                .Ratio("first_prediction_vs_stock", "first_prediction_ours_seconds", "first_prediction_stock_seconds")
                .Ratio("rss_200k_vs_20k", "rss_200k_vs_20k", null);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Exports a classifier with initial weights; their values do not matter for speed.</summary>
    public static string Export(string folder, string name, BlockForm form, int channels)
    {
        var path = Path.Combine(folder, $"{name}.onnx");
        string[] classes = [.. Enumerable.Range(0, 10).Select(i => $"class {i}")];
        using var network = new ModernCnn(new NetworkOptions { Form = form, Channels = channels });
        using var classifier = new PixelClassifier(network, new ChannelStatistics([0.5, 0.5, 0.5], [0.25, 0.25, 0.25]));
        using var example = rand(1, 3, 32, 32) * 255;
        OnnxExporter.Export(
            classifier,
            example,
            path,
            new ExportOptions
            {
                OutputNames = ["logits", "probabilities"],
                Metadata = new Dictionary<string, string>(new ModelCard(classes, 32, 32).ToMetadata()),
            }
        );
        return path;
    }

    internal static float[][] Vectors()
    {
        var random = new Random(1);
        return
        [
            .. Enumerable
                .Range(0, Rows)
                .Select(_ => Enumerable.Range(0, Pixels).Select(_ => (float)random.Next(256)).ToArray()),
        ];
    }

    /// <summary>The peer that calls ONNX Runtime directly: the pixels of a batch are copied to one buffer, which ONNX
    /// Runtime reads in place.</summary>
    internal static Func<double> Ort(string path)
    {
        var session = new InferenceSession(path);
        var vectors = Vectors();
        var options = new RunOptions();
        var pixels = new float[Batch * Pixels];
        return () =>
            Rows
            / Measurement.Seconds(() =>
            {
                for (var start = 0; start < Rows; start += Batch)
                {
                    for (var i = 0; i < Batch; i++)
                        vectors[start + i].CopyTo(pixels, i * Pixels);
                    using var input = OrtValue.CreateTensorValueFromMemory(
                        OrtMemoryInfo.DefaultInstance,
                        pixels.AsMemory(),
                        [Batch, 3, 32, 32]
                    );
                    using var results = session.Run(options, ["pixels"], [input], ["probabilities"]);
                    _ = results[0].GetTensorDataAsSpan<float>()[0];
                }
            });
    }

    internal static Func<double> Transformer(string path)
    {
        var context = new MLContext(seed: 0);
        var data = context.Data.LoadFromEnumerable(Vectors().Select(vector => new Row { pixels = vector }).ToArray());
        var transformer = context.Transforms.ClassifyImages(path, "pixels").Fit(data);
        return () => Rows / Measurement.Seconds(() => Read(transformer.Transform(data), "Score"));
    }

    internal static Func<double> ApplyOnnx(string path)
    {
        const int part = 128;
        var context = new MLContext(seed: 0);
        var data = context.Data.LoadFromEnumerable(
            Vectors().Take(part).Select(vector => new Row { pixels = vector }).ToArray()
        );
        var transformer = context.Transforms.ApplyOnnxModel(["probabilities"], ["pixels"], path).Fit(data);
        return () => part / Measurement.Seconds(() => Read(transformer.Transform(data), "probabilities"));
    }

    private static Func<double> FilesTransformer(string path, string[] files)
    {
        var context = new MLContext(seed: 0);
        var data = context.Data.LoadFromEnumerable(files.Select(file => new FileRow { ImagePath = file }).ToArray());
        var transformer = context.Transforms.ClassifyImages(path).Fit(data);
        return () => files.Length / Measurement.Seconds(() => Read(transformer.Transform(data), "Score"));
    }

    private static Func<double> FilesStock(string zip, string[] files) =>
        () =>
        {
            var started = Stopwatch.GetTimestamp();
            var scored = StockPipeline.Score(zip, files).Count();
            return scored / Stopwatch.GetElapsedTime(started).TotalSeconds;
        };

    private static void ReadAll(string[] files)
    {
        Span<byte> planes = stackalloc byte[Pixels];
        foreach (var file in files)
            PictureReader.ReadFile(file, 32, 32, planes);
    }

    private static void Read(IDataView view, string column)
    {
        using var cursor = view.GetRowCursor([view.Schema[column]]);
        var getter = cursor.GetGetter<VBuffer<float>>(view.Schema[column]);
        VBuffer<float> value = default;
        while (cursor.MoveNext())
            getter(ref value);
    }

    /// <summary>CIFAR-10's JPEG files if they are there; otherwise drawn pictures of the same size and
    /// format.</summary>
    private static string[] Files(string folder)
    {
        Directory.CreateDirectory(folder);
        IEnumerable<byte[]> pictures = Shared.Find("data", "cifar10-jpeg.tar.gz") is { } cifar
            ? PictureFolder.Load(cifar, 32, 32, 1).TestFiles.Take(Rows).Select(file => file.Bytes)
            : DrawnJpegs();
        return
        [
            .. pictures.Select(
                (bytes, i) =>
                {
                    var path = Path.Combine(folder, $"{i:D4}.jpg");
                    File.WriteAllBytes(path, bytes);
                    return path;
                }
            ),
        ];
    }

    private static IEnumerable<byte[]> DrawnJpegs()
    {
        var set = DrawnPictures.Make(1, Rows, 10, 10).Training;
        for (var i = 0; i < Rows; i++)
        {
            using var bitmap = SKBitmap.Decode(DataSource.ToPng(set.Picture(i), set.Width, set.Height));
            using var data = bitmap.Encode(SKEncodedImageFormat.Jpeg, 90);
            yield return data.ToArray();
        }
    }

    /// <summary>Resident size after 200,000 rows, divided by that after 20,000.</summary>
    private static double ResidentGrowth(string path)
    {
        var context = new MLContext(seed: 0);
        var vector = new float[Pixels];
        IEnumerable<Row> Stream()
        {
            var row = new Row { pixels = vector };
            for (var i = 0; i < LongStream; i++)
                yield return row;
        }

        var data = context.Data.LoadFromEnumerable(Stream());
        using var transformer = context.Transforms.ClassifyImages(path, "pixels").Fit(data);
        var view = transformer.Transform(data);
        using var cursor = view.GetRowCursor([view.Schema["Score"]]);
        var getter = cursor.GetGetter<VBuffer<float>>(view.Schema["Score"]);
        VBuffer<float> value = default;
        double early = 0;
        var rows = 0;
        for (; cursor.MoveNext(); rows++)
        {
            getter(ref value);
            if (rows == ShortStream)
                early = Resident();
        }

        return rows == LongStream
            ? Resident() / early
            : throw new InvalidOperationException($"the transformer returned {rows} of {LongStream} rows");

        static double Resident()
        {
            using var process = Process.GetCurrentProcess();
            return process.WorkingSet64;
        }
    }

    internal sealed class Row
    {
        [VectorType(Pixels)]
        public float[] pixels { get; set; } = [];
    }

    private sealed class FileRow
    {
        public string ImagePath { get; set; } = "";
    }
}

/// <summary>Measures allocations per row, with the tiny network.</summary>
[MemoryDiagnoser]
public class ScoringBenchmark
{
    private const int Rows = 320;
    private readonly MLContext context = new(seed: 0);
    private string folder = "";
    private IDataView view = null!;
    private ImageClassificationTransformer transformer = null!;

    /// <summary>Exports the model and loads it.</summary>
    [GlobalSetup]
    public void Setup()
    {
        folder = Directory.CreateTempSubdirectory("torchbridge-bench-").FullName;
        var vector = new float[3 * 32 * 32];
        var data = context.Data.LoadFromEnumerable(
            Enumerable.Range(0, Rows).Select(_ => new ScoringSubject.Row { pixels = vector }).ToArray()
        );
        transformer = context
            .Transforms.ClassifyImages(
                ScoringSubject.Export(folder, "tiny", BlockForm.Plain, 8),
                "pixels",
                new ImageClassificationOptions { BatchSize = 32 }
            )
            .Fit(data);
        view = transformer.Transform(data);
    }

    /// <summary>Disposes the transformer and deletes the files.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        transformer.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>Scores all rows; BenchmarkDotNet reports the figures per row.</summary>
    [Benchmark(OperationsPerInvoke = Rows)]
    public float ScoreRow()
    {
        using var cursor = view.GetRowCursor([view.Schema["Score"]]);
        var getter = cursor.GetGetter<VBuffer<float>>(view.Schema["Score"]);
        VBuffer<float> value = default;
        while (cursor.MoveNext())
            getter(ref value);
        return value.GetValues()[0];
    }
}
