using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;
using TorchSharp;

namespace TorchBridge.Training.Tests;

/// <summary>A run that was stopped and continued ends with the same bits as one that was not stopped.</summary>
public class ResumeTests
{
    internal static readonly PictureData Pictures = DrawnPictures.Make(3, 96, 32, 32);

    internal static ModelSettings Settings(Recipe recipe) =>
        new(
            new NetworkOptions
            {
                Channels = 8,
                Dropout = 0.3,
                StochasticDepth = 0.2,
            },
            recipe,
            ComputeOptions.Default,
            5,
            DataSource.Drawn,
            [96, 32, 32],
            Pictures.ClassNames,
            ChannelStatistics.Of(Pictures.Training)
        );

    public static TheoryData<string> Recipes => ["lesson", "everything", "head", "all", "muon"];

    internal static Recipe Named(string name) =>
        name == "lesson" ? new Recipe { Epochs = 4, BatchSize = 32 }
        : name is "head" or "all"
            ? new Recipe
            {
                Epochs = 4,
                BatchSize = 32,
                WeightAverage = 0.9,
                Tuning = new TuningOptions(
                    name == "head" ? TuneKind.Head : TuneKind.All,
                    Views: 2,
                    HeadEpochs: 3,
                    LayerDecay: 0.5,
                    FreezeNorms: true
                ),
            }
        : name == "muon"
            ? new Recipe
            {
                Epochs = 4,
                BatchSize = 32,
                Optimizer = OptimizerKind.Muon,
                LearningRate = 0.1,
                RestLearningRate = 0.5,
                NormBiasRate = 64,
                WeightDecay = 0.01,
                DecoupledDecay = true,
                DecayNormsAndBiases = false,
                Schedule = ScheduleKind.OneCycle,
                WarmUpEpochs = 1,
                EndRate = 0.07,
                WeightAverage = 0.9,
                GradientClipping = 0,
                WhiteningEpochs = 1,
                Window = 24,
                WindowEpochs = 1,
                Augmentation = new AugmentationOptions(2, FlipKind.Alternating, 0, Fill: FillKind.Reflect),
            }
        : new Recipe
        {
            Epochs = 4,
            BatchSize = 32,
            Optimizer = OptimizerKind.Sgd,
            LearningRate = 0.05,
            Schedule = ScheduleKind.OneCycle,
            WarmUpEpochs = 1.5,
            Mixup = 0.4,
            CutMix = 1,
            WeightAverage = 0.9,
            Augmentation = new AugmentationOptions(
                Flip: FlipKind.Alternating,
                Rotation: 10,
                Cutout: 6,
                Fill: FillKind.Reflect
            ),
        };

    [Theory]
    [MemberData(nameof(Recipes))]
    public void A_resumed_run_ends_with_the_same_bits(string recipeName)
    {
        using var folder = new TempFolder();
        var settings = Settings(Named(recipeName));
        if (recipeName == "muon")
            settings = settings with
            {
                Network = settings.Network with { Form = BlockForm.Pooled, SecondChannels = 16, ThirdChannels = 16 },
                Compute = settings.Compute with { Precision = Precision.Bfloat16 },
            };
        var whole = Train(settings, folder["whole"], null, stopAfter: int.MaxValue, out var history);
        _ = Train(settings, folder["parts"], null, stopAfter: 2, out _);
        // The random state must come from the file.
        torch.random.manual_seed(999);
        using var checkpoint = Checkpoint.Read(folder["parts"]);
        Assert.Equal(2, checkpoint.Epochs);
        var parts = Train(
            checkpoint.Settings,
            folder["parts"],
            checkpoint,
            stopAfter: int.MaxValue,
            out var resumedHistory
        );
        Assert.Equal(whole, parts);
        Assert.Equal(history.Select(Numbers), resumedHistory.Select(Numbers));

        static object Numbers(EpochRecord record) =>
            record with
            {
                ImagesPerSecond = 0,
                Seconds = 0,
                ResidentMegabytes = 0,
            };
    }

    [Fact]
    public void Another_seed_ends_elsewhere()
    {
        using var folder = new TempFolder();
        var settings = Settings(Named("lesson") with { Epochs = 1 });
        Assert.NotEqual(
            Train(settings, folder["a"], null, int.MaxValue, out _),
            Train(settings with { Seed = 6 }, folder["b"], null, int.MaxValue, out _)
        );
    }

