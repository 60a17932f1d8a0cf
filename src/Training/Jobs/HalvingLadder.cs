// Asynchronous successive halving: Li, Jamieson, Rostamizadeh, Gonina, Hardt, Recht, Talwalkar, "A System for Massively
// Parallel Hyperparameter Tuning", MLSys 2020, algorithm 2. Of the k contenders that a rung has seen, the best k / factor
// may go on as soon as they are among them: nobody waits for the whole rung.
// One thing differs. There, results count in the order in which they arrive, so the same results may decide otherwise
// on another number of workers. Here they count in the order in which the contenders came to the rung: a result waits
// for those before it, not for those behind. So what is decided depends on the results alone. The work that nobody has
// to wait with is done meanwhile.
namespace TorchBridge.Training.Jobs;

/// <summary>What a contender's result at a rung is.</summary>
internal enum RungState
{
    /// <summary>There is none yet.</summary>
    Open,

    /// <summary>There is one.</summary>
    Scored,

    /// <summary>There will be none: it failed as often as is allowed.</summary>
    Failed,
}

/// <summary>What becomes of a contender after a rung.</summary>
/// <param name="Contender">Which, from 0.</param>
/// <param name="Rung">The rung that decided, from 0.</param>
/// <param name="Kind">Whether it goes on, ends, or failed.</param>
/// <param name="Score">Its result there; of one that failed 0.</param>
/// <param name="Rank">Its place among those that the rung had seen, from 1.</param>
/// <param name="Seen">How many those were.</param>
internal sealed record LadderStep(int Contender, int Rung, LadderStepKind Kind, double Score, int Rank, int Seen);

/// <summary>What becomes of a contender.</summary>
internal enum LadderStepKind
{
    /// <summary>It goes on to the next rung.</summary>
    GoesOn,

    /// <summary>It ends here.</summary>
    Ends,

    /// <summary>It failed here.</summary>
    Fails,
}

/// <summary>Decides who climbs. It goes as far as there are results, and from there on when there are more.</summary>
internal sealed class HalvingLadder
{
    private readonly int factor;
    private readonly Rung[] rungs;

    /// <summary>All contenders are at the first rung.</summary>
    /// <param name="contenders">How many.</param>
    /// <param name="rungs">Rungs, of which the last decides nothing.</param>
    /// <param name="factor">One of so many goes on.</param>
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

    /// <summary>Goes as far as the results do.</summary>
    /// <param name="result">The result of a contender at a rung.</param>
    /// <returns>What was decided by this call, in its order.</returns>
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

    /// <summary>A rung sees one more result: those that are among the best by it go on.</summary>
    private void See(int number, int contender, double score, List<LadderStep> steps)
    {
        var rung = rungs[number];
        // Of equals, the one that came first is before.
        var entry = (Score: double.IsNaN(score) ? double.NegativeInfinity : score, Place: rung.Seen++, contender);
        var at = rung.Sorted.BinarySearch(entry, BestFirst.Instance);
        rung.Sorted.Insert(~at, entry);
        var quota = rung.Seen / factor;
        // Only the new one, and the one that a larger quota now reaches, can have come among the best.
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

    /// <summary>A rung has seen all that it will see: who has not gone on ends here. Where too few came for anybody to
    /// go on, the best one does: of a sweep at least one trial is trained to its end.</summary>
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
        /// <summary>In the order in which they came.</summary>
        public List<int> Entrants { get; } = [];

        /// <summary>Whether nobody else will come.</summary>
        public bool IsClosed { get; set; }

        /// <summary>How many of the entrants' results it has seen.</summary>
        public int Seen { get; set; }

        /// <summary>Those, the best first.</summary>
        public List<(double Score, int Place, int Contender)> Sorted { get; } = [];

        /// <summary>Who has gone on.</summary>
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
