using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests;

/// <summary>Tensors are native memory, which the garbage collector does not manage.</summary>
public class MemoryTests
{
    [Fact]
    public void Two_thousand_steps_leave_no_tensor_behind()
    {
        const int epochs = 4,
            steps = 500;
        var pixels = new byte[steps * 4 * 3 * 8 * 8];
        new Random(1).NextBytes(pixels);
        var set = new PictureSet(pixels, [.. Enumerable.Range(0, steps * 4).Select(i => i % 3)], 8, 8);
        var few = set.Select([.. Enumerable.Range(0, 12)]);
        var data = new PictureData("noise", ["a", "b", "c"], set, few, few);
        var recipe = new Recipe
        {
            Epochs = epochs,
            BatchSize = 4,
            Mixup = 0.2,
            CutMix = 1,
            WeightAverage = 0.9,
            Patience = 100,
        };
        var network = new NetworkOptions
        {
            Classes = 3,
            Height = 8,
            Width = 8,
            Channels = 8,
            StochasticDepth = 0.1,
        };
        using var model = new TrainedModel(
            new ModelSettings(
                network,
                recipe,
                ComputeOptions.Default,
                1,
                "noise",
                null,
                data.ClassNames,
                ChannelStatistics.Of(set)
            )
        );
        var counter = new TensorCounter();
        new Trainer(model, counter).Train(data, stop: TestContext.Current.CancellationToken);
        Assert.Equal(epochs * steps, counter.Steps);
        Assert.Equal(epochs, counter.AfterEpoch.Count);
        Assert.All(counter.AfterEpoch.Skip(1), count => Assert.Equal(counter.AfterEpoch[0], count));
    }

    private sealed class TensorCounter : ITrainingObserver
    {
        public List<long> AfterEpoch { get; } = [];

        public int Steps { get; private set; }

        public void Step(
            int epoch,
            long step,
            long stepsInEpoch,
            double loss,
            double learningRate,
            double imagesPerSecond
        ) => Steps++;

        public void Epoch(EpochRecord record, bool isBest)
        {
            // Tensors that only wait for their finalizers are not leaks.
            GC.Collect();
            GC.WaitForPendingFinalizers();
            AfterEpoch.Add(Tensor.TotalCount);
        }
    }
}
