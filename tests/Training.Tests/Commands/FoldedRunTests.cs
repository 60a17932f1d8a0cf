using Spectre.Console;
using TorchBridge.Training.Commands;
using TorchBridge.Training.Data;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Tests.Commands;

/// <summary>Cross-validation evaluates every picture once, with a network that was not trained on it.</summary>
public class FoldedRunTests
{
    private const int Folds = 3;

    [Fact]
    public void Every_picture_is_judged_once_and_the_test_part_is_left_alone()
    {
        // Whoever looks at a test part that is not there fails.
        var data = ResumeTests.Pictures with { Test = null! };
        var results = Run(data, Folds);
        Assert.Equal([1, 2, 3], results.Select(result => result.Fold));
        Assert.Equal(data.Training.Count + data.Validation.Count, results.Sum(result => result.Count));
        Assert.InRange(results.Max(result => result.Count) - results.Min(result => result.Count), 0, 1);
        Assert.All(results, result =>
        {
            Assert.InRange(result.Accuracy, 0, 1);
            Assert.True(double.IsFinite(result.Loss) && result.Loss > 0);
        });
        Assert.Equal(results, Run(data, Folds));
        Assert.NotEqual(results, Run(data, Folds, seed: 6));
    }

    [Fact]
    public void A_network_is_never_judged_by_what_it_was_trained_on()
    {
        // Pictures that say nothing of their class: what is right by more than luck was seen before.
        var set = ResumeTests.Pictures.Training;
        var pixels = new byte[2 * 60 * set.Stride];
        new Random(1).NextBytes(pixels);
        var noise = new PictureSet(
            pixels,
            [.. Enumerable.Range(0, 120).Select(i => new Draw(9, i).Below(2))],
            set.Height,
            set.Width
        );
        var data = ResumeTests.Pictures with
        {
            Training = noise.Select([.. Enumerable.Range(0, 100)]),
            Validation = noise.Select([.. Enumerable.Range(100, 20)]),
        };
        var results = Run(data, Folds, epochs: 25);
        // 40 coins a fold: above 32 heads once in 20,000 times.
        Assert.All(results, result => Assert.InRange(result.Accuracy, 0.2, 0.8));
    }

    [Fact]
    public void A_class_of_fewer_pictures_than_folds_is_refused()
    {
        var error = Assert.Throws<UserException>(() => Run(ResumeTests.Pictures, 100));
        Assert.Contains("--folds is 100, but the smallest class has only ", error.Message);
    }

    [Fact]
    public void It_can_be_stopped()
    {
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() =>
            FoldedRun.Of(Silent(), ResumeTests.Settings(new Recipe()), ResumeTests.Pictures, 2, stop.Token)
        );
    }

    private static IReadOnlyList<FoldResult> Run(PictureData data, int folds, int seed = 5, int epochs = 1) =>
        FoldedRun.Of(
            Silent(),
            ResumeTests.Settings(new Recipe { Epochs = epochs, BatchSize = 16 }) with
            {
                Seed = seed,
            },
            data,
            folds,
            TestContext.Current.CancellationToken
        );

    private static IAnsiConsole Silent() =>
        AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(TextWriter.Null) });
}
