using TorchBridge.Testing;
using TorchBridge.Training;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Pipeline.Tests;

public class ModelPackagerTests
{
    [Fact]
    public void Where_the_proof_fails_no_file_is_left_behind()
    {
        using var folder = new TempFolder();
        var data = DataSource.Load(DataSource.Drawn, 32, 1, (100, 20, 20));
        using var model = new TrainedModel(
            new ModelSettings(
                new NetworkOptions { Channels = 8 },
                new Recipe(),
                ComputeOptions.Default,
                1,
                DataSource.Drawn,
                [100, 20, 20],
                data.Data.ClassNames,
                ChannelStatistics.Of(data.Data.Training)
            )
        );
        var stop = TestContext.Current.CancellationToken;
        var right = Evaluation.Of(model.Classifier, data.Data.Test, stop);
        var wrong = right with
        {
            Logits =
            [
                .. right.Logits.Select((logit, i) => i == 57 ? logit + (0.01f * right.Logits.Max(Math.Abs)) : logit),
            ],
        };

        var error = Assert.Throws<UserException>(() =>
            ModelPackager.Package(model, new ModelFolder(folder.Path), data, wrong, stop: stop)
        );

        Assert.Contains("and was deleted", error.Message, StringComparison.Ordinal);
        Assert.Empty(folder.Files);
        Assert.Throws<OperationCanceledException>(() =>
            ModelPackager.Package(model, new ModelFolder(folder.Path), data, right, stop: new CancellationToken(true))
        );
        Assert.Empty(folder.Files);
        Assert.True(ModelPackager.Package(model, new ModelFolder(folder.Path), data, right, stop: stop).Passed);
        Assert.Equal(["modern-cnn.onnx", "modern-cnn.zip"], folder.Files);
    }
}
