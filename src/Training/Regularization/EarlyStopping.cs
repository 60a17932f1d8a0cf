namespace TorchBridge.Training.Regularization;

/// <summary>Stops when the validation loss has not improved for a number of epochs.</summary>
internal sealed class EarlyStopping(int patience)
{
    private int epochsWithout;

    /// <summary>Lowest validation loss so far.</summary>
    public double Best { get; private set; } = double.PositiveInfinity;

    /// <summary>Whether patience is used up.</summary>
    public bool ShouldStop => epochsWithout >= patience;

    /// <summary>Takes an epoch's loss; true where it is the best so far. NaN is never the best.</summary>
    public bool Improved(double loss)
    {
        if (loss < Best)
        {
            (Best, epochsWithout) = (loss, 0);
            return true;
        }

        epochsWithout++;
        return false;
    }
}
