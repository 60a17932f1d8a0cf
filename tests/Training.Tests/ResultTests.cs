using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Recipes;
using TorchSharp;

namespace TorchBridge.Training.Tests;

/// <summary>Meaningless results (numbers that are not finite, for instance) are refused.</summary>
public class ResultTests
{
    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Running_statistics_that_are_no_numbers_end_the_run_as_a_diverging_loss_does(float value)
    {
        using var folder = new TempFolder();
        var settings = ResumeTests.Settings(new Recipe { Epochs = 3, BatchSize = 32 });
        using var model = new TrainedModel(settings);
        // In training mode nothing reads them: only validation does.
        var watch = new Spoiler(model, 2, value);
        var error = Assert.Throws<TrainingDivergedException>(() =>
            new Trainer(model, watch, folder["run"]).Train(
                ResumeTests.Pictures,
                stop: TestContext.Current.CancellationToken
            )
        );
        Assert.Contains("after epoch 2: training diverged", error.Message, StringComparison.Ordinal);
        Assert.Contains(folder["run"], error.Message, StringComparison.Ordinal);
        using var checkpoint = Checkpoint.Read(folder["run"]);
        Assert.Equal(1, checkpoint.Epochs);
    }

    [Fact]
    public void A_network_whose_outputs_are_no_numbers_is_not_packaged()
    {
        using var folder = new TempFolder();
        var settings = ResumeTests.Settings(new Recipe { Epochs = 1, BatchSize = 32 });
        using var model = new TrainedModel(settings);
        Spoiler.Spoil(model, float.NaN);
        var test = Evaluation.Of(model.Classifier, ResumeTests.Pictures.Test, TestContext.Current.CancellationToken);
        var error = Assert.Throws<UserException>(() =>
            ModelPackager.Package(
                model,
                new ModelFolder(folder.Path),
                new LoadedData(ResumeTests.Pictures, () => []),
                test,
                stop: TestContext.Current.CancellationToken
            )
        );
        Assert.Contains("not finite", error.Message, StringComparison.Ordinal);
        Assert.Empty(folder.Files);
    }

    [Theory]
    [InlineData(33, 16, new[] { 16, 17 })]
    [InlineData(34, 16, new[] { 16, 16, 2 })]
    [InlineData(32, 16, new[] { 16, 16 })]
    [InlineData(1, 16, new[] { 1 })]
    [InlineData(17, 16, new[] { 17 })]
    [InlineData(5, 2, new[] { 2, 3 })]
    [InlineData(0, 2, new int[0])]
    public void A_last_batch_of_one_joins_the_one_before(int count, int size, int[] expected)
    {
        int[] order = [.. Enumerable.Range(0, count)];
        Assert.Equal(expected, order.InBatches(size).Select(batch => batch.Length));
        Assert.Equal(order, order.InBatches(size).SelectMany(batch => batch));
        Assert.Equal(expected.Length, TrainingBatches.Count(count, size));
    }

    [Theory]
    [InlineData(8, 0)]
    [InlineData(32, 8)]
    public void A_remainder_of_one_on_maps_of_one_pixel_trains(int side, int window)
    {
        using var model = new TrainedModel(
            ResumeTests.Settings(
                new Recipe
                {
                    Epochs = 1,
                    BatchSize = 16,
                    Window = window,
                    WindowEpochs = 1,
                }
            ) with
            {
                Network = new NetworkOptions
                {
                    Channels = 16,
                    Height = side,
                    Width = side,
                },
            }
        );
        PictureSet Small(PictureSet set, int count) =>
            new([.. set.Pixels.Take(3 * side * side * count)], [.. set.Labels.Take(count)], side, side);
        var pictures = ResumeTests.Pictures;
        var data = pictures with
        {
            Training = Small(pictures.Training, 33),
            Validation = Small(pictures.Validation, 20),
            Test = Small(pictures.Test, 20),
        };
        var result = new Trainer(model, new SilentObserver()).Train(data, stop: TestContext.Current.CancellationToken);
        Assert.True(double.IsFinite(result.History.Single().ValidationLoss));
        Assert.Equal(1, result.BestEpoch);
    }

    private sealed class Spoiler(TrainedModel model, int epoch, float value) : ITrainingObserver
    {
        public static void Spoil(TrainedModel model, float value)
        {
            using var noGrad = torch.no_grad();
            using var scope = torch.NewDisposeScope();
            model
                .Network.state_dict()
                .First(pair => pair.Key.EndsWith("running_var", StringComparison.Ordinal))
                .Value.fill_(value);
        }

        public void Step(int at, long step, long stepsInEpoch, double loss, double learningRate, double imagesPerSecond)
        {
            if (at == epoch && step == stepsInEpoch)
                Spoil(model, value);
        }

        public void Epoch(EpochRecord record, bool isBest) { }
    }
}