    [Fact]
    public void Patience_keeps_the_best_epochs_weights_and_none_keeps_the_last_ones()
    {
        // Validation pictures with wrong labels: what is learned makes their loss rise, so the best epoch is not the
        // last.
        var data = Pictures with
        {
            Validation = Pictures.Training with
            {
                Labels = [.. Pictures.Training.Labels.Select(label => (label + 1) % 10)],
            },
        };
        var settings = Settings(
            new Recipe
            {
                Epochs = 5,
                BatchSize = 32,
                LearningRate = 0.01,
                Schedule = ScheduleKind.Constant,
                Patience = 100,
            }
        );
        var (bestHash, best, hashes) = Run(settings);
        var lowest = best.History.MinBy(record => record.ValidationLoss)!.Epoch;
        Assert.NotEqual(5, lowest);
        Assert.Equal((lowest, hashes[lowest - 1]), (best.BestEpoch, bestHash));
        var (lastHash, last, again) = Run(settings with { Recipe = settings.Recipe with { Patience = 0 } });
        Assert.Equal(hashes, again);
        Assert.Equal((5, hashes[4]), (last.BestEpoch, lastHash));

        (string Hash, TrainingResult Result, List<string> EpochHashes) Run(ModelSettings settings)
        {
            using var model = new TrainedModel(settings);
            var watch = new HashEachEpoch(model);
            var result = new Trainer(model, watch).Train(data, null, TestContext.Current.CancellationToken);
            return (WeightHash.Of(model.Network), result, watch.Hashes);
        }
    }

    [Fact]
    public void A_broken_checkpoint_is_refused_by_name()
    {
        using var folder = new TempFolder();
        var path = folder["run.checkpoint.safetensors"];
        Assert.Contains(
            "no unfinished run",
            Assert.Throws<UserException>(() => Checkpoint.Read(path)).Message,
            StringComparison.Ordinal
        );
        _ = Train(Settings(Named("lesson") with { Epochs = 1 }), path, null, int.MaxValue, out _);
        var bytes = File.ReadAllBytes(path);
        File.WriteAllBytes(path, bytes[..(bytes.Length / 2)]);
        Assert.Contains(
            path,
            Assert.Throws<UserException>(() => Checkpoint.Read(path)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void A_diverging_run_says_so_and_keeps_its_checkpoint()
    {
        using var folder = new TempFolder();
        var path = folder["run"];
        var settings = Settings(new Recipe { Epochs = 2, BatchSize = 32 });
        _ = Train(settings, path, null, 1, out _);
        var before = File.ReadAllBytes(path);
        using var checkpoint = Checkpoint.Read(path);
        using var model = new TrainedModel(
            settings with
            {
                Recipe = settings.Recipe with { LearningRate = double.NaN },
            }
        );
        var error = Assert.Throws<TrainingDivergedException>(() =>
            new Trainer(model, new StopAfter(int.MaxValue, new CancellationTokenSource()), path).Train(
                Pictures,
                checkpoint,
                TestContext.Current.CancellationToken
            )
        );
        Assert.Contains("epoch 2", error.Message, StringComparison.Ordinal);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(path));
    }

    [Fact]
    public void Where_the_checkpoint_cannot_be_written_the_old_one_stays()
    {
        using var folder = new TempFolder();
        var settings = Settings(new Recipe { Epochs = 1, BatchSize = 32 });
        // A folder of that name makes the rename fail, as a full disk makes writing fail.
        Directory.CreateDirectory(folder["run"]);
        File.WriteAllText(folder["run", "old"], "old");
        var error = Assert.Throws<UserException>(() => Train(settings, folder["run"], null, int.MaxValue, out _));
        Assert.Contains("cannot be written", error.Message, StringComparison.Ordinal);
        Assert.Equal([Path.Combine("run", "old")], folder.Files);
    }

    /// <summary>Trains and returns the bytes of the final weights, with their settings left out.</summary>
    internal static string Train(
        ModelSettings settings,
        string checkpointPath,
        Checkpoint? resumed,
        int stopAfter,
        out IReadOnlyList<EpochRecord> history
    )
    {
        using var stop = new CancellationTokenSource();
        using var model = new TrainedModel(settings);
        var result = new Trainer(model, new StopAfter(stopAfter, stop), checkpointPath).Train(
            Pictures,
            resumed,
            stop.Token
        );
        history = result.History;
        return WeightHash.Of(model.Network);
    }

    private sealed class HashEachEpoch(TrainedModel model) : ITrainingObserver
    {
        public List<string> Hashes { get; } = [];

        public void Step(
            int epoch,
            long step,
            long stepsInEpoch,
            double loss,
            double learningRate,
            double imagesPerSecond
        ) { }

        public void Epoch(EpochRecord record, bool isBest) => Hashes.Add(WeightHash.Of(model.Network));
    }

    private sealed class StopAfter(int epochs, CancellationTokenSource stop) : ITrainingObserver
    {
        public void Step(
            int epoch,
            long step,
            long stepsInEpoch,
            double loss,
            double learningRate,
            double imagesPerSecond
        ) { }

        public void Epoch(EpochRecord record, bool isBest)
        {
            if (record.Epoch >= epochs)
                stop.Cancel();
        }
    }
}
