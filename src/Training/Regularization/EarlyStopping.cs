namespace TorchBridge.Training.Regularization;

/// <summary>Signals a stop when the validation loss has not improved for a number of epochs; never if that number is
/// 0.</summary>
internal sealed class EarlyStopping(int patience)
{
    /// <summary>Lowest validation loss so far.</summary>
    public double Best { get; private set; } = double.PositiveInfinity;

    /// <summary>Number of epochs since then.</summary>
    public int EpochsWithout { get; private set; }

    /// <summary>Whether the patience is exhausted.</summary>
    public bool ShouldStop => patience > 0 && EpochsWithout >= patience;

    /// <summary>Adds an epoch's loss; true if it is the best so far. NaN is never the best.</summary>
    /// <param name="loss">Validation loss of the epoch.</param>
    public bool Improved(double loss)
    {
        if (loss < Best)
        {
            (Best, EpochsWithout) = (loss, 0);
            return true;
        }

        EpochsWithout++;
        return false;
    }

    /// <summary>Restores a saved state.</summary>
    /// <param name="best">Lowest loss so far.</param>
    /// <param name="epochsWithout">Number of epochs since then.</param>
    public void Restore(double best, int epochsWithout) => (Best, EpochsWithout) = (best, epochsWithout);
}
