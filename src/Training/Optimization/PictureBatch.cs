using TorchBridge.Training.Regularization;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>A batch: pixels [N, 3, H, W] float32, 0 to 255, channels_last; labels [N] int64. The receiver disposes
/// both.</summary>
/// <param name="Pixels">The pictures.</param>
/// <param name="Labels">Their classes.</param>
/// <param name="Index">Which batch of the epoch it is, from 0.</param>
/// <param name="Mix">What it has drawn of mixup, CutMix and cutout; the first two are still to be done.</param>
internal sealed record PictureBatch(Tensor Pixels, Tensor Labels, int Index, BatchMix Mix) : IDisposable
{
    /// <summary>Frees both tensors.</summary>
    public void Dispose()
    {
        Pixels.Dispose();
        Labels.Dispose();
    }
}
