using SkiaSharp;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Training.Data;

/// <summary>Loads the data that <c>--data</c> names.</summary>
internal static class DataSource
{
    /// <summary>The built-in pictures.</summary>
    public const string Drawn = "drawn";

    /// <summary>CIFAR-10, downloaded once.</summary>
    public const string Cifar = "cifar10";

    /// <summary>Loads a data set, with access to its test pictures as files.</summary>
    /// <param name="name"><c>drawn</c>, <c>cifar10</c>, or a path.</param>
    /// <param name="size">Height and width in pixels, for pictures from a path.</param>
    /// <param name="seed">Seed of the drawn pictures and of the split.</param>
    /// <param name="limits">Number of drawn training, validation and test pictures; null for the defaults.</param>
    /// <param name="progress">Receives the number done and the total.</param>
    /// <param name="reading">How pictures from a path are resized and rotated; null to do as stock ML.NET
    /// does.</param>
    public static LoadedData Load(
        string name,
        int size,
        int seed,
        (int Training, int Validation, int Test)? limits = null,
        Action<long, long>? progress = null,
        PictureReading? reading = null
    )
    {
        switch (name)
        {
            case Drawn:
                var drawn = limits is { } l
                    ? DrawnPictures.Make(seed, l.Training, l.Validation, l.Test)
                    : DrawnPictures.Make(seed);
                return new LoadedData(drawn, () => ToPng(drawn.Test));
            case Cifar:
                var cifar = new Cifar10().Load(seed, progress);
                return new LoadedData(cifar, () => ToPng(cifar.Test));
            default:
                var (data, files) = PictureFolder.Load(
                    name,
                    size,
                    size,
                    seed,
                    (done, all) => progress?.Invoke(done, all),
                    reading
                );
                return new LoadedData(data, () => files);
        }
    }

    /// <summary>Encodes every picture of a set as PNG.</summary>
    /// <param name="set">The pictures.</param>
    /// <returns>Files in memory, named by their index in the set: <c>00042.png</c>.</returns>
    public static EncodedPicture[] ToPng(PictureSet set)
    {
        var pictures = new EncodedPicture[set.Count];
        Parallel.For(0, set.Count, i =>
            pictures[i] = new EncodedPicture($"{i:D5}.png", ToPng(set.Picture(i), set.Width, set.Height))
        );
        return pictures;
    }

    /// <summary>Encodes planes of red, green and blue as a lossless PNG.</summary>
    /// <param name="planes">3 x height x width bytes.</param>
    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
    /// <returns>The bytes of the PNG file.</returns>
    public static byte[] ToPng(ReadOnlySpan<byte> planes, int width, int height)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Opaque));
        var plane = width * height;
        unsafe
        {
            var target = (byte*)bitmap.GetPixels();
            for (var index = 0; index < plane; index++)
            {
                target[4 * index] = planes[index];
                target[(4 * index) + 1] = planes[plane + index];
                target[(4 * index) + 2] = planes[(2 * plane) + index];
                target[(4 * index) + 3] = 255;
            }
        }

        using var data = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return data.ToArray();
    }
}

/// <summary>A data set in memory.</summary>
/// <param name="Data">The pictures.</param>
/// <param name="TestFiles">The test pictures as encoded files, in the order of the test part.</param>
internal sealed record LoadedData(PictureData Data, Func<IReadOnlyList<EncodedPicture>> TestFiles);
