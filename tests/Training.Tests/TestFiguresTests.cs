using SkiaSharp;
using TorchBridge.Training.Data;
using TorchBridge.Training.Lab;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Tests;

public class TestFiguresTests
{
    [Fact]
    public void Figures_of_a_test_are_those_of_its_logits()
    {
        // Four pictures of two classes: confidences 0.9 right, 0.9 wrong, 0.6 right, 0.6 right.
        static float Logit(double probability) => (float)Math.Log(probability / (1 - probability));
        float[] logits = [Logit(0.9), 0, Logit(0.9), 0, 0, Logit(0.6), Logit(0.6), 0];
        var set = new PictureSet(new byte[4 * 12], [0, 1, 1, 0], 2, 2);
        var figures = TestFigures.Of(new Evaluation(0.5, 0.75, 1, logits), set, ["a", "b"]);
        Assert.Equal(
            [
                [2, 0],
                [1, 1],
            ],
            figures.Confusion
        );
        Assert.Equal([1.0, 0.5], figures.Classes.Select(item => item.Accuracy));
        Assert.Equal([2, 2], figures.Bins.Select(bin => bin.Count));
        Assert.Equal([1.0, 0.5], figures.Bins.Select(bin => bin.Accuracy));
        // |1 - 0.6| and |0.5 - 0.9|, half of the pictures each
        Assert.Equal(0.4, figures.CalibrationError, 6);
    }

    [Fact]
    public void Perfect_confidence_goes_into_the_last_bin()
    {
        var set = new PictureSet(new byte[12], [0], 2, 2);
        var figures = TestFigures.Of(new Evaluation(0, 1, 1, [200, 0]), set, ["a", "b"]);
        Assert.Equal(1.0, Assert.Single(figures.Bins).Confidence);
        Assert.Equal(0, figures.CalibrationError);
    }

    [Fact]
    public void The_sheet_shows_every_augmentation()
    {
        var data = DrawnPictures.Make(1, 60, 10, 10);
        var (png, width, _) = AugmentationSheet.Augmentations(data.Training, data.ClassNames);
        using var sheet = SKBitmap.Decode(png);
        // The original, seven techniques drawn twice, a window: 16 columns of 32 x 3 pixels and gaps.
        Assert.Equal(((16 * 104) + 8, width), (sheet.Width, sheet.Width));
        // Cutout is black where the original, a column of its own, is not.
        var black = Enumerable
            .Range(0, sheet.Height * 104)
            .Count(i => sheet.GetPixel(8 + (11 * 104) + (i % 104), i / 104) == SKColors.Black);
        Assert.True(black > 6 * 9 * 9);
        // The original, three of mixup, three of CutMix, two of cutout.
        Assert.Equal((9 * 104) + 8, AugmentationSheet.Mixing(data.Training, data.ClassNames).Width);
    }
}
