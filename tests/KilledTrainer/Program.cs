// Trains a tiny network, continuing from a checkpoint if there is one, and kills itself (SIGKILL) at a given place:
//   KilledTrainer CHECKPOINT step N      after the N-th step of this process
//   KilledTrainer CHECKPOINT rename N    when this process's N-th checkpoint is written but not yet renamed
//   KilledTrainer CHECKPOINT never
// Prints a hash of the final weights.
using System.Diagnostics;
using System.Globalization;
using TorchBridge.Onnx.Files;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Tests;
using TorchSharp;

var (path, kind, count) = (args[0], args[1], args.Length > 2 ? int.Parse(args[2], CultureInfo.InvariantCulture) : 0);
torch.set_num_threads(1);
var data = DrawnPictures.Make(2, 96, 32, 16);
var settings = new ModelSettings(
    new NetworkOptions { Channels = 8, Dropout = 0.4 },
    new Recipe
    {
        Epochs = 6,
        BatchSize = 32,
        WeightAverage = 0.9,
        Mixup = 0.3,
    },
    ComputeOptions.Default,
    7,
    DataSource.Drawn,
    [96, 32, 16],
    data.ClassNames,
    ChannelStatistics.Of(data.Training)
);
using var checkpoint = File.Exists(path) ? Checkpoint.Read(path) : null;
using var model = new TrainedModel(checkpoint?.Settings ?? settings);
if (kind == "rename")
{
    AtomicFile.BeforeRename = _ =>
    {
        if (--count == 0)
            Death.Die();
    };
}

new Trainer(model, new Killer(kind == "step" ? count : int.MaxValue), path).Train(data, checkpoint);
Console.WriteLine(WeightHash.Of(model.Network));

internal static class Death
{
    public static void Die()
    {
        using var self = Process.GetCurrentProcess();
        self.Kill();
        Thread.Sleep(Timeout.Infinite); // waits for the signal
    }
}

internal sealed class Killer(int steps) : ITrainingObserver
{
    private int left = steps;

    public void Step(int epoch, long step, long stepsInEpoch, double loss, double learningRate, double imagesPerSecond)
    {
        if (--left == 0)
            Death.Die();
    }

    public void Epoch(EpochRecord record, bool isBest) { }
}
