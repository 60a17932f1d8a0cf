using TorchBridge.Training.Regularization;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>A batch: pixels [N, 3, H, W] float32, 0 to 255, channels_last; labels [N] int64. The caller disposes
/// both.</summary>
/// <param name="Pixels">The pictures.</param>
/// <param name="Labels">Their classes.</param>
/// <param name="Index">Index of the batch in the epoch, from 0.</param>
/// <param name="Mix">Which of mixup, CutMix and cutout was drawn; the first two have not been applied yet.</param>
internal sealed record PictureBatch(Tensor Pixels, Tensor Labels, int Index, BatchMix Mix) : IDisposable
{
    /// <summary>Frees both tensors.</summary>
    public void Dispose()
    {
        Pixels.Dispose();
        Labels.Dispose();
    }
}
