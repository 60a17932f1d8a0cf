// What it does: leaves out of an epoch a random share of the pictures that the network already gets right, so that an epoch costs less.
//   easy    its loss, when it was last trained on, was below the mean of all
//   epoch   each easy picture is left out with probability r; the loss of one that stays weighs 1 / (1 - r), so that the expected sum
//           of gradients is that of the whole set. The first epoch, and the last eighth of them, see every picture.
// Source: Qin et al. 2024, "InfoBatch: Lossless Training Speed Up by Unbiased Dynamic Data Pruning", equations 3 to 6.
using System.Runtime.InteropServices;
using TorchBridge.Training.Optimization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Data;

/// <summary>What an epoch trains on.</summary>
/// <param name="Order">Which pictures, in which order.</param>
/// <param name="Weights">How much the loss of each picture of the set weighs; null where all weigh the same.</param>
internal sealed record EpochPlan(int[] Order, float[]? Weights);

/// <summary>Chooses the pictures of each epoch by their last loss.</summary>
internal sealed class DataPruning(int count, Recipe recipe) : IDisposable
{
    /// <summary>The last loss of each picture, infinite where it has none yet: [count], float32.</summary>
    public Tensor Losses { get; } = full(count, float.PositiveInfinity).DetachFromDisposeScope();

    /// <summary>Whether anything is ever left out.</summary>
    public bool IsOn => recipe.Pruning > 0;

    /// <summary>The pictures of an epoch, decided by (seed, epoch) and the losses.</summary>
    public EpochPlan Plan(int seed, int epoch)
    {
        var order = new Draw(seed, 11, epoch).Permutation(count);
        if (!IsOn || epoch > recipe.Epochs - WholeAtTheEnd) return new EpochPlan(order, null);
        var losses = LossSpan();
        double sum = 0;
        foreach (var loss in losses) sum += loss;
        var mean = sum / count;
        var weights = new float[count];
        for (var i = 0; i < count; i++) weights[i] = losses[i] < mean ? (float)(1 / (1 - recipe.Pruning)) : 1;
        var kept = Array.FindAll(order, i => weights[i] == 1 || new Draw(seed, 23, epoch, i).Uniform() >= recipe.Pruning);
        // Whole batches only: the pictures of a small rest would weigh many times what the others do.
        var whole = kept.Length / recipe.BatchSize * recipe.BatchSize;
        return new EpochPlan(whole > 0 ? kept[..whole] : kept, weights);
    }

    /// <summary>Notes the losses of pictures that were trained on.</summary>
    public void Note(int[] indices, Tensor losses)
    {
        using var local = losses.cpu();
        var values = MemoryMarshal.Cast<byte, float>(local.bytes);
        var all = LossSpan();
        for (var i = 0; i < indices.Length; i++) all[indices[i]] = values[i];
    }

    /// <inheritdoc/>
    public void Dispose() => Losses.Dispose();

    private int WholeAtTheEnd => (recipe.Epochs + 7) / 8;

    private Span<float> LossSpan() => MemoryMarshal.Cast<byte, float>(Losses.bytes);
}
