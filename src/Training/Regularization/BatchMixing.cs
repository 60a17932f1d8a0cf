// What it does: trains on pictures between two classes, so that the network learns an answer for them too.
//   mixup   x <- l x + (1 - l) x[perm],  t <- l t + (1 - l) t[perm],  l ~ Beta(a, a) per batch
//   CutMix  a box of x[perm] with the area 1 - l is pasted into x; l is then the remaining share of x, counted in pixels
// Mixed targets use the same loss with soft targets: l CE(z, y) + (1 - l) CE(z, y[perm]) is the CE of the mixed target.
// Sources: Zhang et al. 2018, "mixup", equation 1; Yun et al. 2019, "CutMix", equations 1 and 2.
using TorchBridge.Training.Data;
using TorchBridge.Training.Recipes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Regularization;

/// <summary>The kind of mixing that was drawn for a batch.</summary>
internal enum BatchMix
{
    /// <summary>Pictures are not mixed.</summary>
    None,

    /// <summary>Pictures are blended.</summary>
    Mixup,

    /// <summary>A box of one picture is pasted into another.</summary>
    CutMix,

    /// <summary>A square of each picture is blackened, by the loader.</summary>
    Cutout,
}

/// <summary>Mixes batches.</summary>
internal static class BatchMixing
{
    /// <summary>Chooses one of the enabled techniques for a batch.</summary>
    /// <param name="recipe">The recipe, with the enabled techniques.</param>
    /// <param name="seed">Seed of the run.</param>
    /// <param name="epoch">Number of the epoch, from 1.</param>
    /// <param name="index">Index of the batch, from 0.</param>
    public static BatchMix Choose(Recipe recipe, int seed, int epoch, int index)
    {
        var on = new List<BatchMix>();
        if (recipe.Mixup > 0)
            on.Add(BatchMix.Mixup);
        if (recipe.CutMix > 0)
            on.Add(BatchMix.CutMix);
        if (recipe.Augmentation.Cutout > 0)
            on.Add(BatchMix.Cutout);
        return on.Count == 0 ? BatchMix.None : on[new Draw(seed, 17, epoch, index).Below(on.Count)];
    }

    /// <summary>Mixes pictures [N, 3, H, W] and soft targets [N, classes] as drawn for this batch.</summary>
    /// <param name="mix">The kind of mixing that was drawn; cutout is applied to each picture elsewhere.</param>
    /// <param name="pixels">Pictures, float32.</param>
    /// <param name="targets">Targets, in rows that sum to 1.</param>
    /// <param name="recipe">Alpha of the Beta distribution.</param>
    /// <param name="seed">Seed of the run.</param>
    /// <param name="epoch">Number of the epoch, from 1.</param>
    /// <param name="index">Index of the batch, from 0.</param>
    public static (Tensor Pixels, Tensor Targets) Apply(
        BatchMix mix,
        Tensor pixels,
        Tensor targets,
        Recipe recipe,
        int seed,
        int epoch,
        int index
    )
    {
        if (mix is not (BatchMix.Mixup or BatchMix.CutMix))
            return (pixels, targets);
        var draw = new Draw(seed, 19, epoch, index);
        var partners = draw.Permutation((int)pixels.shape[0]).Select(i => (long)i).ToArray();
        if (mix == BatchMix.Mixup)
            return Mixup(pixels, targets, partners, draw.Beta(recipe.Mixup));
        return CutMix(
            pixels,
            targets,
            partners,
            Box.Of(draw.Beta(recipe.CutMix), (int)pixels.shape[2], (int)pixels.shape[3], ref draw)
        );
    }

    /// <summary>lambda x + (1 - lambda) x[partners], for pictures and targets.</summary>
    /// <param name="pixels">[N, 3, H, W].</param>
    /// <param name="targets">[N, classes].</param>
    /// <param name="partners">For each picture, the index of the one that is mixed in.</param>
    /// <param name="lambda">Share of the picture itself, 0 to 1.</param>
    public static (Tensor Pixels, Tensor Targets) Mixup(Tensor pixels, Tensor targets, long[] partners, double lambda)
    {
        using var order = tensor(partners, device: pixels.device);
        return (Blend(pixels, order, lambda), Blend(targets, order, lambda));
    }

    /// <summary>Pastes a box of x[partners] into x; targets are blended by the remaining share of pixels.</summary>
    /// <param name="pixels">[N, 3, H, W].</param>
    /// <param name="targets">[N, classes].</param>
    /// <param name="partners">For each picture, the index of the one from which the box is taken.</param>
    /// <param name="box">The box, in pixels.</param>
    public static (Tensor Pixels, Tensor Targets) CutMix(Tensor pixels, Tensor targets, long[] partners, Box box)
    {
        using var scope = NewDisposeScope();
        var order = tensor(partners, device: pixels.device);
        var left = 1 - ((double)(box.Bottom - box.Top) * (box.Right - box.Left) / (pixels.shape[2] * pixels.shape[3]));
        var mixed = pixels.clone();
        var (rows, columns) = (TensorIndex.Slice(box.Top, box.Bottom), TensorIndex.Slice(box.Left, box.Right));
        mixed[TensorIndex.Ellipsis, rows, columns] = pixels.index_select(0, order)[TensorIndex.Ellipsis, rows, columns];
        return (mixed.MoveToOuterDisposeScope(), Blend(targets, order, left).MoveToOuterDisposeScope());
    }

    /// <summary>lambda x + (1 - lambda) x[order].</summary>
    /// <param name="x">Pictures or targets.</param>
    /// <param name="order">Indices on the same device.</param>
    /// <param name="lambda">Share of x itself.</param>
    private static Tensor Blend(Tensor x, Tensor order, double lambda)
    {
        using var partner = x.index_select(0, order);
        using var share = partner.mul(1 - lambda);
        return x.mul(lambda).add_(share);
    }
}

/// <summary>A box with rows from Top (inclusive) to Bottom (exclusive) and columns from Left to Right.</summary>
internal readonly record struct Box(int Top, int Bottom, int Left, int Right)
{
    /// <summary>A box around a random centre, with sides of sqrt(1 - lambda) of the picture's, clipped at the
    /// edges.</summary>
    /// <param name="lambda">Share of the area outside the box, 0 to 1.</param>
    /// <param name="height">Height of the picture, in pixels.</param>
    /// <param name="width">Width of the picture, in pixels.</param>
    /// <param name="draw">Draws the centre, anywhere in the picture.</param>
    public static Box Of(double lambda, int height, int width, ref Draw draw)
    {
        var side = Math.Sqrt(1 - lambda);
        int halfHeight = (int)(height * side / 2),
            halfWidth = (int)(width * side / 2);
        int centreY = draw.Below(height),
            x = draw.Below(width);
        return new Box(
            Math.Max(0, centreY - halfHeight),
            Math.Min(height, centreY + halfHeight),
            Math.Max(0, x - halfWidth),
            Math.Min(width, x + halfWidth)
        );
    }
}
