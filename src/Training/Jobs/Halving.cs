using TorchBridge.Training.Ablation;

namespace TorchBridge.Training.Jobs;

/// <summary>How bad settings end early: after some epochs the best of them go on, and again after a multiple of
/// those.</summary>
/// <param name="Epochs">After how many epochs first, from 1.</param>
/// <param name="Factor">One of so many goes on, and the epochs are multiplied by it; 2 at least.</param>
internal sealed record Halving(int Epochs, int Factor)
{
    /// <summary>The epochs after which trials are looked at, the last being their end.</summary>
    /// <param name="all">Epochs of a whole trial, more than <see cref="Epochs"/>.</param>
    public IReadOnlyList<int> Rungs(int all)
    {
        var rungs = new List<int>();
        for (long epochs = Epochs; epochs < all; epochs *= Factor)
            rungs.Add((int)epochs);
        return [.. rungs, all];
    }
}

/// <summary>What was decided of a setting after a rung: the log of a sweep with halving, a file each.</summary>
/// <param name="GoesOn">Whether its trials go on; else they end.</param>
/// <param name="Epochs">The epochs that it was looked at after.</param>
/// <param name="ValidationAccuracy">Mean over its seeds, of the weights that they would keep there.</param>
/// <param name="Rank">Its place among those that had been seen, from 1.</param>
/// <param name="Seen">How many those were: of a setting that ends, all that came so far.</param>
internal sealed record HalvingDecision(bool GoesOn, int Epochs, double ValidationAccuracy, int Rank, int Seen);

/// <summary>What stands where a trial's result would, had it not ended early.</summary>
/// <param name="Request">The trial.</param>
/// <param name="Ended">When, and why.</param>
internal sealed record EndedTrial(RunRequest Request, HalvingDecision Ended);
