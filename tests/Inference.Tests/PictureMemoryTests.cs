using Microsoft.ML;
using SkiaSharp;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Tests;

/// <summary>The memory that pictures take: of all buffers together, of all that are decoded at once, and of one
/// prediction.</summary>
public sealed class PictureMemoryTests
{
    [Fact]
    public void All_that_is_decoded_at_once_stays_within_the_budget()
    {
        var budget = new DecodingBudget(100);
        var inUse = 0;
        var most = 0;
        var threads = Enumerable
            .Range(0, 16)
            .Select(t => new Thread(() =>
            {
                for (var i = 0; i < 200; i++)
                {
                    var bytes = 1 + ((t * 37) + (i * 11)) % 100;
                    using var share = budget.Take(bytes);
                    var now = Interlocked.Add(ref inUse, bytes);
                    InterlockedMax(ref most, now);
                    Thread.Yield();
                    Interlocked.Add(ref inUse, -bytes);
                }
            }))
            .ToArray();
        foreach (var thread in threads)
            thread.Start();
        foreach (var thread in threads)
            thread.Join();
        Assert.InRange(most, 1, 100);
        Assert.InRange(budget.Peak, most, 100);
        using var whole = budget.Take(100); // nothing was lost on the way
    }

    [Theory]
    [InlineData("tall.png", "has 32 x 8388608 pixels; the limit for PNG pictures is 1,000,000 pixels per side")]
    [InlineData("wide.png", "has 8388608 x 32 pixels; the limit for PNG pictures is 1,000,000 pixels per side")]
    [InlineData("p16000.png", "has 16000 x 16000 pixels")]
    public void A_few_bytes_that_claim_a_great_size_are_refused_within_the_budget(string name, string reason)
    {
        var path = Shared.Find("findings", "files", "pictures", name);
        Assert.SkipWhen(path is null, "../shared is not there");
        foreach (var antialias in (bool[])[false, true])
        {
            var planes = new byte[3 * 512 * 512];
            var before = GC.GetAllocatedBytesForCurrentThread();
            var error = Record.Exception(() =>
                PictureReader.ReadFile(path!, 512, 512, planes, new PictureReading(antialias))
            );
            Assert.Contains(reason, Assert.IsType<InvalidPictureException>(error).Message, StringComparison.Ordinal);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 200_000_000);
            Assert.InRange(DecodingBudget.Shared.Peak, 0, 1L << 30);
        }
    }

    [Theory]
    [InlineData(1_000_000, 1, "ends too early")]
    [InlineData(1_000_001, 1, "the limit for PNG pictures is 1,000,000 pixels per side")]
    [InlineData(1, 1_000_001, "the limit for PNG pictures is 1,000,000 pixels per side")]
    public void The_longest_side_of_a_PNG_is_told(int width, int height, string reason) =>
        Assert.Contains(
            reason,
            Assert
                .Throws<InvalidPictureException>(() =>
                    PictureReader.Read(
                        TorchBridge.Serving.Tests.PictureBombs.Png(width, height),
                        "p",
                        8,
                        8,
                        new byte[192]
                    )
                )
                .Message,
            StringComparison.Ordinal
        );

    [Theory]
    [InlineData(1, 400_000, 64, 16)]
    [InlineData(400_000, 1, 16, 64)]
    [InlineData(3, 20_000, 512, 512)]
    [InlineData(2000, 1500, 7, 5)]
    [InlineData(5, 4, 40, 30)]
    public void Antialiasing_in_bands_is_what_the_formula_says(int width, int height, int targetWidth, int targetHeight)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Opaque));
        var random = new Random(7);
        unsafe
        {
            var pixels = new Span<byte>((void*)bitmap.GetPixels(), bitmap.ByteCount);
            random.NextBytes(pixels);
            for (var i = 3; i < pixels.Length; i += 4)
                pixels[i] = 255;
        }

        using var encoded = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        var planes = new byte[3 * targetWidth * targetHeight];
        PictureReader.Read(
            encoded.AsSpan(),
            "p",
            targetWidth,
            targetHeight,
            planes,
            new PictureReading(Antialias: true)
        );
        // A few places, by the formula in float64: a triangle as wide as the step, around the centre that the place
        // has in the source.
        var scale = Math.Min((double)width / targetWidth, (double)height / targetHeight);
        for (var n = 0; n < 50; n++)
        {
            int x = random.Next(targetWidth),
                y = random.Next(targetHeight),
                channel = random.Next(3);
            var columns = Weights(width, targetWidth, x, scale);
            var rows = Weights(height, targetHeight, y, scale);
            double sum = 0;
            foreach (var (row, byRow) in rows)
            foreach (var (column, byColumn) in columns)
                sum += byRow * byColumn * Channel(bitmap.GetPixel(column, row), channel);
            Assert.InRange(
                planes[(((channel * targetHeight) + y) * targetWidth) + x],
                Math.Floor(sum - 0.01 - 0.5),
                Math.Ceiling(sum + 0.01 + 0.5)
            );
        }
    }

    [Fact]
    public void A_prediction_engine_for_large_pictures_takes_one_pictures_memory()
    {
        using var folder = new TempFolder();
        const int size = 1024;
        var model = TestModels.Write(folder["m.onnx"], TestModels.Classifier(size));
        File.WriteAllBytes(folder["p.png"], TestPictures.Encode(size, size, SKEncodedImageFormat.Png));
        var context = new MLContext(seed: 1);
        var data = context.Data.LoadFromEnumerable(new[] { new Row { ImagePath = folder["p.png"] } });
        using var transformer = context.Transforms.ClassifyImages(model).Fit(data);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        using var engine = context.Model.CreatePredictionEngine<Row, Scored>(
            transformer,
            new PredictionEngineOptions { OwnsTransformer = false }
        );
        Assert.Equal(3, engine.Predict(new Row { ImagePath = folder["p.png"] }).Score!.Length);
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, 0, 40_000_000);
    }

    [Fact]
    public void A_batch_of_any_size_is_taken()
    {
        using var folder = new TempFolder();
        var model = TestModels.Write(folder["m.onnx"], TestModels.Classifier());
        File.WriteAllBytes(folder["p.png"], TestPictures.Encode(8, 8, SKEncodedImageFormat.Png));
        var context = new MLContext(seed: 1);
        var data = context.Data.LoadFromEnumerable(
            Enumerable.Repeat(new Row { ImagePath = folder["p.png"] }, 10).ToArray()
        );
        foreach (var size in (int[])[100_000, int.MaxValue])
        {
            using var transformer = context
                .Transforms.ClassifyImages(model, options: new ImageClassificationOptions { BatchSize = size })
                .Fit(data);
            Assert.Equal(
                10,
                context.Data.CreateEnumerable<Scored>(transformer.Transform(data), reuseRowObject: false).Count()
            );
        }

        Assert.Throws<ArgumentOutOfRangeException>(() =>
            context.Transforms.ClassifyImages(model, options: new ImageClassificationOptions { BatchSize = 0 })
        );
    }

    [Fact]
    public void Streams_that_do_not_end_are_refused()
    {
        using var endless = new Endless();
        Assert.Contains(
            "more than",
            Assert.Throws<InvalidPictureException>(() => EncodedBytes.Read(endless, "the body")).Message,
            StringComparison.Ordinal
        );
        using var some = new MemoryStream([1, 2, 3, 4]) { Position = 1 };
        Assert.Equal([2, 3, 4], EncodedBytes.Read(some, "p"));
        Assert.Empty(EncodedBytes.Read(some, "p"));
    }

    [Fact]
    public void Another_major_version_of_Skia_is_named_at_the_start()
    {
        SkiaVersion.Check();
        Assert.Contains(
            "2.88.9",
            Assert.Throws<NotSupportedException>(() => SkiaVersion.Check(new Version(3, 119))).Message,
            StringComparison.Ordinal
        );
    }

    private static (int At, double Weight)[] Weights(int source, int target, int place, double scale)
    {
        var centre = ((source - (target * scale)) / 2) + ((place + 0.5) * scale);
        var reach = Math.Max(1, scale);
        var all = Enumerable
            .Range((int)(centre - reach) - 2, (int)(2 * reach) + 5)
            .Where(at => at >= 0 && at < source)
            .Select(at => (at, Math.Max(0, 1 - (Math.Abs(at + 0.5 - centre) / reach))))
            .ToArray();
        var sum = all.Sum(tap => tap.Item2);
        return [.. all.Select(tap => (tap.at, tap.Item2 / sum))];
    }

    private static byte Channel(SKColor color, int channel) =>
        channel switch
        {
            0 => color.Red,
            1 => color.Green,
            _ => color.Blue,
        };

    private static void InterlockedMax(ref int most, int value)
    {
        int seen;
        while ((seen = Volatile.Read(ref most)) < value && Interlocked.CompareExchange(ref most, value, seen) != seen)
        { }
    }

    private sealed class Endless : MemoryStream
    {
        public override bool CanSeek => false;

        public override int Read(Span<byte> buffer) => buffer.Length;

        public override int Read(byte[] buffer, int offset, int count) => count;
    }

    private sealed class Row
    {
        public string ImagePath { get; set; } = "";
    }

    private sealed class Scored
    {
        public float[]? Score { get; set; }
    }
}
