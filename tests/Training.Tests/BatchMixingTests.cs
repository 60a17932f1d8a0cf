using TorchBridge.Training.Data;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests;

/// <summary>Mixup, CutMix, cutout, rotation: values, not only shapes.</summary>
public class BatchMixingTests
{
    [Theory]
    [InlineData("mixup_0p3")]
    [InlineData("mixup_0p85")]
    [InlineData("mixup_1p0")]
    public void Mixup_and_its_gradients_are_PyTorchs(string name)
    {
        var golden = GoldenCase.Find(name);
        Assert.SkipWhen(golden is null, "../shared/golden is not there");
        using var scope = NewDisposeScope();
        var x = tensor(golden.Input("x").Floats!).reshape(golden.Input("x").Shape);
        var y = tensor(golden.Input("y").Integers!);
        var partners = golden.Input("perm").Integers!;
        var lambda = golden.Parameter("lam").GetDouble();
        foreach (var (smoothing, ending) in (ReadOnlySpan<(double, string)>)[(0, "ce"), (0.1, "ls0p1")])
        {
            var (mixed, targets) = BatchMixing.Mixup(x, SoftTargets.Smooth(y, 10, smoothing), partners, lambda);
            golden.Check("mixed_x", mixed.contiguous().data<float>().ToArray());
            var logits = tensor(golden.Input("logits").Floats!).reshape(golden.Input("logits").Shape).requires_grad_();
            var loss = SoftTargets.CrossEntropy(logits, targets);
            golden.Check($"loss_{ending}", loss.detach().data<float>().ToArray());
            loss.backward();
            golden.Check($"grad_logits_{ending}", logits.grad!.data<float>().ToArray());
        }
    }

    [Fact]
    public void CutMix_sets_the_box_in_and_weighs_targets_by_the_pixels_left()
    {
        using var scope = NewDisposeScope();
        var pixels = arange(2 * 3 * 4 * 5, dtype: ScalarType.Float32).reshape(2, 3, 4, 5);
        var targets = eye(2);
        var (mixed, weights) = BatchMixing.CutMix(pixels, targets, [1, 0], new Box(1, 3, 2, 5));
        for (var n = 0; n < 2; n++)
        {
            for (var c = 0; c < 3; c++)
            {
                for (var y = 0; y < 4; y++)
                {
                    for (var x = 0; x < 5; x++)
                    {
                        var from = y is 1 or 2 && x >= 2 ? 1 - n : n;
                        Assert.Equal((((((from * 3) + c) * 4) + y) * 5) + x, mixed[n, c, y, x].item<float>());
                    }
                }
            }
        }

        Close.To(
            [0.7f, 0.3f, 0.3f, 0.7f],
            weights.data<float>().ToArray(),
            1e-6,
            0,
            "6 of 20 pixels are the partner's"
        );
        Assert.Equal(0f, pixels[0, 0, 0, 0].item<float>());
        Assert.Equal(7f, pixels[0, 0, 1, 2].item<float>()); // the input is unchanged
    }

    [Fact]
    public void Boxes_have_the_area_that_was_drawn_where_no_edge_cuts_them()
    {
        var whole = 0;
        for (var i = 0; i < 2000; i++)
        {
            var draw = new Draw(9, i);
            var lambda = draw.Uniform();
            var box = Box.Of(lambda, 32, 32, ref draw);
            Assert.InRange(box.Top, 0, box.Bottom);
            Assert.InRange(box.Bottom, box.Top, 32);
            Assert.InRange(box.Right, box.Left, 32);
            var side = 2 * (int)(32 * Math.Sqrt(1 - lambda) / 2);
            Assert.True(box.Right - box.Left <= side && box.Bottom - box.Top <= side);
            if (box is not { Left: > 0, Top: > 0, Right: < 32, Bottom: < 32 })
                continue;
            whole++;
            Assert.Equal((side, side), (box.Right - box.Left, box.Bottom - box.Top));
        }

        Assert.InRange(whole, 200, 1800);
    }

