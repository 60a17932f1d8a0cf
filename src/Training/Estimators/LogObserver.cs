using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Estimators;

/// <summary>Writes the progress of training to an ML.NET log.</summary>
internal sealed class LogObserver(MLContext? context) : ITrainingObserver
{
    private const string Source = "TuneImages";

    /// <summary>Writes nothing, because one line per step would be too much.</summary>
    public void Step(
        int epoch,
        long step,
        long stepsInEpoch,
        double loss,
        double learningRate,
        double imagesPerSecond
    ) { }

    /// <summary>Writes one line per epoch: losses, accuracies, and whether it is the best so far.</summary>
    /// <param name="record">Results of the epoch.</param>
    /// <param name="isBest">Whether it is the best epoch so far, whose weights are kept.</param>
    public void Epoch(EpochRecord record, bool isBest) =>
        Note(
            string.Create(
                CultureInfo.InvariantCulture,
                $"epoch {record.Epoch}: loss {record.TrainingLoss:F4} / {record.ValidationLoss:F4}, "
                    + $"accuracy {record.TrainingAccuracy:P1} / {record.ValidationAccuracy:P1}"
            )
        );

    /// <summary>Writes one line for each view of the pictures whose features have been computed.</summary>
    public void Features(int view, int views, int done, int count)
    {
        if (done == count)
            Note(FormattableString.Invariant($"features, view {view + 1} of {views}: {done} pictures"));
    }

    /// <summary>Writes a sentence.</summary>
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
