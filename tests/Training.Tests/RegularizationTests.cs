using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests;

public class RegularizationTests
{
    [Theory]
    [InlineData("ls_0p0", 0.0)]
    [InlineData("ls_0p1", 0.1)]
    [InlineData("ls_0p1_extreme", 0.1)]
    [InlineData("ls_0p2_7classes", 0.2)]
    public void Label_smoothing_and_its_gradient_are_PyTorchs(string name, double smoothing)
    {
        var golden = GoldenCase.Find(name);
        Assert.SkipWhen(golden is null, "../shared/golden is not there");
        using var scope = NewDisposeScope();
        var input = golden.Input("logits");
        var logits = tensor(input.Floats!).reshape(input.Shape).requires_grad_();
        var loss = SoftTargets.CrossEntropy(
            logits,
            SoftTargets.Smooth(tensor(golden.Input("target").Integers!), (int)input.Shape[1], smoothing)
        );
        golden.Check("loss_torch", loss.detach().data<float>().ToArray());
        loss.backward();
        golden.Check("grad_logits_torch", logits.grad!.data<float>().ToArray());
    }

    [Fact]
    public void Label_smoothing_follows_the_formula_not_the_lessons_example()
    {
        using var scope = NewDisposeScope();
        var smooth = SoftTargets.Smooth(tensor(new long[] { 1 }), 3, 0.1).data<float>().ToArray();
        Close.To(
            [0.1f / 3, 0.9f + (0.1f / 3), 0.1f / 3],
            smooth,
            1e-7,
            0,
            "the formula in float32, to a unit in the last place"
        );
    }

    [Fact]
    public void Cosine_decay_starts_at_the_peak_halves_in_the_middle_and_ends_near_zero()
    {
        Assert.Equal(0.001, LearningRateSchedule.At(ScheduleKind.Cosine, 0.001, 0, 20));
        Assert.Equal(0.0005, LearningRateSchedule.At(ScheduleKind.Cosine, 0.001, 10, 20), 12);
        Assert.Equal(0.0009938441702975688, LearningRateSchedule.At(ScheduleKind.Cosine, 0.001, 1, 20), 15);
        Assert.InRange(LearningRateSchedule.At(ScheduleKind.Cosine, 0.001, 19, 20), 0, 1e-5);
    }

    [Fact]
    public void Early_stopping_counts_epochs_without_improvement_and_NaN_is_none()
    {
        var stopping = new EarlyStopping(2);
        Assert.True(stopping.Improved(1.0));
        Assert.False(stopping.Improved(double.NaN));
        Assert.True(stopping.Improved(0.5));
        Assert.False(stopping.Improved(0.5));
        Assert.False(stopping.ShouldStop);
        Assert.False(stopping.Improved(0.6));
        Assert.True(stopping.ShouldStop);
    }

    [Fact]
    public void Without_options_augmentation_changes_nothing_but_the_order()
    {
        var planes = Enumerable.Range(0, 3 * 4 * 5).Select(i => (byte)(i * 4)).ToArray();
        var target = new float[planes.Length];
        var draw = new Draw(1);
        Augmentation.Apply(planes, 4, 5, AugmentationOptions.None, ref draw, target);
        for (var i = 0; i < 20; i++)
        {
            for (var c = 0; c < 3; c++)
                Assert.Equal(planes[(c * 20) + i], target[(3 * i) + c]);
        }
    }

    [Fact]
    public void Random_crop_shifts_by_up_to_the_padding_and_fills_with_black()
    {
        var planes = Enumerable.Repeat((byte)200, 3 * 8 * 8).ToArray();
        var seen = new HashSet<(int, int)>();
        for (var i = 0; i < 500; i++)
        {
            var draw = new Draw(3, i);
            var target = new float[planes.Length];
            Augmentation.Apply(planes, 8, 8, new AugmentationOptions(2, FlipKind.None, 0), ref draw, target);
            Assert.All(target, value => Assert.True(value is 0 or 200));
            var columns = Enumerable
                .Range(0, 8)
                .Count(x => Enumerable.Range(0, 8).All(y => target[3 * ((y * 8) + x)] == 0));
            var rows = Enumerable
                .Range(0, 8)
                .Count(y => Enumerable.Range(0, 8).All(x => target[3 * ((y * 8) + x)] == 0));
            seen.Add((columns, rows));
        }

        Assert.Equal(9, seen.Count); // 0, 1 or 2 columns by 0, 1 or 2 rows
    }

    [Fact]
    public void Flip_mirrors_half_of_the_pictures()
    {
        var planes = Enumerable.Range(0, 3 * 6 * 6).Select(i => (byte)i).ToArray();
        var flipped = 0;
        for (var i = 0; i < 1000; i++)
        {
            var draw = new Draw(4, i);
            var target = new float[planes.Length];
            Augmentation.Apply(planes, 6, 6, new AugmentationOptions(0, FlipKind.Random, 0), ref draw, target);
            Assert.True(target[0] is 0 or 5);
            if (target[0] == 5)
                flipped++;
        }

        Assert.InRange(flipped, 421, 579); // 5 standard deviations of a fair coin
    }

