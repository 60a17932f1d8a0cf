using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Estimators;

/// <summary>Says into an ML.NET log how far training is.</summary>
internal sealed class LogObserver(MLContext? context) : ITrainingObserver
{
    private const string Source = "TuneImages";

    /// <summary>Says nothing: a log with a line a step would be long.</summary>
    public void Step(
        int epoch,
        long step,
        long stepsInEpoch,
        double loss,
        double learningRate,
        double imagesPerSecond
    ) { }

    /// <summary>A line an epoch: losses, accuracies, and whether it is the best so far.</summary>
    /// <param name="record">The epoch's figures.</param>
    /// <param name="isBest">Whether its weights are kept.</param>
    public void Epoch(EpochRecord record, bool isBest) =>
        Note(
            string.Create(
                CultureInfo.InvariantCulture,
                $"epoch {record.Epoch}: loss {record.TrainingLoss:F4} / {record.ValidationLoss:F4}, "
                    + $"accuracy {record.TrainingAccuracy:P1} / {record.ValidationAccuracy:P1}"
            )
        );

    /// <summary>A line for each view of the pictures that the backbone has seen.</summary>
    public void Features(int view, int views, int done, int count)
    {
        if (done == count)
            Note(FormattableString.Invariant($"features, view {view + 1} of {views}: {done} pictures"));
    }

    /// <summary>A sentence for people.</summary>
    /// <param name="text">The sentence.</param>
    public void Note(string text)
    {
        if (context is null)
            return;
        using var channel = ((IChannelProvider)context).Start(Source);
        channel.Info(
            MessageSensitivity.None,
            text.Replace("{", "{{", StringComparison.Ordinal).Replace("}", "}}", StringComparison.Ordinal)
        );
    }
}
