// What it does: reads a picture like stock ML.NET 5 (LoadImages, ResizeImages with IsoCrop and the centre as anchor,
// ExtractPixels), byte for byte, so that training, the stock zip and TorchBridge's serving see the same pixels:
//   decode   SKCodec into the platform's colour order, premultiplied alpha, no colour space, EXIF orientation not
//            applied;
//   resize   only if the size differs: scale = max(W/w, H/h), drawn with Skia's high filter quality, the overhang
//            cropped on both sides; target positions are whole pixels, truncated towards zero;
//   extract  red, green, blue planes, 0 to 255; alpha is dropped after premultiplication (a transparent pixel is
//            black).
// PictureReading lets a model choose antialiasing or EXIF orientation. One deliberate difference: a truncated picture
// is an error here, while stock decoding pads it silently.
using System.Buffers.Binary;
using System.Globalization;
using Microsoft.ML.Data;
using SkiaSharp;

namespace TorchBridge.Inference.Pictures;

/// <summary>Reads pictures as planes of red, green and blue.</summary>
public static class PictureReader
{
    /// <summary>
    /// Offset of width and height in a PNG file, and the largest side that its decoder supports.
    /// </summary>
    private const int PngSizes = 16,
        LargestPngSide = 1_000_000;

    /// <summary>The signature of a PNG file.</summary>
    private static ReadOnlySpan<byte> PngSignature => [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A];

    /// <summary>Supported file name extensions.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [".jpg", ".jpeg", ".png", ".bmp", ".webp"];

