using TorchBridge.Training.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Lab;

/// <summary>A few pictures as tensors [N, 3, H, W], scaled to mean 0 and standard deviation 1 per channel, so that
/// small networks overfit and train in seconds.</summary>
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

    /// <summary>The pictures as bytes.</summary>
    public PictureData Pictures { get; }

    /// <summary>[N, 3, H, W] float32, normalized by the training part's statistics.</summary>
    public Tensor TrainingPixels { get; }

    /// <summary>[N] int64.</summary>
    public Tensor TrainingLabels { get; }

    /// <summary>[N, 3, H, W] float32, normalized as the training part is.</summary>
    public Tensor ValidationPixels { get; }

    /// <summary>[N] int64.</summary>
    public Tensor ValidationLabels { get; }

    /// <summary>Number of classes.</summary>
    public int Classes => Pictures.ClassNames.Count;

    /// <summary>Takes a small part of a data set.</summary>
    /// <param name="data">Any data set.</param>
    /// <param name="seed">Determines which pictures are taken.</param>
    /// <returns>Tensors that the caller disposes.</returns>
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

    /// <summary>Frees the four tensors.</summary>
    public void Dispose()
    {
        foreach (var tensor in (Tensor[])[TrainingPixels, TrainingLabels, ValidationPixels, ValidationLabels])
            tensor.Dispose();
    }

    /// <summary>A part as tensors.</summary>
    /// <param name="set">The pictures.</param>
    /// <param name="statistics">Statistics of the training part.</param>
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
