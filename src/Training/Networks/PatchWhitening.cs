// What it does: weights of a first convolution over patches of 2x2 pixels (12 numbers) whose outputs over the training
// pictures are not correlated and have variance 1: what the layers after it see is equally large in every direction.
//   C = E (p - E p)(p - E p)^T over all patches p of normalized pixels;  C = V diag(l) V^T;  w_i = v_i / sqrt(l_i)
// and each w_i once more as -w_i, since the activation behind it cuts one side off: 24 filters.
// Sources: Page 2019, "How to train your ResNet 8: Bag of Tricks"; Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds", 3.2.
using System.Runtime.InteropServices;
using TorchBridge.Training.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Networks;

/// <summary>The whitening of a training part's patches.</summary>
internal static class PatchWhitening
{
    /// <summary>Height and width of a patch.</summary>
    public const int Side = 2;

    /// <summary>Filters: each direction of a patch, and its opposite.</summary>
    public const int Filters = 2 * Values;

    private const int Values = 3 * Side * Side;
    private const int PixelsOfAChunk = 1 << 19;

    /// <summary>Of normalized pixels, which vary by 1. What varies less is not blown up to 1: pictures without colour
    /// have such directions.</summary>
    private const double LeastVariance = 1e-6;

    /// <summary>Weights [24, 3, 2, 2], float32. The caller disposes them.</summary>
    /// <param name="pictures">The training part.</param>
    /// <param name="statistics">How its pixels are normalized.</param>
    public static Tensor Weights(PictureSet pictures, ChannelStatistics statistics)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var (variances, directions) = linalg.eigh(Covariance(pictures, statistics));
        var filters = (directions / variances.clamp(min: LeastVariance).sqrt()).t().view(Values, 3, Side, Side);
        return cat([filters, -filters]).to(ScalarType.Float32).DetachFromDisposeScope();
    }

    /// <summary>The covariance [12, 12] of patches, float64; values of a patch in the order channel, row,
    /// column.</summary>
    public static Tensor Covariance(PictureSet pictures, ChannelStatistics statistics)
    {
        using var scope = NewDisposeScope();
        var mean = tensor(statistics.Mean).view(1, 3, 1, 1) * 255;
        var std = tensor(statistics.Std).view(1, 3, 1, 1) * 255;
        Tensor sum = zeros(Values, 1, ScalarType.Float64),
            products = zeros(Values, Values, ScalarType.Float64);
        long count = 0;
        var pixels = pictures.Height * pictures.Width;
        foreach (var chunk in Enumerable.Range(0, pictures.Count).Chunk(Math.Max(1, PixelsOfAChunk / pixels)))
        {
            using var step = NewDisposeScope();
            var bytes = new byte[chunk.Length * pictures.Stride];
            for (var i = 0; i < chunk.Length; i++)
                pictures.Picture(chunk[i]).CopyTo(bytes.AsSpan(i * pictures.Stride));
            var normalized =
                (tensor(bytes).view(chunk.Length, 3, pictures.Height, pictures.Width).to(ScalarType.Float64) - mean)
                / std;
            var patches = Patches(normalized);
            sum.add_(patches.sum(1, keepdim: true));
            products.add_(patches.mm(patches.t()));
            count += patches.shape[1];
        }

        var average = sum / count;
        return ((products / count) - average.mm(average.t())).MoveToOuterDisposeScope();
    }

    /// <summary>Pictures [N, 3, H, W] to patches [12, N (H - 1) (W - 1)].</summary>
    private static Tensor Patches(Tensor pictures)
    {
        long rows = pictures.shape[2] - Side + 1,
            columns = pictures.shape[3] - Side + 1;
        return stack(
                from y in Enumerable.Range(0, Side)
                from x in Enumerable.Range(0, Side)
                select pictures.narrow(2, y, rows).narrow(3, x, columns),
                2
            )
            .permute(1, 2, 0, 3, 4)
            .reshape(Values, -1);
    }
}
