using System.Diagnostics;
using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkiaSharp;
using TorchBridge.Export;
using TorchBridge.Inference;
using TorchBridge.Inference.Pictures;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using static TorchSharp.torch;

namespace TorchBridge.Benchmarks;

/// <summary>
/// Reading photos of 12 megapixels: our transformer and the classifier of <c>predict</c>, compared with the stock
/// ML.NET chain, with a network so small that mainly reading is measured; and resident memory over a long stream of
/// photos.
/// </summary>
internal static class PhotosSubject
{
    private const int Photos = 200,
        Rounds = 4,
        PhotosARound = Photos / Rounds,
        Width = 4032,
        Height = 3024,
        Side = 224,
        LongStream = 2000,
        ShortStream = 200,
        TrainingPhotos = 20_000,
        JudgedPhotos = 200;
    private const string Memory = "photos_memory",
        TrainingMemory = "photos_training_memory";

    public static IReadOnlyDictionary<string, Func<string[], double[]>> Peers { get; } =
        new Dictionary<string, Func<string[], double[]>>(StringComparer.Ordinal)
        {
            [Memory] = arguments => Resident(arguments[0], arguments[1]),
            [TrainingMemory] = arguments => [PeakOfTraining(arguments[0])],
        };

    public static Measurement Run()
    {
        var folder = Directory.CreateTempSubdirectory("torchbridge-bench-").FullName;
        try
        {
            string plain = Export(folder, PictureReading.Stock),
                antialiased = Export(folder, new PictureReading(Antialias: true)),
                zip = Path.Combine(folder, "plain.zip");
            StockPipeline.Save(plain, zip);
            var photos = Write(Path.Combine(folder, "photos"), Photos, Width, Height);
            var measurement = new Measurement("photos").Rounds(
                Rounds,
                ("stock_photos_per_second", InTurn(photos, part => StockPipeline.Score(zip, part).Count())),
                ("transformer_photos_per_second", InTurn(photos, Transformer(plain))),
                ("predict_photos_per_second", InTurn(photos, Classifier(plain))),
                ("transformer_antialias_photos_per_second", InTurn(photos, Transformer(antialiased))),
                ("predict_antialias_photos_per_second", InTurn(photos, Classifier(antialiased)))
            );
            foreach (var way in (string[])["transformer", "predict", "transformer_antialias", "predict_antialias"])
                measurement.Ratio($"{way}_vs_stock", $"{way}_photos_per_second", "stock_photos_per_second");
            var resident = Peer.Numbers(Memory, antialiased, Path.Combine(folder, "photos"));
            measurement.Figure("resident_megabytes_after_200", resident[0]);
            measurement.Figure("resident_megabytes_after_2000", resident[1]);
            return measurement.Figure("photo_kilobytes", photos.Average(photo => new FileInfo(photo).Length / 1e3));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>The largest resident size of the program while it trains on a folder of 20,000 photos. Takes about
    /// ten minutes.</summary>
    public static Measurement RunMany()
    {
        var folder = Directory.CreateTempSubdirectory("torchbridge-bench-").FullName;
        try
        {
            // Validation and test parts are small, because only the training part needs much memory.
            foreach (
                var (part, count) in new[]
                {
                    ("train", TrainingPhotos - (2 * JudgedPhotos)),
                    ("validation", JudgedPhotos),
                    ("test", JudgedPhotos),
                }
            )
            {
                foreach (var name in (string[])["left", "right"])
                    Write(
                        Path.Combine(folder, "many", part, name),
                        count / 2,
                        320,
                        240,
                        seed: part.Length + (100 * name.Length)
                    );
            }

            return new Measurement("many-photos").Figure("peak_megabytes", Peer.Run(TrainingMemory, folder));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Measures photos per second, with a different part of the photos in each round.</summary>
    private static Func<double> InTurn(string[] photos, Func<string[], int> read)
    {
        var round = 0;
        return () =>
        {
            var part = photos.Skip(round++ % Rounds * PhotosARound).Take(PhotosARound).ToArray();
            return part.Length
                / Measurement.Seconds(() =>
                {
                    if (read(part) != part.Length)
                        throw new InvalidOperationException("not every photo was classified");
                });
        };
    }

    private static Func<string[], int> Transformer(string model)
    {
        var context = new MLContext(seed: 0);
        var transformer = context.Transforms.ClassifyImages(model).Fit(Rows(context, []));
        return part => Count(transformer.Transform(Rows(context, part)));
    }

    private static Func<string[], int> Classifier(string model)
    {
        var classifier = ImageClassifier.Load(model);
        return part => classifier.ClassifyBatch(part).Count();
    }

    private static IDataView Rows(MLContext context, IEnumerable<string> photos) =>
        context.Data.LoadFromEnumerable(photos.Select(photo => new PhotoRow { ImagePath = photo }));

    private static int Count(IDataView view)
    {
        using var cursor = view.GetRowCursor([view.Schema["Score"]]);
        var getter = cursor.GetGetter<VBuffer<float>>(view.Schema["Score"]);
        VBuffer<float> value = default;
        var rows = 0;
        for (; cursor.MoveNext(); rows++)
            getter(ref value);
        return rows;
    }

    /// <summary>Resident megabytes after 200 photos of a stream, and after 2,000.</summary>
    private static double[] Resident(string model, string folder)
    {
        var photos = Directory.GetFiles(folder);
        var context = new MLContext(seed: 0);
        using var transformer = context.Transforms.ClassifyImages(model).Fit(Rows(context, []));
        var stream = Enumerable.Range(0, LongStream).Select(i => photos[i % photos.Length]);
        var view = transformer.Transform(Rows(context, stream));
        using var cursor = view.GetRowCursor([view.Schema["Score"]]);
        var getter = cursor.GetGetter<VBuffer<float>>(view.Schema["Score"]);
        VBuffer<float> value = default;
        double early = 0;
        for (var rows = 1; cursor.MoveNext(); rows++)
        {
            getter(ref value);
            if (rows == ShortStream)
                early = Environment.WorkingSet / 1e6;
        }

        return [early, Environment.WorkingSet / 1e6];
    }

    /// <summary>Largest resident size, in megabytes, while the program trains, exports and verifies.</summary>
    private static double PeakOfTraining(string folder)
    {
        string[] arguments =
        [
            .. (string[])["train", "--data", Path.Combine(folder, "many"), "--out", Path.Combine(folder, "out")],
            .. (string[])["--recipe", "photos", "--views", "1", "--epochs", "5"],
        ];
        // An empty cache, as on a machine that has not decoded these photos before.
        Environment.SetEnvironmentVariable("XDG_CACHE_HOME", Path.Combine(folder, "cache"));
        if (Training.Program.Main(arguments).GetAwaiter().GetResult() != 0)
            throw new InvalidOperationException("training failed; its output above says why");
        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64 / 1e6;
    }

    /// <summary>Exports a network of 224 pixels with initial weights, so small that its own time hardly
    /// counts.</summary>
    private static string Export(string folder, PictureReading reading)
    {
        var path = Path.Combine(folder, reading.Antialias ? "antialiased.onnx" : "plain.onnx");
        string[] classes = [.. Enumerable.Range(0, 10).Select(i => $"class {i}")];
        using var network = ImageNetwork.Make(
            new NetworkOptions
            {
                Channels = 8,
                Height = Side,
                Width = Side,
            }
        );
        using var classifier = new PixelClassifier(network, new ChannelStatistics([0.5, 0.5, 0.5], [0.25, 0.25, 0.25]));
        classifier.eval();
        using var example = rand(1, 3, Side, Side) * 255;
        OnnxExporter.Export(
            classifier,
            example,
            path,
            new ExportOptions
            {
                OutputNames = ["logits", "probabilities"],
                Metadata = new Dictionary<string, string>(
                    new ModelCard(classes, Side, Side) { Reading = reading }.ToMetadata()
                ),
            }
        );
        return path;
    }

    /// <summary>Writes pictures of circles over a gradient, with noise like that of a sensor. No two are equal, and
    /// as JPEG they are as large as photos.</summary>
    private static string[] Write(string folder, int count, int width, int height, int seed = 0)
    {
        Directory.CreateDirectory(folder);
        var paths = new string[count];
        // One at a time on each core: the bitmap of a photo takes 50 megabytes.
        Parallel.For(0, count, i =>
        {
            paths[i] = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{i:D5}.jpg"));
            using var bitmap = new SKBitmap(width, height, isOpaque: true);
            using (var canvas = new SKCanvas(bitmap))
            using (var paint = new SKPaint { IsAntialias = true })
            {
                var draw = new Draw(1, seed, i);
                paint.Shader = SKShader.CreateLinearGradient(
                    new SKPoint(0, 0),
                    new SKPoint(width, height),
                    [Color(ref draw), Color(ref draw)],
                    SKShaderTileMode.Clamp
                );
                canvas.DrawPaint(paint);
                paint.Shader = null;
                for (var shape = 0; shape < 60; shape++)
                {
                    paint.Color = Color(ref draw);
                    canvas.DrawCircle(draw.Below(width), draw.Below(height), 1 + draw.Below(width / 10), paint);
                }
            }

            Noise(bitmap, new Draw(2, seed, i));
            using var data = bitmap.Encode(SKEncodedImageFormat.Jpeg, 90);
            using var file = File.Create(paths[i]);
            data.SaveTo(file);
        });
        return paths;
    }

    private static SKColor Color(ref Draw draw) =>
        new((byte)draw.Below(256), (byte)draw.Below(256), (byte)draw.Below(256));

    private static void Noise(SKBitmap bitmap, Draw draw)
    {
        var pixels = bitmap.Bytes;
        var state = (uint)draw.Below(int.MaxValue) | 1;
        for (var i = 0; i < pixels.Length; i++)
        {
            // Xorshift (Marsaglia 2003).
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            if (i % 4 != 3)
                pixels[i] = (byte)Math.Clamp(pixels[i] + (int)(state & 15) - 7, 0, 255);
        }

        System.Runtime.InteropServices.Marshal.Copy(pixels, 0, bitmap.GetPixels(), pixels.Length);
    }

    private sealed class PhotoRow
    {
        public string ImagePath { get; set; } = "";
    }
}
