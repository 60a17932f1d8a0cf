// What it does: shows the network a picture several times, slightly changed each time, and averages the logits:
//   mirror          l = (f(x) + f(mirror x)) / 2
//   mirror_shifts   half of that, and a quarter each of the same of x moved by one pixel up and left, and down and
//                   right, filled with its mirror image without the edge (ReflectionPad2d)
// It costs two or six times the computation, so every reported figure names its views. The views go through the
// network as one batch, [first view of all pictures, second view of all, ...]. Source: Jordan 2024, "94% on CIFAR-10
// in 3.29 Seconds", 3.7, whose views and weights these are.
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Training.Networks;

/// <summary>The views of a picture that logits are averaged over in eval mode.</summary>
internal enum ViewKind
{
    /// <summary>The picture as it is.</summary>
    None,

    /// <summary>The picture and its mirror image.</summary>
    Mirror,

    /// <summary>The picture, and the picture shifted by one pixel up and left, and down and right, each mirrored too;
    /// the unshifted picture has half of the weight.</summary>
    MirrorShifts,
}

/// <summary>Creates views of pictures and averages their logits.</summary>
internal static class TestViews
{
    /// <summary>All views of pictures [N, 3, H, W]: [views N, 3, H, W].</summary>
    public static Tensor Of(Tensor pictures, ViewKind views)
    {
        if (views == ViewKind.Mirror)
            return cat([pictures, pictures.flip(3)]);
        long height = pictures.shape[2],
            width = pictures.shape[3];
        var padded = F.pad(pictures, [1, 1, 1, 1], PaddingModes.Reflect);
        var (before, after) = (
            padded.narrow(2, 0, height).narrow(3, 0, width),
            padded.narrow(2, 2, height).narrow(3, 2, width)
        );
        return cat([pictures, pictures.flip(3), before, before.flip(3), after, after.flip(3)]);
    }

    /// <summary>The mean over views: logits [views N, classes] to [N, classes].</summary>
    public static Tensor Mean(Tensor logits, ViewKind views)
    {
        var weights = Weights(views);
        var byView = logits.view(weights.Length, -1, logits.shape[1]);
        return (byView * tensor(weights, device: logits.device).view(-1, 1, 1)).sum([0]);
    }

    /// <summary>The note that a reported figure carries about its views; empty for a single view.</summary>
    public static string Note(this ViewKind views) =>
        views switch
        {
            ViewKind.None => "",
            ViewKind.Mirror => ", mean of two views (mirror)",
            _ => ", mean of six views (mirror and shifts)",
        };

    private static float[] Weights(ViewKind views) =>
        views == ViewKind.Mirror ? [0.5f, 0.5f] : [0.25f, 0.25f, 0.125f, 0.125f, 0.125f, 0.125f];
}
