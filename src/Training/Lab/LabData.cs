using TorchBridge.Training.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Lab;

/// <summary>Few pictures as tensors [N, 3, H, W], scaled to mean 0 and deviation 1 a channel, so that small networks
/// overfit and train in seconds.</summary>
internal sealed class LabData : IDisposable
{
    private const int Training = 600;
    private const int Validation = 400;

    private LabData(PictureData pictures)
    {
        Pictures = pictures;
        var statistics = ChannelStatistics.Of(pictures.Training);
        (TrainingPixels, TrainingLabels) = Tensors(pictures.Training, statistics);
        (ValidationPixels, ValidationLabels) = Tensors(pictures.Validation, statistics);
    }

    public PictureData Pictures { get; }

    public Tensor TrainingPixels { get; }

    public Tensor TrainingLabels { get; }

    public Tensor ValidationPixels { get; }

    public Tensor ValidationLabels { get; }

    public int Classes => Pictures.ClassNames.Count;

    /// <summary>Takes a small part of a data set.</summary>
    public static LabData Of(PictureData data, int seed)
    {
        PictureSet Some(PictureSet set, int count, int key) => set.Sample(count, new Draw(seed, 31, key));
        return new LabData(
            data with
            {
                Training = Some(data.Training, Training, 1),
                Validation = Some(data.Validation, Validation, 2),
            }
        );
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in (Tensor[])[TrainingPixels, TrainingLabels, ValidationPixels, ValidationLabels])
            tensor.Dispose();
    }

    private static (Tensor Pixels, Tensor Labels) Tensors(PictureSet set, ChannelStatistics statistics)
    {
        using var scope = NewDisposeScope();
        var pixels = tensor(set.Pixels).to(ScalarType.Float32).reshape(set.Count, 3, set.Height, set.Width) / 255;
        var mean = tensor(statistics.Mean.Select(value => (float)value).ToArray()).view(1, 3, 1, 1);
        var std = tensor(statistics.Std.Select(value => (float)value).ToArray()).view(1, 3, 1, 1);
        return (
            ((pixels - mean) / std).MoveToOuterDisposeScope(),
            tensor(set.Labels.Select(label => (long)label).ToArray()).MoveToOuterDisposeScope()
        );
    }
}
