using System.Globalization;
using SkiaSharp;
using TorchBridge.Training.Data;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Lab;

/// <summary>A contact sheet of every augmentation: one row per picture, one column per technique.</summary>
internal static class AugmentationSheet
{
    private const int Rows = 6,
        Draws = 2,
        Pixel = 3,
        Gap = 8,
        HeadLine = 26,
        Seed = 4;

    /// <summary>Each augmentation alone, and all of them combined.</summary>
    public static IReadOnlyList<(string Name, AugmentationOptions Options)> Techniques { get; } =
    [
        ("crop 4", AugmentationOptions.None with { CropPadding = 4 }),
        ("crop 4, mirror", AugmentationOptions.None with { CropPadding = 4, Fill = FillKind.Reflect }),
        ("flip", AugmentationOptions.None with { Flip = FlipKind.Random }),
        ("rotation 15", AugmentationOptions.None with { Rotation = 15 }),
        ("jitter 0.4", AugmentationOptions.None with { ColorJitter = 0.4 }),
        ("cutout 8", AugmentationOptions.None with { Cutout = 8 }),
        ("all", new AugmentationOptions(4, FlipKind.Random, 0.4, 15, 8)),
    ];

    /// <summary>One row per picture: two draws of each augmentation, and a window.</summary>
    /// <param name="set">The set the pictures are taken from, evenly spaced.</param>
    /// <param name="classNames">Class names for the captions.</param>
    /// <returns>The sheet, and its size in pixels.</returns>
    public static (byte[] Png, int Width, int Height) Augmentations(PictureSet set, IReadOnlyList<string> classNames)
    {
        var chosen = Chosen(set);
        var columns = new List<Func<int, (string, float[])>>
        {
            row => (classNames[set.Labels[chosen[row]]], Augmented(set, chosen[row], AugmentationOptions.None, 0)),
        };
        foreach (var (name, options) in Techniques)
        {
            for (var draw = 0; draw < Draws; draw++)
            {
                var number = draw;
                columns.Add(row => (name, Augmented(set, chosen[row], options, number)));
            }
        }

        columns.Add(row => ("window", Windowed(set, chosen[row])));
        return Draw(set, columns);
    }

    /// <summary>One row per picture, mixed with the next row's; the caption shows the share of its own
    /// label.</summary>
    /// <param name="set">The set the pictures are taken from, evenly spaced.</param>
    /// <param name="classNames">Class names for the captions.</param>
    /// <returns>The sheet, and its size in pixels.</returns>
    public static (byte[] Png, int Width, int Height) Mixing(PictureSet set, IReadOnlyList<string> classNames)
    {
        var chosen = Chosen(set);
        var columns = new List<Func<int, (string, float[])>>
        {
            row => (classNames[set.Labels[chosen[row]]], Augmented(set, chosen[row], AugmentationOptions.None, 0)),
        };
        foreach (var lambda in (double[])[0.9, 0.7, 0.4])
            columns.Add(row =>
                Mixed(set, chosen, row, classNames, lambda, (x, t, partners) =>
                    BatchMixing.Mixup(x, t, partners, lambda)
                )
            );
        foreach (
            var box in (Box[])
                [
                    new(0, set.Height / 2, 0, set.Width / 2),
                    new(set.Height / 4, set.Height, set.Width / 3, set.Width),
                    new(set.Height / 3, 2 * set.Height / 3, 0, set.Width),
                ]
        )
            columns.Add(row =>
                Mixed(set, chosen, row, classNames, 0, (x, t, partners) => BatchMixing.CutMix(x, t, partners, box))
            );
        foreach (var side in (int[])[8, 16])
            columns.Add(row =>
                ($"cutout {side}", Augmented(set, chosen[row], AugmentationOptions.None with { Cutout = side }, 1))
            );
        return Draw(set, columns);
    }

    /// <summary>Indices of the pictures, spread evenly over the set.</summary>
    /// <param name="set">The pictures.</param>
    private static int[] Chosen(PictureSet set) =>
        [.. Enumerable.Range(0, Rows).Select(row => (int)((long)row * set.Count / Rows))];