    [Fact]
    public void Alternating_flips_show_every_picture_both_ways_in_two_epochs()
    {
        // Noise: no picture is its own mirror image.
        const int count = 250;
        var noise = new Random(1);
        var set = new PictureSet(new byte[count * 3 * 64], new int[count], 8, 8);
        noise.NextBytes(set.Pixels);
        var (odd, even) = (Flipped(1), Flipped(2));
        Assert.Equal(count, odd.Count);
        Assert.All(odd, pair => Assert.NotEqual(pair.Value, even[pair.Key]));
        Assert.Equal(odd, Flipped(3));
        Assert.InRange(odd.Count(pair => pair.Value), 125 - 40, 125 + 40); // 5 standard deviations of a fair coin

        Dictionary<int, bool> Flipped(int epoch)
        {
            using var scope = NewDisposeScope();
            var recipe = new Recipe
            {
                BatchSize = count,
                Augmentation = AugmentationOptions.None with { Flip = FlipKind.Alternating },
            };
            var order = new Draw(7, 11, epoch).Permutation(count);
            var pixels = BatchLoader
                .Training(set, recipe, 7, epoch)
                .Single()
                .Pixels.contiguous()
                .data<float>()
                .ToArray();
            return order
                .Select((index, at) => (index, at))
                .ToDictionary(
                    pair => pair.index,
                    pair =>
                    {
                        var found = pixels.AsSpan(pair.at * set.Stride, set.Stride);
                        var straight = set.Picture(pair.index).ToArray();
                        if (found.SequenceEqual([.. straight.Select(value => (float)value)]))
                            return false;
                        Assert.True(
                            found.SequenceEqual([
                                .. straight.Chunk(8).SelectMany(row => row.Reverse()).Select(value => (float)value),
                            ]),
                            "straight or mirrored, and nothing else"
                        );
                        return true;
                    }
                );
        }
    }

    [Theory]
    [InlineData(6, 7, 3)]
    [InlineData(4, 9, 1)]
    public void A_crop_with_a_mirrored_fill_is_a_window_of_PyTorchs_reflection_pad(int height, int width, int padding)
    {
        using var scope = NewDisposeScope();
        var planes = new byte[3 * height * width];
        new Random(2).NextBytes(planes);
        var padded = nn.functional.pad(
            tensor(planes.Select(value => (float)value).ToArray()).view(1, 3, height, width),
            [padding, padding, padding, padding],
            PaddingModes.Reflect
        )[0];
        var seen = new HashSet<(int, int)>();
        for (var i = 0; i < 600; i++)
        {
            var draw = new Draw(5, i);
            var target = new float[planes.Length];
            Augmentation.Apply(
                planes,
                height,
                width,
                new AugmentationOptions(padding, FlipKind.None, 0, Fill: FillKind.Reflect),
                ref draw,
                target
            );
            var crop = tensor(target).view(height, width, 3).permute(2, 0, 1);
            var places = (
                from top in Enumerable.Range(0, (2 * padding) + 1)
                from left in Enumerable.Range(0, (2 * padding) + 1)
                where padded[TensorIndex.Colon, top..(top + height), left..(left + width)].equal(crop).all().ToBoolean()
                select (top, left)
            ).ToArray();
            seen.Add(Assert.Single(places));
        }

        Assert.Equal(((2 * padding) + 1) * ((2 * padding) + 1), seen.Count);
    }

    [Fact]
    public void A_mirrored_fill_leaves_no_black_in_a_turned_picture()
    {
        var planes = Enumerable.Repeat((byte)200, 3 * 9 * 9).ToArray();
        // The weights of four pixels sum to one, up to float32's rounding of the distances.
        Assert.All(Turned(FillKind.Reflect), value => Assert.Equal(200, value, 1e-3f));
        Assert.Contains(0, Turned(FillKind.Black));

        IEnumerable<float> Turned(FillKind fill) =>
            Enumerable
                .Range(0, 50)
                .SelectMany(i =>
                {
                    var target = new float[planes.Length];
                    var draw = new Draw(8, i);
                    Augmentation.Apply(
                        planes,
                        9,
                        9,
                        new AugmentationOptions(12, FlipKind.Random, 0, 45, Fill: fill),
                        ref draw,
                        target
                    );
                    return target;
                });
    }

    [Fact]
    public void Colour_jitter_keeps_grey_grey_and_stays_in_range()
    {
        var planes = Enumerable.Range(0, 3 * 16).Select(i => (byte)(i % 16 * 17)).ToArray();
        var target = new float[planes.Length];
        var means = new List<double>();
        for (var i = 0; i < 200; i++)
        {
            var draw = new Draw(6, i);
            Augmentation.Apply(planes, 4, 4, new AugmentationOptions(0, FlipKind.None, 0.4), ref draw, target);
            for (var p = 0; p < target.Length; p += 3)
            {
                Assert.InRange(target[p], 0, 255);
                Assert.Equal(target[p], target[p + 1], 3);
                Assert.Equal(target[p], target[p + 2], 3);
            }

            means.Add(target.Average());
        }

        Assert.InRange(means.Max() / means.Min(), 1.5, 3); // brightness alone spans 0.6 to 1.4, less what is cut at 255
    }
}
