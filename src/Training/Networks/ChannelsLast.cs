using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Networks;

/// <summary>
/// The channels_last memory layout. TorchSharp has no argument for it, but it follows from strides: libtorch's
/// convolutions on a CPU are faster when the channel is the fastest axis, of pictures and of weights.
/// </summary>
internal static class ChannelsLast
{
    /// <summary>A tensor [N, C, H, W] with the same elements, whose memory is ordered N, H, W, C.</summary>
    /// <param name="tensor">[N, C, H, W] of any layout.</param>
    public static Tensor Of(Tensor tensor) => tensor.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2);

    /// <summary>
    /// The float32 elements of a tensor on the CPU, in memory order: contiguous, or channels_last. Valid as long as
    /// the tensor is.
    /// </summary>
    /// <param name="tensor">Float32, on the CPU.</param>
    public static Span<float> Memory(Tensor tensor)
    {
        if (tensor.is_contiguous())
            return MemoryMarshal.Cast<byte, float>(tensor.bytes);
        using var view = tensor.permute(0, 2, 3, 1);
        return MemoryMarshal.Cast<byte, float>(view.bytes);
    }

    /// <summary>
    /// Converts the convolution weights of a module to this layout in place: names, values and the shapes of
    /// gradients stay the same.
    /// </summary>
    /// <param name="module">The module whose four-dimensional weights are converted.</param>
    public static void Convert(nn.Module module)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (_, parameter) in module.named_parameters())
        {
            if (parameter.dim() == 4)
                parameter.set_(Of(parameter));
        }
    }
}