    /// <summary>Draws the sheet.</summary>
    /// <param name="set">Determines the size of the pictures.</param>
    /// <param name="columns">Functions from a row's number to a caption and a picture.</param>
    private static (byte[] Png, int Width, int Height) Draw(
        PictureSet set,
        List<Func<int, (string Caption, float[] Pixels)>> columns
    )
    {
        int cellWidth = (set.Width * Pixel) + Gap,
            cellHeight = (set.Height * Pixel) + Gap + HeadLine;
        using var bitmap = new SKBitmap((columns.Count * cellWidth) + Gap, (Rows * cellHeight) + Gap);
        using var canvas = new SKCanvas(bitmap);
        canvas.Clear(SKColors.White);
        using var text = new SKPaint
        {
            Color = SKColors.Black,
            TextSize = 13,
            IsAntialias = true,
        };
        for (var column = 0; column < columns.Count; column++)
        {
            for (var row = 0; row < Rows; row++)
            {
                var (caption, pixels) = columns[column](row);
                int left = Gap + (column * cellWidth),
                    top = Gap + (row * cellHeight);
                canvas.DrawText(caption, left, top + 15, text);
                using var picture = Bitmap(pixels, set.Height, set.Width);
                canvas.DrawBitmap(
                    picture,
                    SKRect.Create(left, top + HeadLine - 4, set.Width * Pixel, set.Height * Pixel)
                );
            }
        }

        using var data = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return (data.ToArray(), bitmap.Width, bitmap.Height);
    }

    /// <summary>A window of three quarters of the picture's sides, on white.</summary>
    /// <param name="set">The pictures.</param>
    /// <param name="index">Index of the picture.</param>
    /// <returns>height x width x 3 floats.</returns>
    private static float[] Windowed(PictureSet set, int index)
    {
        int rows = set.Height * 3 / 4,
            columns = set.Width * 3 / 4;
        var window = new float[3 * rows * columns];
        var draw = new Draw(Seed, index, 5);
        Augmentation.Window(
            Augmented(set, index, AugmentationOptions.None, 0),
            set.Height,
            set.Width,
            rows,
            columns,
            ref draw,
            window
        );
        var target = new float[set.Stride];
        Array.Fill(target, 255);
        for (var row = 0; row < rows; row++)
            window.AsSpan(3 * columns * row, 3 * columns).CopyTo(target.AsSpan(3 * set.Width * row));
        return target;
    }

    /// <summary>An augmented picture.</summary>
    /// <param name="set">The pictures.</param>
    /// <param name="index">Index of the picture.</param>
    /// <param name="options">The augmentations to apply.</param>
    /// <param name="number">Number of the draw.</param>
    /// <returns>height x width x 3 floats, 0 to 255.</returns>
    private static float[] Augmented(PictureSet set, int index, AugmentationOptions options, int number)
    {
        var target = new float[set.Stride];
        var draw = new Draw(Seed, index, number);
        Augmentation.Apply(set.Picture(index), set.Height, set.Width, options, ref draw, target);
        return target;
    }

    /// <summary>A picture mixed with the next row's, and the resulting label.</summary>
    private static (string Caption, float[] Pixels) Mixed(
        PictureSet set,
        int[] chosen,
        int row,
        IReadOnlyList<string> classNames,
        double lambda,
        Func<Tensor, Tensor, long[], (Tensor Pixels, Tensor Targets)> mix
    )
    {
        using var scope = NewDisposeScope();
        var partners = Enumerable.Range(0, Rows).Select(i => (long)((i + 1) % Rows)).ToArray();
        var pixels = stack(
                chosen.Select(index =>
                    tensor(Augmented(set, index, AugmentationOptions.None, 0)).reshape(set.Height, set.Width, 3)
                )
            )
            .permute(0, 3, 1, 2);
        var (mixed, targets) = mix(
            pixels,
            SoftTargets.Smooth(tensor(chosen.Select(index => (long)set.Labels[index]).ToArray()), classNames.Count, 0),
            partners
        );
        var share = targets[row, set.Labels[chosen[row]]].item<float>();
        return (
            string.Create(CultureInfo.InvariantCulture, $"{(lambda > 0 ? "mixup" : "CutMix")} {share:F2}"),
            mixed[row].permute(1, 2, 0).contiguous().data<float>().ToArray()
        );
    }

    /// <summary>Converts floats to a bitmap.</summary>
    /// <param name="pixels">height x width x 3, 0 to 255.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="width">Width in pixels.</param>
    private static SKBitmap Bitmap(float[] pixels, int height, int width)
    {
        var bitmap = new SKBitmap(width, height);
        for (var index = 0; index < height * width; index++)
            bitmap.SetPixel(
                index % width,
                index / width,
                new SKColor((byte)pixels[3 * index], (byte)pixels[(3 * index) + 1], (byte)pixels[(3 * index) + 2])
            );
        return bitmap;
    }
}
