using Microsoft.ML;
using SkiaSharp;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Tests;

/// <summary>What a model may ask for beyond stock ML.NET: antialiased resizing, EXIF orientation.</summary>
public sealed class PictureReadingTests
{
    private static readonly PictureReading Antialiased = new(Antialias: true),
        Oriented = new(ApplyOrientation: true);

    [Theory]
    [InlineData(64, 64)]
    [InlineData(100, 41)]
    [InlineData(33, 47)]
    [InlineData(16, 16)]
    [InlineData(9, 20)]
    [InlineData(1, 1)]
    public void Antialiased_resizing_equals_a_direct_sum_over_all_pixels(int width, int height)
    {
        var encoded = TestPictures.Encode(width, height, SKEncodedImageFormat.Png, seed: width);
        var source = Read(encoded, width, height, PictureReading.Stock);
        var ours = Read(encoded, 16, 16, Antialiased);
        double scale = Math.Min(width / 16.0, height / 16.0),
            reach = Math.Max(1, scale),
            left = (width - (16 * scale)) / 2,
            top = (height - (16 * scale)) / 2;
        for (var c = 0; c < 3; c++)
        {
            for (var y = 0; y < 16; y++)
            {
                for (var x = 0; x < 16; x++)
                {
                    double sum = 0,
                        weights = 0;
                    for (var j = 0; j < height; j++)
                    {
                        for (var i = 0; i < width; i++)
                        {
                            var weight =
                                Math.Max(0, 1 - (Math.Abs(i + 0.5 - left - ((x + 0.5) * scale)) / reach))
                                * Math.Max(0, 1 - (Math.Abs(j + 0.5 - top - ((y + 0.5) * scale)) / reach));
                            sum += weight * source[(((c * height) + j) * width) + i];
                            weights += weight;
                        }
                    }

                    // One rounding; at a half the two sums may fall to either side.
                    Assert.InRange(ours[(((c * 16) + y) * 16) + x] - (sum / weights), -0.5001, 0.5001);
                }
            }
        }
    }

    [Fact]
    public void A_fine_pattern_becomes_grey_antialiased()
    {
        using var bitmap = new SKBitmap(new SKImageInfo(128, 128, SKColorType.Rgba8888, SKAlphaType.Opaque));
        for (var i = 0; i < 128 * 128; i++)
            bitmap.SetPixel(i % 128, i / 128, ((i % 128) + (i / 128)) % 2 == 0 ? SKColors.White : SKColors.Black);
        using var data = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        Assert.All(Read(data.ToArray(), 16, 16, Antialiased), value => Assert.InRange(value, 126, 129));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public void Photos_are_turned_as_EXIF_says(int orientation)
    {
        var plain = TestPictures.Encode(24, 16, SKEncodedImageFormat.Jpeg, seed: 3);
        var turned = WithOrientation(plain, orientation);
        var stored = Grid(Read(turned, 24, 16, PictureReading.Stock), 24, 16);
        Assert.Equal(Grid(Read(plain, 24, 16, PictureReading.Stock), 24, 16), stored);
        // EXIF 2.3, tag 0x0112: where the stored picture's first row and column belong.
        var upright = orientation switch
        {
            1 => stored,
            2 => Mirror(stored),
            3 => Mirror(Flip(stored)),
            4 => Flip(stored),
            5 => Transpose(stored),
            6 => Mirror(Transpose(stored)),
            7 => Mirror(Flip(Transpose(stored))),
            _ => Flip(Transpose(stored)),
        };
        var (width, height) = orientation >= 5 ? (16, 24) : (24, 16);
        Assert.Equal(upright, Grid(Read(turned, width, height, Oriented), width, height));
    }

    [Fact]
    public void A_model_that_asks_for_it_gets_it_on_every_route_but_stocks()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["model.onnx"], TestModels.Classifier(reading: Antialiased));
        using var classifier = ImageClassifier.Load(folder["model.onnx"]);
        var encoded = TestPictures.Encode(61, 43, SKEncodedImageFormat.Png, seed: 4);
        File.WriteAllBytes(folder["a.png"], encoded);
        var expected = classifier
            .ClassifyPlanes(Read(encoded, classifier.Width, classifier.Height, Antialiased), 1)[0]
            .Logits;
        Assert.NotEqual(
            expected,
            classifier
                .ClassifyPlanes(Read(encoded, classifier.Width, classifier.Height, PictureReading.Stock), 1)[0]
                .Logits
        );
        Assert.Equal(expected, classifier.Classify(folder["a.png"]).Logits);
        Assert.Equal(expected, classifier.Classify(encoded).Logits);
        var context = new MLContext(seed: 1);
        var rows = context.Data.LoadFromEnumerable([new Row { ImagePath = folder["a.png"] }]);
        using var transformer = context
            .Transforms.ClassifyImages(
                folder["model.onnx"],
                options: new ImageClassificationOptions { LogitsColumn = "Logits" }
            )
            .Fit(rows);
        Assert.Equal(
            expected,
            transformer.Transform(rows).Preview().RowView[0].Values.Single(pair => pair.Key == "Logits").Value
                is Microsoft.ML.Data.VBuffer<float> logits
                ? logits.DenseValues()
                : []
        );

