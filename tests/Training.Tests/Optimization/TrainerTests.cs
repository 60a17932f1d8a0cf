using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests.Optimization;

/// <summary>What training does to weights that came trained.</summary>
public class TrainerTests
{
    [Fact]
    public void A_dead_filter_of_the_pretrained_network_stays_dead_while_everything_is_tuned()
    {
        using var weights = PretrainedWeights.Open(PretrainedWeights.ImageNet);
        var pictures = DrawnPictures.Make(8, 32, 16, 10);
        var settings = new ModelSettings(
            weights.Shape(new NetworkOptions(), isKindAsked: false) with
            {
                Classes = pictures.ClassNames.Count,
            },
            new Recipe
            {
                Epochs = 4,
                BatchSize = 8,
                LearningRate = 0.0003,
                Schedule = ScheduleKind.Constant,
                Patience = 0,
                Tuning = new TuningOptions(TuneKind.All, Views: 1, HeadEpochs: 1, LayerDecay: 0.6, FreezeNorms: true),
            },
            ComputeOptions.Default,
            5,
            DataSource.Drawn,
            null,
            pictures.ClassNames,
            weights.Statistics
        )
        {
            Start = weights.Origin,
        };
        using var model = new TrainedModel(settings);
        _ = weights.LoadInto(model.Network, settings.ClassNames, null);
        var before = FirstMaps();
        _ = new Trainer(model, new SilentObserver()).Train(pictures, stop: TestContext.Current.CancellationToken);
        var after = FirstMaps();
        // One of the 64 filters says next to nothing of any picture, and another little: their weights are a hundred thousand
        // and some thousand times smaller than the others', and their norms multiply by a hundred times more.
        Assert.Contains(before, spread => spread < 0.02f);
        Assert.All(after.Zip(before), both => Assert.InRange(both.First, 0, (2 * both.Second) + 0.01f));
        Assert.NotEqual(before, after);

        // How far each of the first maps, behind its norm, spreads around its mean.
        float[] FirstMaps()
        {
            using var noGrad = no_grad();
            using var scope = NewDisposeScope();
            using var batch = BatchLoader.InOrder(pictures.Validation, 16).First();
            model.Network.eval();
            var named = model.Network.named_modules().ToDictionary(pair => pair.name, pair => pair.module);
            var mean = tensor(settings.Statistics.Mean.Select(value => (float)value * 255).ToArray()).view(1, 3, 1, 1);
            var maps = ((CastingConv2d)named["conv1"]).forward(batch.Pixels - mean);
            maps = ((TorchSharp.Modules.BatchNorm2d)named["bn1"]).forward(maps);
            return maps.std([0, 2, 3], unbiased: false).data<float>().ToArray();
        }
    }
}
