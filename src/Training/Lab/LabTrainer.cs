using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Lab;

/// <summary>Training settings of a small network in the lab.</summary>
internal sealed record LabSettings
{
    /// <summary>Passes over the lab's training pictures.</summary>
    public int Epochs { get; init; } = 8;

    /// <summary>Steps after which training ends, whatever the batch size; null for whole epochs.</summary>
    public int? Steps { get; init; }

    /// <summary>Pictures per step.</summary>
    public int BatchSize { get; init; } = 32;

    /// <summary>Constant over the whole run.</summary>
    public double LearningRate { get; init; } = 0.002;

    /// <summary>Share of the target that is spread over all classes, 0 for none.</summary>
    public double LabelSmoothing { get; init; }

    /// <summary>AdamW's decay, applied to the weights directly.</summary>
    public double DecoupledDecay { get; init; }

    /// <summary>Lambda of a penalty lambda / 2 ||w||^2 in the loss, whose gradient Adam rescales like any
    /// other.</summary>
    public double Penalty { get; init; }

    /// <summary>Number of training pictures to use; null for all.</summary>
    public int? Pictures { get; init; }

    /// <summary>SGD with momentum instead of Adam.</summary>
    public bool Sgd { get; init; }

    /// <summary>Whether to validate after the last epoch only; the validation figures of earlier epochs are then
    /// NaN.</summary>
    public bool ValidateAtEndOnly { get; init; }
}

/// <summary>An epoch of a lab run. Training figures are measured during its steps, validation figures in eval
/// mode.</summary>
internal sealed record LabEpoch(
    int Epoch,
    double TrainingLoss,
    double TrainingAccuracy,
    double ValidationLoss,
    double ValidationAccuracy
);

/// <summary>Trains any module from [N, 3, H, W] to logits on the lab's pictures, in float32. A run that diverges ends
/// early.</summary>
internal static class LabTrainer
{
    private const int EvaluationBatch = 100;

    /// <summary>Trains a network and calls <paramref name="afterStep"/> after each step.</summary>
    /// <param name="network">[N, 3, H, W] to logits, changed in place.</param>
    /// <param name="context">Data set, seed and cancellation.</param>
    /// <param name="settings">Training settings.</param>
    /// <param name="afterStep">Receives the number of each step; may be null.</param>
    /// <returns>One record per finished epoch.</returns>
    public static IReadOnlyList<LabEpoch> Train(
        nn.Module<Tensor, Tensor> network,
        LabContext context,
        LabSettings settings,
        Action<int>? afterStep = null
    )
    {
        var data = context.Data;
        using var optimizer = Optimizer(network, settings);
        var history = new List<LabEpoch>();
        var step = 0;
        var count = settings.Pictures is { } some
            ? Math.Min(some, data.Pictures.Training.Count)
            : data.Pictures.Training.Count;
        var batchSize = Math.Min(settings.BatchSize, count);
        var epochs = settings.Steps is { } steps
            ? (steps + (count / batchSize) - 1) / (count / batchSize)
            : settings.Epochs;
        for (var epoch = 1; epoch <= epochs; epoch++)
        {
            double lossSum = 0;
            long right = 0,
                seen = 0;
            network.train();
            using (var pause = new CollectionPause())
            {
                foreach (
                    var indices in new Draw(context.Seed, 37, epoch)
                        .Permutation(count)
                        .Chunk(batchSize)
                        .Where(chunk => chunk.Length == batchSize)
                        .TakeWhile(_ => step != settings.Steps)
                )
                {
                    context.Stop.ThrowIfCancellationRequested();
                    pause.BetweenSteps();
                    using var scope = NewDisposeScope();
                    var chosen = tensor(indices.Select(index => (long)index).ToArray());
                    var (pixels, labels) = (
                        data.TrainingPixels.index_select(0, chosen),
                        data.TrainingLabels.index_select(0, chosen)
                    );
                    var logits = network.call(pixels);
                    var loss = SoftTargets.CrossEntropy(
                        logits,
                        SoftTargets.Smooth(labels, data.Classes, settings.LabelSmoothing)
                    );
                    optimizer.zero_grad();
                    loss.backward();
                    optimizer.step();
                    var value = loss.ToDouble();
                    lossSum += value * indices.Length;
                    right += logits.argmax(1).eq(labels).sum().ToInt64();
                    seen += indices.Length;
                    step++;
                    afterStep?.Invoke(step);
                    if (double.IsFinite(value))
                        continue;
                    history.Add(new LabEpoch(epoch, double.NaN, (double)right / seen, double.NaN, 0));
                    return history;
                }
            }

            var validation = settings.ValidateAtEndOnly && epoch < epochs ? null : Evaluate(network, data);
            history.Add(
                new LabEpoch(
                    epoch,
                    lossSum / seen,
                    (double)right / seen,
                    validation?.Loss ?? double.NaN,
                    validation?.Accuracy ?? double.NaN
                )
            );
        }

        return history;
    }

    /// <summary>Figures over the validation pictures, in eval mode.</summary>
    /// <param name="network">[N, 3, H, W] to logits; it stays in eval mode.</param>
    /// <param name="data">The lab's data.</param>
    public static Evaluation Evaluate(nn.Module<Tensor, Tensor> network, LabData data)
    {
        network.eval();
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var parts = Enumerable
            .Range(0, (int)((data.ValidationPixels.shape[0] + EvaluationBatch - 1) / EvaluationBatch))
            .Select(i =>
                network.call(
                    data.ValidationPixels[
                        (i * EvaluationBatch)..Math.Min((i + 1) * EvaluationBatch, (int)data.ValidationPixels.shape[0])
                    ]
                )
            )
            .ToArray();
        return Evaluation.OfLogits(cat(parts), data.ValidationLabels);
    }

    /// <summary>Adam, AdamW where decay is decoupled, or SGD with momentum 0.9.</summary>
    /// <param name="network">The network whose parameters it updates.</param>
    /// <param name="settings">Update rule and learning rate.</param>
    private static optim.Optimizer Optimizer(nn.Module network, LabSettings settings)
    {
        if (settings.Sgd)
            return optim.SGD(network.parameters(), settings.LearningRate, momentum: 0.9);
        return settings.Penalty > 0
            ? optim.Adam(network.parameters(), settings.LearningRate, weight_decay: settings.Penalty)
            : optim.AdamW(network.parameters(), settings.LearningRate, weight_decay: settings.DecoupledDecay);
    }
}