    [Theory]
    [InlineData(0.2)]
    [InlineData(1.0)]
    [InlineData(3.0)]
    public void Beta_draws_have_the_mean_and_variance_of_theory(double alpha)
    {
        const int n = 20_000;
        var values = Enumerable.Range(0, n).Select(i => new Draw(5, i).Beta(alpha)).ToArray();
        Assert.All(values, value => Assert.InRange(value, 0, 1));
        var variance = 1 / (4 * ((2 * alpha) + 1));
        var mean = values.Average();
        Assert.InRange(mean, 0.5 - (5 * Math.Sqrt(variance / n)), 0.5 + (5 * Math.Sqrt(variance / n)));
        // A bounded variable: the variance's standard error is below variance sqrt(2 / n) for these alphas.
        Assert.InRange(
            values.Sum(v => (v - mean) * (v - mean)) / n,
            variance * (1 - (5 * Math.Sqrt(2.0 / n))),
            variance * (1 + (5 * Math.Sqrt(2.0 / n)))
        );
    }

    [Fact]
    public void Each_batch_draws_one_of_the_techniques_that_are_on()
    {
        var all = new Recipe
        {
            Mixup = 0.2,
            CutMix = 1,
            Augmentation = new AugmentationOptions(Cutout: 8),
        };
        var counts = Enumerable.Range(0, 3000).CountBy(i => BatchMixing.Choose(all, 1, 1, i)).ToDictionary();
        Assert.Equal(3, counts.Count);
        Assert.All(counts, pair => Assert.InRange(pair.Value, 870, 1130)); // 1000 +- 5 sqrt(3000 x 2 / 9)
        Assert.Equal(BatchMix.None, BatchMixing.Choose(new Recipe(), 1, 1, 1));
        Assert.Equal(BatchMix.CutMix, BatchMixing.Choose(new Recipe { CutMix = 1 }, 1, 1, 1));
        Assert.Equal(BatchMixing.Choose(all, 4, 2, 7), BatchMixing.Choose(all, 4, 2, 7));
    }

    [Fact]
    public void Cutout_blackens_one_square_of_the_side_asked_for()
    {
        var planes = Enumerable.Repeat((byte)9, 3 * 16 * 16).ToArray();
        var areas = new HashSet<int>();
        for (var i = 0; i < 400; i++)
        {
            var target = new float[planes.Length];
            var draw = new Draw(7, i);
            Augmentation.Apply(planes, 16, 16, AugmentationOptions.None with { Cutout = 6 }, ref draw, target);
            var black = Enumerable.Range(0, 256).Where(p => target[3 * p] == 0).ToArray();
            Assert.All(black, p => Assert.Equal((0f, 0f), (target[(3 * p) + 1], target[(3 * p) + 2])));
            Assert.Equal(
                black.Length,
                black.Select(p => p / 16).Distinct().Count() * black.Select(p => p % 16).Distinct().Count()
            );
            areas.Add(black.Length);
        }

        Assert.Equal(36, areas.Max());
        Assert.Equal(9, areas.Min()); // cut at a corner: 3 of 6 in each direction
    }

    [Fact]
    public void Rotation_by_nothing_changes_nothing_and_a_turn_keeps_the_centre_and_a_disc()
    {
        // A picture that depends on the distance from the centre alone is the same after any turn, up to
        // interpolation.
        var planes = new byte[3 * 15 * 15];
        for (var i = 0; i < planes.Length; i++)
        {
            int y = i / 15 % 15,
                x = i % 15;
            planes[i] = (byte)(200 - (2 * (((y - 7) * (y - 7)) + ((x - 7) * (x - 7)))));
        }

        var turned = new float[planes.Length];
        var changed = false;
        for (var i = 0; i < 50; i++)
        {
            var draw = new Draw(8, i);
            Augmentation.Apply(planes, 15, 15, AugmentationOptions.None with { Rotation = 90 }, ref draw, turned);
            for (var y = 2; y < 13; y++)
            {
                for (var x = 2; x < 13; x++)
                {
                    if (((y - 7) * (y - 7)) + ((x - 7) * (x - 7)) > 25)
                        continue;
                    // The second difference of the picture is 4 in each direction: bilinear is off by at most an
                    // eighth of both.
                    Assert.InRange(turned[3 * ((y * 15) + x)] - planes[(y * 15) + x], -1.01f, 0.01f);
                }
            }

            changed |= turned[0] != planes[0];
        }

        Assert.True(changed);
        var same = new Draw(1);
        var plain = new float[planes.Length];
        Augmentation.Apply(planes, 15, 15, AugmentationOptions.None with { Rotation = 1e-9 }, ref same, plain);
        for (var p = 0; p < 225; p++)
            Assert.Equal(planes[p], plain[3 * p], 3);
    }