        var zip = Assert.Throws<NotSupportedException>(() =>
            StockPipeline.Save(folder["model.onnx"], folder["model.zip"])
        );
        Assert.Contains(
            "reads its pictures with antialiased resizing, which stock ML.NET does not support",
            zip.Message,
            StringComparison.Ordinal
        );
        using var plain = context.Transforms.ClassifyImages(folder["model.onnx"]).Fit(rows);
        var save = Assert.Throws<NotSupportedException>(() =>
            context.Model.Save(plain, rows.Schema, folder["model.zip"])
        );
        Assert.Contains("SaveOnnx", save.Message, StringComparison.Ordinal);
    }

    private static byte[] Read(byte[] encoded, int width, int height, PictureReading reading)
    {
        var planes = new byte[3 * width * height];
        PictureReader.Read(encoded, "picture", width, height, planes, reading);
        return planes;
    }

    /// <summary>Rows of pixels; a pixel is its three bytes.</summary>
    private static (byte, byte, byte)[][] Grid(byte[] planes, int width, int height) =>
        [
            .. Enumerable
                .Range(0, height)
                .Select(y =>
                    Enumerable
                        .Range(0, width)
                        .Select(x =>
                            (
                                planes[(y * width) + x],
                                planes[(width * height) + (y * width) + x],
                                planes[(2 * width * height) + (y * width) + x]
                            )
                        )
                        .ToArray()
                ),
        ];

    private static T[][] Mirror<T>(T[][] rows) => [.. rows.Select(row => row.Reverse().ToArray())];

    private static T[][] Flip<T>(T[][] rows) => [.. rows.Reverse()];

    private static T[][] Transpose<T>(T[][] rows) =>
        [.. Enumerable.Range(0, rows[0].Length).Select(x => rows.Select(row => row[x]).ToArray())];

    /// <summary>Puts an EXIF segment with the tag Orientation behind a JPEG's first marker.</summary>
    private static byte[] WithOrientation(byte[] jpeg, int orientation)
    {
        byte[] exif =
        [
            0xFF,
            0xE1,
            0,
            34,
            .. "Exif\0\0"u8,
            .. "MM\0*"u8,
            0,
            0,
            0,
            8,
            0,
            1,
            0x01,
            0x12,
            0,
            3,
            0,
            0,
            0,
            1,
            0,
            (byte)orientation,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        return [.. jpeg[..2], .. exif, .. jpeg[2..]];
    }

    private sealed class Row
    {
        public string ImagePath { get; set; } = "";
    }
}
