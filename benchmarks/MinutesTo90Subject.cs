using System.Diagnostics;
using System.Globalization;
using TorchBridge.Testing;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Benchmarks;

/// <summary>
/// Minutes of training until 90 % of the validation pictures of CIFAR-10 (JPEG) are right, in one run each of the
/// recipe <c>pooled</c> as <c>train</c> runs it, and of a plain loop as a TorchSharp user would write it today, with
/// the same network (NCHW, float32, the stock AdamW). Takes hours on two cores. The test part is not used.
/// </summary>
internal static class MinutesTo90Subject
{
    private const double Wanted = 0.9;

    /// <summary>The most epochs of the plain loop, which has no schedule that ends: it stops when it has reached the
    /// wanted accuracy.</summary>
    private const int MostEpochs = 60;

    /// <summary>The peers, each run in a separate process. They return the minutes (NaN if the wanted accuracy was
    /// not reached) and the best accuracy.</summary>
    public static IReadOnlyDictionary<string, Func<string[], double[]>> Peers { get; } =
        new Dictionary<string, Func<string[], double[]>>(StringComparer.Ordinal)
        {
            ["to_90_ours"] = _ => Ours(),
            ["to_90_loop"] = _ => PlainLoop(),
        };

    public static Measurement Run()
    {
        var measurement = new Measurement("minutes-to-90");
        double[] ours = Peer.Numbers("to_90_ours"),
            loop = Peer.Numbers("to_90_loop");
        foreach (var (name, figures) in ((string, double[])[])[("ours", ours), ("loop", loop)])
        {
            measurement.Figure($"{name}_best_validation_percent", 100 * figures[1]);
            if (double.IsFinite(figures[0]))
                measurement.Figure($"{name}_minutes_to_90", figures[0]);
        }

        return double.IsFinite(ours[0]) && double.IsFinite(loop[0])
            ? measurement.Ratio("loop_vs_ours", "loop_minutes_to_90", "ours_minutes_to_90")
            : measurement;
    }

    private static PictureData Pictures() =>
        DataSource
            .Load(
                Shared.Find("data", "cifar10-jpeg.tar.gz")
                    ?? throw new FileNotFoundException("this subject needs ../shared/data/cifar10-jpeg.tar.gz"),
                32,
                1,
                null
            )
            .Data;

    private static double[] Ours()
    {
        NativeTuning.Apply();
        var data = Pictures();
        var recipe = RunConfiguration.Named("pooled");
        using var model = new TrainedModel(
            new ModelSettings(
                recipe.Network,
                recipe.Training,
                ComputeOptions.Default with
                {
                    Precision = ComputeOptions.HasBfloat16 ? Precision.Bfloat16 : Precision.Float32,
                },
                1,
                "cifar10",
                null,
                data.ClassNames,
                ChannelStatistics.Of(data.Training)
            )
        );
        var history = new Trainer(model, new Curve()).Train(data).History;
        var arrived = history.FirstOrDefault(record => record.ValidationAccuracy >= Wanted);
        return
        [
            arrived is null
                ? double.NaN
                : history.Where(record => record.Epoch <= arrived.Epoch).Sum(record => record.Seconds) / 60,
            history.Max(record => record.ValidationAccuracy),
        ];
    }

    private static double[] PlainLoop()
    {
        var data = Pictures();
        var recipe = new Recipe
        {
            BatchSize = 128,
            Augmentation = RunConfiguration.Named("pooled").Training.Augmentation,
        };
        var statistics = ChannelStatistics.Of(data.Training);
        using var network = new ModernCnn(RunConfiguration.Named("pooled").Network);
        network.StartFrom(data.Training, statistics);
        using var classifier = new PixelClassifier(network, statistics);
        using var optimizer = optim.AdamW(
            network.parameters().Where(parameter => parameter.requires_grad),
            recipe.LearningRate,
            weight_decay: recipe.WeightDecay
        );
        var (started, best) = (Stopwatch.GetTimestamp(), 0.0);
        for (var epoch = 1; epoch <= MostEpochs; epoch++)
        {
            classifier.train();
            // Avoids TorchSharp's race with the garbage collector, as our trainer does; it costs nothing measurable.
            using (var pause = new CollectionPause())
            {
                foreach (var batch in BatchLoader.Training(data.Training, recipe, 1, epoch))
                {
                    using var scope = NewDisposeScope();
                    using (batch)
                    {
                        pause.BetweenSteps();
                        optimizer.zero_grad();
                        var targets = SoftTargets.Smooth(batch.Labels, data.ClassNames.Count, recipe.LabelSmoothing);
                        SoftTargets.CrossEntropy(classifier.Logits(batch.Pixels.contiguous()), targets).backward();
                        optimizer.step();
                    }
                }
            }

            var accuracy = Evaluation.Of(classifier, data.Validation).Accuracy;
            best = Math.Max(best, accuracy);
            var minutes = Stopwatch.GetElapsedTime(started).TotalMinutes;
            Console.Error.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"plain loop, epoch {epoch}: {accuracy:P1}, {minutes:F1} min"
                )
            );
            if (accuracy >= Wanted)
                return [minutes, best];
        }

        return [double.NaN, best];
    }

    /// <summary>Prints accuracy and time after each epoch.</summary>
    private sealed class Curve : ITrainingObserver
    {
        private double seconds;

        public void Step(int epoch, long step, long stepsInEpoch, double loss, double rate, double imagesPerSecond) { }

        public void Epoch(EpochRecord record, bool isBest)
        {
            seconds += record.Seconds;
            Console.Error.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"ours, epoch {record.Epoch}: {record.ValidationAccuracy:P1}, {seconds / 60:F1} min"
                )
            );
        }
    }
}