    [Fact]
    public void A_zoom_shows_a_part_of_the_picture_of_the_share_and_shape_that_were_drawn()
    {
        // Red rises by 4 a column and green by 4 a row: what is shown tells where it comes from.
        const int side = 60;
        var planes = new byte[3 * side * side];
        for (var p = 0; p < side * side; p++)
            (planes[p], planes[(side * side) + p]) = ((byte)(4 * (p % side)), (byte)(4 * (p / side)));
        List<double> areas = [],
            ratios = [],
            lefts = [];
        for (var i = 0; i < 500; i++)
        {
            var draw = new Draw(6, i);
            var target = new float[planes.Length];
            Augmentation.Apply(planes, side, side, AugmentationOptions.None with { Zoom = 0.25 }, ref draw, target);
            // Between two inner places, which no edge has held back.
            double At(int row, int column, int channel) => target[(3 * ((row * side) + column)) + channel] / 4;
            double across = (At(30, 50, 0) - At(30, 10, 0)) / 40,
                down = (At(50, 30, 1) - At(10, 30, 1)) / 40;
            areas.Add(across * down);
            ratios.Add(across / down);
            lefts.Add(At(30, 10, 0) - (10 * across));
            // Bilinear interpolation is a straight line between pixels, with the rounding of a byte on both sides.
            Assert.Equal(At(30, 10, 0) + (20 * across), At(30, 30, 0), 0.26);
            Assert.All(target, value => Assert.InRange(value, 0, 4 * (side - 1)));
        }

        // A byte's rounding is a quarter of a pixel, over 40 of them.
        const double rounding = 0.02;
        Assert.InRange(areas.Min(), 0.25 - rounding, 0.35);
        Assert.InRange(areas.Max(), 0.85, 1 + rounding);
        Assert.InRange(areas.Average(), 0.55, 0.65);
        Assert.InRange(ratios.Min(), 0.75 - (2 * rounding), 0.85);
        Assert.InRange(ratios.Max(), 1.2, (4.0 / 3) + (2 * rounding));
        Assert.InRange(lefts.Min(), -1, 1);
        Assert.InRange(lefts.Max(), 15, 30);
    }

    [Fact]
    public void A_zoom_of_all_changes_and_draws_nothing()
    {
        var planes = TestPicture(12);
        float[] plain = new float[planes.Length],
            whole = new float[planes.Length];
        var draw = new Draw(3);
        var untouched = draw;
        Augmentation.Apply(planes, 12, 12, AugmentationOptions.None, ref draw, plain);
        Augmentation.Apply(planes, 12, 12, AugmentationOptions.None with { Zoom = 1 }, ref draw, whole);
        Assert.Equal(plain, whole);
        // What was drawn before there was a zoom is drawn still.
        Assert.Equal(untouched.Next(), draw.Next());

        static byte[] TestPicture(int side) =>
            [.. Enumerable.Range(0, 3 * side * side).Select(p => (byte)((p * 37) % 256))];
    }

    [Fact]
    public void Rotation_turns_a_mark_to_where_the_angle_says()
    {
        // A white pixel right of the centre, turned by up to 90 degrees: its weight stays near a circle around the
        // centre.
        var planes = new byte[3 * 21 * 21];
        for (var c = 0; c < 3; c++)
            planes[(c * 441) + (10 * 21) + 16] = 255;
        var angles = new List<double>();
        for (var i = 0; i < 200; i++)
        {
            var target = new float[planes.Length];
            var draw = new Draw(2, i);
            Augmentation.Apply(planes, 21, 21, AugmentationOptions.None with { Rotation = 90 }, ref draw, target);
            double weight = 0,
                mx = 0,
                my = 0;
            for (var p = 0; p < 441; p++)
                (weight, mx, my) = (
                    weight + target[3 * p],
                    mx + (target[3 * p] * ((p % 21) - 10)),
                    my + (target[3 * p] * ((p / 21) - 10))
                );
            Assert.InRange(Math.Sqrt((mx * mx) + (my * my)) / weight, 5.4, 6.6);
            angles.Add(Math.Atan2(my, mx) * 180 / Math.PI);
        }

        Assert.InRange(angles.Min(), -92, -70);
        Assert.InRange(angles.Max(), 70, 92);
    }
}
