using TorchBridge.Training.Commands;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Tests;

public class TrainingHintsTests
{
    [Theory]
    [InlineData(221, 128, 16, 14)]
    [InlineData(60, 32, 8, 8)]
    [InlineData(1000, 256, 64, 16)]
    public void A_few_pictures_are_better_tuned_and_taken_in_small_batches(
        int pictures,
        int batch,
        int smaller,
        int steps
    )
    {
        var hints = TrainingHints.Of(Settings(batch), pictures).ToArray();
        Assert.Equal(2, hints.Length);
        Assert.Contains("`--recipe photos`", hints[0], StringComparison.Ordinal);
        Assert.EndsWith($"`--batch {smaller}` makes {steps}.", hints[1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(45_000, 512)]
    [InlineData(2000, 128)]
    public void Enough_pictures_need_no_advice(int pictures, int batch) =>
        Assert.Empty(TrainingHints.Of(Settings(batch), pictures));

    [Fact]
    public void A_network_that_starts_from_trained_weights_needs_few_pictures()
    {
        var settings = Settings(8) with { Start = new WeightsOrigin("imagenet", "") };
        Assert.Empty(TrainingHints.Of(settings, 221));
        var head = settings with
        {
            Recipe = new Recipe
            {
                BatchSize = 128,
                Tuning = new TuningOptions { What = TuneKind.Head },
            },
        };
        Assert.Empty(TrainingHints.Of(head, 221));
    }

    [Fact]
    public void Nothing_is_advised_where_no_smaller_batch_is_left() => Assert.Single(TrainingHints.Of(Settings(8), 20));

    private static ModelSettings Settings(int batch) =>
        new(
            new NetworkOptions(),
            new Recipe { BatchSize = batch },
            new ComputeOptions(Precision.Float32, 2, "cpu"),
            1,
            "photos",
            null,
            ["ant", "bee"],
            new ChannelStatistics([0.5f, 0.5f, 0.5f], [0.25f, 0.25f, 0.25f])
        );
}