    /// <summary>Whether a file's extension is one of <see cref="Extensions"/>.</summary>
    /// <param name="path">Name of the file.</param>
    public static bool IsPicture(string path) =>
        Extensions.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase);

    /// <summary>Reads an encoded picture.</summary>
    /// <param name="encoded">JPEG, PNG, BMP or WebP.</param>
    /// <param name="name">Name of the picture in error messages.</param>
    /// <param name="width">Width of the result in pixels.</param>
    /// <param name="height">Height of the result in pixels.</param>
    /// <param name="planes">Receives 3 x height x width bytes: the red, green and blue planes.</param>
    /// <param name="reading">The model's resizing and orientation; null for stock ML.NET's behaviour.</param>
    /// <exception cref="InvalidPictureException">The data are not a picture or are truncated.</exception>
    public static void Read(
        ReadOnlySpan<byte> encoded,
        string name,
        int width,
        int height,
        Span<byte> planes,
        PictureReading? reading = null
    )
    {
        ArgumentNullException.ThrowIfNull(name);
        CheckSize(width, height, planes);
        using var data = SKData.CreateCopy(encoded);
        using var codec = SKCodec.Create(data) ?? throw NotRead(encoded, name);
        var turns = (reading?.ApplyOrientation ?? false) && codec.EncodedOrigin != SKEncodedOrigin.TopLeft;
        var info = codec.Info with { ColorSpace = null };
        // A JPEG that will be antialiased is decoded at a fraction of its size.
        if (reading is { Antialias: true } && codec.EncodedFormat == SKEncodedImageFormat.Jpeg)
            info = Reduced(codec, info, Math.Max(width, height));
        var bytes = BytesToRead(info, turns);
        if (bytes > DecodingBudget.Shared.Limit)
        {
            throw new InvalidPictureException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{name} has {codec.Info.Width} x {codec.Info.Height} pixels, which takes {bytes:N0} "
                        + $"bytes to decode; the limit is {DecodingBudget.Shared.Limit:N0} bytes, about 200 "
                        + $"million pixels"
                )
            );
        }

        using var share = DecodingBudget.Shared.Take(bytes);
        using var decoded = Decode(codec, info, encoded.Length, name, turns);
        Write(decoded, width, height, planes, reading);
    }

    /// <summary>Reads a picture file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="width">Width of the result in pixels.</param>
    /// <param name="height">Height of the result in pixels.</param>
    /// <param name="planes">Receives 3 x height x width bytes.</param>
    /// <param name="reading">The model's resizing and orientation; null for stock ML.NET's behaviour.</param>
    /// <exception cref="InvalidPictureException">The file does not exist, is not a picture, or is
    /// truncated.</exception>
    /// <exception cref="ArgumentException"><paramref name="planes"/> has another length.</exception>
    public static void ReadFile(string path, int width, int height, Span<byte> planes, PictureReading? reading = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        byte[] encoded;
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            encoded = EncodedBytes.Read(file, path);
        }
        catch (Exception error)
            when (error is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new InvalidPictureException(
                $"{(path.Length == 0 ? "the picture with an empty path" : path)} cannot be read: {error.Message}",
                error
            );
        }

        Read(encoded, path, width, height, planes, reading);
    }

    /// <summary>Reads a picture in memory.</summary>
    /// <param name="picture">Picture of any size, in blue-green-red-alpha or red-green-blue-alpha order; alpha is
    /// dropped.</param>
    /// <param name="width">Width of the result in pixels.</param>
    /// <param name="height">Height of the result in pixels.</param>
    /// <param name="planes">Receives 3 x height x width bytes.</param>
    /// <param name="reading">The model's resizing; null for stock ML.NET's behaviour. Orientation is not applied to
    /// pictures in memory.</param>
    /// <exception cref="InvalidPictureException">The picture has another pixel format.</exception>
    /// <exception cref="ArgumentException"><paramref name="planes"/> has another length.</exception>
    public static void Read(MLImage picture, int width, int height, Span<byte> planes, PictureReading? reading = null)
    {
        ArgumentNullException.ThrowIfNull(picture);
        var color = picture.PixelFormat switch
        {
            MLPixelFormat.Bgra32 => SKColorType.Bgra8888,
            MLPixelFormat.Rgba32 => SKColorType.Rgba8888,
            var other => throw new InvalidPictureException(
                $"the picture has the pixel format {other}; supported are Bgra32 and Rgba32"
            ),
        };
        CheckSize(width, height, planes);
        var info = new SKImageInfo(picture.Width, picture.Height, color, SKAlphaType.Premul);
        using var share = DecodingBudget.Shared.Take(
            Math.Min(BytesToRead(info, turns: false), DecodingBudget.Shared.Limit)
        ); // it is already in memory
        using var bitmap = new SKBitmap(info);
        unsafe
        {
            picture.Pixels.CopyTo(new Span<byte>((void*)bitmap.GetPixels(), bitmap.ByteCount));
        }

        Write(bitmap, width, height, planes, reading);
    }

    /// <summary>Why a picture cannot be decoded: it is too large for the PNG decoder or not a picture.</summary>
    /// <param name="encoded">Bytes of the file.</param>
    /// <param name="name">Name of the picture in error messages.</param>
    private static InvalidPictureException NotRead(ReadOnlySpan<byte> encoded, string name)
    {
        // The decoder refuses sides of more than a million pixels with the same result as for data that are not a
        // picture.
        if (
            encoded.StartsWith(PngSignature)
            && encoded.Length >= PngSizes + (2 * sizeof(int))
            && BinaryPrimitives.ReadInt32BigEndian(encoded[PngSizes..]) is var across
            && BinaryPrimitives.ReadInt32BigEndian(encoded[(PngSizes + sizeof(int))..]) is var down
            && Math.Max(across, down) > LargestPngSide
        )
            return new InvalidPictureException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{name} has {across} x {down} pixels; the limit for PNG pictures is {LargestPngSide:N0} "
                        + $"pixels per side"
                )
            );
        return new InvalidPictureException(
            $"{name} is not a picture ({encoded.Length} bytes; supported are JPEG, PNG, BMP and WebP)"
        );
    }

    /// <summary>Writes a decoded picture as planes, resized as the model requires.</summary>
    /// <param name="picture">The decoded, upright picture.</param>
    /// <param name="width">Width of the result.</param>
    /// <param name="height">Height of the result.</param>
    /// <param name="planes">Receives 3 x height x width bytes.</param>
    /// <param name="reading">The model's resizing; null for stock ML.NET's behaviour.</param>
    private static void Write(SKBitmap picture, int width, int height, Span<byte> planes, PictureReading? reading)
    {
        if (reading is { Antialias: true } && (picture.Width != width || picture.Height != height))
        {
            AntialiasedResize.Write(picture, width, height, planes);
            return;
        }

        using var resized = Resize(picture, width, height);
        Extract(resized, planes);
    }

    /// <summary>Refuses sizes below 1 and a target of the wrong length.</summary>
    /// <param name="width">Width of the result.</param>
    /// <param name="height">Height of the result.</param>
    /// <param name="planes">The target of the result.</param>
    /// <exception cref="ArgumentException">The target has another length.</exception>
    private static void CheckSize(int width, int height, Span<byte> planes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        if (planes.Length != 3L * width * height)
            throw new ArgumentException(
                $"the target has {planes.Length} bytes; expected are 3 x {height} x {width}",
                nameof(planes)
            );
    }

    /// <summary>
    /// Total size in bytes of the buffers that are in memory at the same time while a picture is decoded, rotated and
    /// resized.
    /// </summary>
    /// <param name="info">The picture's size and format.</param>
    /// <param name="turns">Whether it is rotated, which needs a copy.</param>
    private static long BytesToRead(SKImageInfo info, bool turns)
    {
        const int four = 4;
        var decoding = info.BytesPerPixel == four ? four : info.BytesPerPixel + four;
        var turning = turns ? 2 * four : 0;
        const double resizing = four * 4 / 3.0; // Skia's smaller copies add up to a third
        return (long)(Math.Max(Math.Max(decoding, turning), resizing) * info.Width * info.Height);
    }

    /// <summary>Decodes a picture and refuses truncated and damaged files.</summary>
    /// <param name="codec">The opened picture.</param>
    /// <param name="info">Size and format of the result.</param>
    /// <param name="length">Bytes of the file, for error messages.</param>
    /// <param name="name">Name of the picture in error messages.</param>
    /// <param name="turns">Whether it is rotated afterwards.</param>
    private static SKBitmap Decode(SKCodec codec, SKImageInfo info, int length, string name, bool turns)
    {
        if (info.AlphaType == SKAlphaType.Unpremul)
            info.AlphaType = SKAlphaType.Premul;
        var bitmap = new SKBitmap(info);
        var result = codec.GetPixels(info, bitmap.GetPixels());
        if (result == SKCodecResult.Success)
            return turns ? ExifOrientation.Upright(InFourBytes(bitmap), codec.EncodedOrigin) : InFourBytes(bitmap);
        bitmap.Dispose();
        throw new InvalidPictureException(
            result == SKCodecResult.IncompleteInput
                ? $"{name} is truncated: the file ends too early ({length} bytes)"
                : $"{name} cannot be decoded ({result}): the file is damaged"
        );
    }

    /// <summary>
    /// A JPEG can be decoded at 1/8 to 7/8 of its size for less work. At least twice the side of the result is kept
    /// for the triangle filter, so that the averaging within JPEG blocks only differs by a few grey levels at sharp
    /// edges. The fraction must give whole pixels: otherwise the last row or column would cover less than the others
    /// and the picture would be shifted.
    /// </summary>
    /// <param name="codec">The opened picture.</param>
    /// <param name="info">The picture's original size.</param>
    /// <param name="side">The required shorter side.</param>
    private static SKImageInfo Reduced(SKCodec codec, SKImageInfo info, int side)
    {
        const int parts = 8;
        for (
            var eighths = (int)Math.Ceiling(parts * 2.0 * side / Math.Min(info.Width, info.Height));
            eighths < parts;
            eighths++
        )
        {
            if (info.Width * eighths % parts != 0 || info.Height * eighths % parts != 0)
                continue;
            var size = codec.GetScaledDimensions((float)eighths / parts);
            if (size.Width == info.Width * eighths / parts && size.Height == info.Height * eighths / parts)
                return info with { Width = size.Width, Height = size.Height };
        }

        return info;
    }

    /// <summary>Converts grey and 16-bit pictures to four bytes per pixel.</summary>
    /// <param name="bitmap">Bitmap of any format; disposed if it is converted.</param>
    private static SKBitmap InFourBytes(SKBitmap bitmap)
    {
        if (bitmap.ColorType is SKColorType.Bgra8888 or SKColorType.Rgba8888)
            return bitmap;
        using (bitmap)
            return bitmap.Copy(SKColorType.Bgra8888);
    }

    /// <summary>
    /// Resizes like stock ML.NET's ResizeImages with IsoCrop: one side fits, the overhang of the other is cropped on
    /// both ends.
    /// </summary>
    /// <param name="source">The decoded picture.</param>
    /// <param name="width">Width of the result.</param>
    /// <param name="height">Height of the result.</param>
    private static SKBitmap Resize(SKBitmap source, int width, int height)
    {
        if (source.Width == width && source.Height == height)
            return source.Copy();
        float widthAspect = (float)width / source.Width,
            heightAspect = (float)height / source.Height;
        int left = 0,
            top = 0;
        float aspect;
        if (heightAspect < widthAspect)
        {
            aspect = widthAspect;
            top = (int)((height - (source.Height * aspect)) / 2);
        }
        else
        {
            aspect = heightAspect;
            left = (int)((width - (source.Width * aspect)) / 2);
        }

        var target = new SKBitmap(width, height, isOpaque: true);
        using var canvas = new SKCanvas(target);
        source.SetImmutable(); // otherwise the image would be a copy
        using var image = SKImage.FromBitmap(source);
        var to = new SKRect(left, top, left + (int)(source.Width * aspect), top + (int)(source.Height * aspect));
        using var paint = new SKPaint { FilterQuality = SKFilterQuality.High };
        canvas.DrawImage(image, new SKRect(0, 0, source.Width, source.Height), to, paint);
        return target;
    }

    /// <summary>Splits a bitmap into planes of red, green and blue.</summary>
    /// <param name="bitmap">Bitmap with four bytes per pixel.</param>
    /// <param name="planes">Receives 3 x height x width bytes.</param>
    private static void Extract(SKBitmap bitmap, Span<byte> planes)
    {
        var pixels = bitmap.GetPixelSpan();
        var (red, blue) = bitmap.ColorType == SKColorType.Bgra8888 ? (2, 0) : (0, 2);
        var count = bitmap.Width * bitmap.Height;
        for (var index = 0; index < count; index++)
        {
            planes[index] = pixels[(4 * index) + red];
            planes[count + index] = pixels[(4 * index) + 1];
            planes[(2 * count) + index] = pixels[(4 * index) + blue];
        }
    }
}
