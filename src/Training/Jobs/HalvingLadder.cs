// Asynchronous successive halving: Li, Jamieson, Rostamizadeh, Gonina, Hardt, Recht, Talwalkar, "A System for Massively
// Parallel Hyperparameter Tuning", MLSys 2020, algorithm 2. Of the k contenders that a rung has seen, the best k / factor
// are promoted as soon as they are among them: nobody waits for the whole rung.
// One thing differs. In the paper, results count in the order in which they arrive, so the same results may lead to
// other decisions with another number of workers. Here they count in the order in which the contenders came to the
// rung: a result waits for those before it, but not for those after it. So the decisions depend only on the results.
// Work that does not have to wait is done in the meantime.
namespace TorchBridge.Training.Jobs;

/// <summary>State of a contender's result at a rung.</summary>
internal enum RungState
{
    /// <summary>There is no result yet.</summary>
    Open,

    /// <summary>There is a result.</summary>
    Scored,

    /// <summary>There will be no result, because it failed too often.</summary>
    Failed,
}

/// <summary>The decision about a contender after a rung.</summary>
/// <param name="Contender">Index of the contender, from 0.</param>
/// <param name="Rung">The rung that decided, from 0.</param>
/// <param name="Kind">Whether it continues, ends, or failed.</param>
/// <param name="Score">Its result at the rung; 0 if it failed.</param>
/// <param name="Rank">Its rank among those that the rung has seen, from 1.</param>
/// <param name="Seen">Number of contenders that the rung has seen.</param>
internal sealed record LadderStep(int Contender, int Rung, LadderStepKind Kind, double Score, int Rank, int Seen);

/// <summary>Kind of a decision about a contender.</summary>
internal enum LadderStepKind
{
    /// <summary>It continues to the next rung.</summary>
    GoesOn,

    /// <summary>It ends here.</summary>
    Ends,

    /// <summary>It failed here.</summary>
    Fails,
}

/// <summary>Decides which contenders are promoted, as far as there are results; more results continue from
/// there.</summary>
internal sealed class HalvingLadder
{
    private readonly int factor;
    private readonly Rung[] rungs;

    /// <summary>Creates a ladder with all contenders at the first rung.</summary>
    /// <param name="contenders">Number of contenders.</param>
    /// <param name="rungs">Number of rungs; nothing is decided at the last one.</param>
    /// <param name="factor">One in this many continues.</param>
    public HalvingLadder(int contenders, int rungs, int factor)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(contenders, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(rungs, 2);
        ArgumentOutOfRangeException.ThrowIfLessThan(factor, 2);
        this.factor = factor;
        this.rungs = [.. Enumerable.Range(0, rungs - 1).Select(_ => new Rung())];
        this.rungs[0].Entrants.AddRange(Enumerable.Range(0, contenders));
        this.rungs[0].IsClosed = true;
    }

    /// <summary>Makes all decisions that the results so far allow.</summary>
    /// <param name="result">Returns the result of a contender at a rung.</param>
    /// <returns>The decisions of this call, in order.</returns>
    public IReadOnlyList<LadderStep> Advance(Func<int, int, (RungState State, double Score)> result)
    {
        var steps = new List<LadderStep>();
        for (var number = 0; number < rungs.Length; number++)
        {
            var rung = rungs[number];
            while (rung.Seen < rung.Entrants.Count)
            {
                var contender = rung.Entrants[rung.Seen];
                var (state, score) = result(contender, number);
                if (state == RungState.Open)
                    break;
                See(number, contender, state == RungState.Failed ? double.NegativeInfinity : score, steps);
            }

            if (rung.IsClosed && rung.Seen == rung.Entrants.Count && !rung.IsSettled)
                Settle(number, steps);
        }

        return steps;
    }

    /// <summary>Adds a result to a rung and promotes the contenders that are now among the best.</summary>
    private void See(int number, int contender, double score, List<LadderStep> steps)
    {
        var rung = rungs[number];
        // Of equal results, the earlier one ranks first.
        var entry = (Score: double.IsNaN(score) ? double.NegativeInfinity : score, Place: rung.Seen++, contender);
        var at = rung.Sorted.BinarySearch(entry, BestFirst.Instance);
        rung.Sorted.Insert(~at, entry);
        var quota = rung.Seen / factor;
        // Only the new contender, and the one that a larger quota now includes, can have become one of the best.
        if (~at < quota)
            Promote(number, ~at, steps);
        if (quota > 0)
            Promote(number, quota - 1, steps);
    }

    private void Promote(int number, int rank, List<LadderStep> steps)
    {
        var rung = rungs[number];
        var (score, _, contender) = rung.Sorted[rank];
        if (double.IsNegativeInfinity(score) || !rung.Promoted.Add(contender))
            return;
        steps.Add(new LadderStep(contender, number, LadderStepKind.GoesOn, score, rank + 1, rung.Seen));
        if (number + 1 < rungs.Length)
            rungs[number + 1].Entrants.Add(contender);
    }

    /// <summary>Closes a rung that has seen all of its contenders: those that were not promoted end here. If there
    /// were too few for any promotion, the best one is promoted, so that at least one trial of a sweep is trained to
    /// its end.</summary>
    private void Settle(int number, List<LadderStep> steps)
    {
        var rung = rungs[number];
        rung.IsSettled = true;
        if (rung.Promoted.Count == 0 && rung.Sorted.Count > 0)
            Promote(number, 0, steps);
        for (var rank = 0; rank < rung.Sorted.Count; rank++)
        {
            var (score, _, contender) = rung.Sorted[rank];
            if (rung.Promoted.Contains(contender))
                continue;
            var hasFailed = double.IsNegativeInfinity(score);
            steps.Add(
                new LadderStep(
                    contender,
                    number,
                    hasFailed ? LadderStepKind.Fails : LadderStepKind.Ends,
                    hasFailed ? 0 : score,
                    rank + 1,
                    rung.Seen
                )
            );
        }

        if (number + 1 < rungs.Length)
            rungs[number + 1].IsClosed = true;
    }

    private sealed class Rung
    {
        /// <summary>The contenders, in order of arrival.</summary>
        public List<int> Entrants { get; } = [];

        /// <summary>Whether no more contenders will arrive.</summary>
        public bool IsClosed { get; set; }

        /// <summary>Number of results that it has seen.</summary>
        public int Seen { get; set; }

        /// <summary>These results, the best first.</summary>
        public List<(double Score, int Place, int Contender)> Sorted { get; } = [];

        /// <summary>The promoted contenders.</summary>
        public HashSet<int> Promoted { get; } = [];

        /// <summary>Whether everything is decided.</summary>
        public bool IsSettled { get; set; }
    }

    private sealed class BestFirst : IComparer<(double Score, int Place, int Contender)>
    {
        public static BestFirst Instance { get; } = new();

        public int Compare((double Score, int Place, int Contender) x, (double Score, int Place, int Contender) y) =>
            x.Score != y.Score ? y.Score.CompareTo(x.Score) : x.Place.CompareTo(y.Place);
    }
}
