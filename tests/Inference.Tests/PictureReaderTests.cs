using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;
using SkiaSharp;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Tests;

/// <summary>Compares with stock ML.NET: LoadImages, ResizeImages(IsoCrop) and ExtractPixels give the same
/// bytes.</summary>
public class PictureReaderTests
{
    public static TheoryData<int, int, SKEncodedImageFormat, bool, bool> Cases =>
        new()
        {
            { 32, 32, SKEncodedImageFormat.Png, false, false },
            { 33, 47, SKEncodedImageFormat.Png, false, false },
            { 100, 31, SKEncodedImageFormat.Png, false, false },
            { 17, 19, SKEncodedImageFormat.Jpeg, false, false },
            { 641, 480, SKEncodedImageFormat.Jpeg, false, false },
            { 75, 76, SKEncodedImageFormat.Webp, false, false },
            { 64, 40, SKEncodedImageFormat.Png, true, false },
            { 32, 32, SKEncodedImageFormat.Png, true, false },
            { 45, 45, SKEncodedImageFormat.Jpeg, false, true },
            { 1, 1, SKEncodedImageFormat.Png, false, false },
            { 1, 200, SKEncodedImageFormat.Png, false, false },
        };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Reads_the_same_bytes_as_stock_ML_NET(
        int width,
        int height,
        SKEncodedImageFormat format,
        bool transparent,
        bool gray
    )
    {
        using var folder = new TempFolder();
        var path = folder[$"picture.{format}".ToLowerInvariant()];
        File.WriteAllBytes(
            path,
            TestPictures.Encode(
                width,
                height,
                format,
                transparent ? SKAlphaType.Unpremul : SKAlphaType.Opaque,
                gray ? SKColorType.Gray8 : SKColorType.Rgba8888
            )
        );

        var ours = ReadFile(path);

        Assert.Equal(Stock(path), ours.Select(value => (float)value));
        Assert.True(ours.Distinct().Count() > 1 || width == 1, "a picture of one colour proves nothing");
    }

    [Fact]
    public void A_bitmap_file_reads_as_stock_ML_NET_reads_it()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["picture.bmp"], Bmp(35, 22));
        Assert.Equal(Stock(folder["picture.bmp"]), ReadFile(folder["picture.bmp"]).Select(value => (float)value));
    }

    [Fact]
    public void A_picture_that_ends_too_early_is_invalid_though_stock_ML_NET_accepts_it()
    {
        using var folder = new TempFolder();
        var whole = TestPictures.Encode(64, 64, SKEncodedImageFormat.Jpeg);
        File.WriteAllBytes(folder["cut.jpg"], whole[..(whole.Length / 2)]);
        var error = Assert.Throws<InvalidPictureException>(() => ReadFile(folder["cut.jpg"]));
        Assert.Contains("cut.jpg", error.Message, StringComparison.Ordinal);
        Assert.Contains("ends too early", error.Message, StringComparison.Ordinal);
        Assert.Equal(3 * 32 * 32, Stock(folder["cut.jpg"]).Length);
    }

    [Fact]
    public void A_few_bytes_that_claim_to_be_gigapixels_are_refused_before_memory_is_taken()
    {
        using var folder = new TempFolder();
        var bytes = Bmp(35, 22);
        System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(18), 60_000);
        System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(22), 60_000);
        File.WriteAllBytes(folder["bomb.bmp"], bytes);
        Assert.Contains(
            "bomb.bmp has 60000 x 60000 pixels",
            Assert.Throws<InvalidPictureException>(() => ReadFile(folder["bomb.bmp"])).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void A_text_file_named_png_is_invalid()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["notes.png"], "these are notes");
        var error = Assert.Throws<InvalidPictureException>(() => ReadFile(folder["notes.png"]));
        Assert.Contains("is not a picture", error.Message, StringComparison.Ordinal);
    }

    private static float[] Stock(string path)
    {
        var context = new MLContext(seed: 0);
        var rows = context.Data.LoadFromEnumerable([new PictureRow { ImagePath = path }]);
        var chain = context
            .Transforms.LoadImages("Image", imageFolder: null, "ImagePath")
            .Append(
                context.Transforms.ResizeImages("Image", 32, 32, resizing: ImageResizingEstimator.ResizingKind.IsoCrop)
            )
            .Append(context.Transforms.ExtractPixels("Pixels", "Image"));
        var column = chain.Fit(rows).Transform(rows).GetColumn<float[]>("Pixels");
        return column.Single();
    }

    private static byte[] Bmp(int width, int height)
    {
        var row = ((3 * width) + 3) / 4 * 4;
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write("BM"u8);
        writer.Write(54 + (row * height));
        writer.Write(0);
        writer.Write(54);
        foreach (var value in (int[])[40, width, height, 1 | (24 << 16), 0, row * height, 2835, 2835, 0, 0])
            writer.Write(value);
        for (var y = 0; y < height; y++)
        {
            for (var i = 0; i < row; i++)
                writer.Write((byte)((i * 5) + (y * 13)));
        }

        return stream.ToArray();
    }

    private sealed class PictureRow
    {
        public string ImagePath { get; set; } = "";
    }

    private static byte[] ReadFile(string path)
    {
        var planes = new byte[3 * 32 * 32];
        PictureReader.ReadFile(path, 32, 32, planes);
        return planes;
    }
}
