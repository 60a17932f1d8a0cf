using TorchBridge.Training.Ablation;

namespace TorchBridge.Training.Jobs;

/// <summary>How bad settings end early: after some epochs only the best continue, and again after multiples of these
/// epochs.</summary>
/// <param name="Epochs">Number of epochs before the first decision, at least 1.</param>
/// <param name="Factor">One in this many settings continues, and the epochs are multiplied by it; at least 2.</param>
internal sealed record Halving(int Epochs, int Factor)
{
    /// <summary>The epochs after which decisions are made; the last one is the end of a trial.</summary>
    /// <param name="all">Number of epochs of a complete trial, more than <see cref="Epochs"/>.</param>
    public IReadOnlyList<int> Rungs(int all)
    {
        var rungs = new List<int>();
        for (long epochs = Epochs; epochs < all; epochs *= Factor)
            rungs.Add((int)epochs);
        return [.. rungs, all];
    }
}

/// <summary>The decision about a setting after a rung; one file per decision is the log of a sweep with
/// halving.</summary>
/// <param name="GoesOn">Whether its trials continue; otherwise they end.</param>
/// <param name="Epochs">Number of epochs after which it was decided.</param>
/// <param name="ValidationAccuracy">Mean validation accuracy over its seeds, of the weights that would be kept at
/// that point.</param>
/// <param name="Rank">Its rank among the settings seen so far, from 1.</param>
/// <param name="Seen">Number of settings seen so far; for a setting that ends, all that reached the rung.</param>
internal sealed record HalvingDecision(bool GoesOn, int Epochs, double ValidationAccuracy, int Rank, int Seen);

/// <summary>The result file of a trial that ended early.</summary>
/// <param name="Request">The trial.</param>
/// <param name="Ended">When and why it ended.</param>
internal sealed record EndedTrial(RunRequest Request, HalvingDecision Ended);
