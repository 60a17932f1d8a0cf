using TorchBridge.Training.Jobs;

namespace TorchBridge.Training.Tests.Jobs;

public class HalvingLadderTests
{
    [Fact]
    public void The_best_third_goes_on_as_soon_as_it_is_among_the_best_and_the_others_end_when_all_are_seen()
    {
        double[] scores = [0.5, 0.4, 0.9, 0.3, 0.6, 0.7];
        var ladder = new HalvingLadder(6, 2, 3);
        var seen = 0;
        (RungState, double) Result(int contender, int rung) =>
            contender < seen ? (RungState.Scored, scores[contender]) : (RungState.Open, 0);
        seen = 2;
        Assert.Empty(ladder.Advance(Result));
        seen = 3; // one of three may continue
        Assert.Equal([new LadderStep(2, 0, LadderStepKind.GoesOn, 0.9, 1, 3)], ladder.Advance(Result));
        seen = 5;
        Assert.Empty(ladder.Advance(Result));
        seen = 6; // two of six
        Assert.Equal(
            [
                new LadderStep(5, 0, LadderStepKind.GoesOn, 0.7, 2, 6),
                new LadderStep(4, 0, LadderStepKind.Ends, 0.6, 3, 6),
                new LadderStep(0, 0, LadderStepKind.Ends, 0.5, 4, 6),
                new LadderStep(1, 0, LadderStepKind.Ends, 0.4, 5, 6),
                new LadderStep(3, 0, LadderStepKind.Ends, 0.3, 6, 6),
            ],
            ladder.Advance(Result)
        );
        Assert.Empty(ladder.Advance(Result));
    }

    [Fact]
    public void Of_equals_the_first_goes_on()
    {
        var steps = new HalvingLadder(4, 2, 2).Advance((_, _) => (RungState.Scored, 0.5));
        Assert.Equal([0, 1], GoneOn(steps, 0));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Where_too_few_came_the_best_goes_to_the_end_all_the_same(int contenders)
    {
        var steps = new HalvingLadder(contenders, 4, 3).Advance((contender, _) => (RungState.Scored, contender));
        for (var rung = 0; rung < 3; rung++)
            Assert.Equal([contenders - 1], GoneOn(steps, rung));
    }

    [Fact]
    public void What_failed_is_last_never_goes_on_and_holds_nobody_up()
    {
        var steps = new HalvingLadder(6, 3, 3).Advance(
            (contender, rung) =>
                contender == 0 || (contender, rung) == (1, 1)
                    ? (RungState.Failed, 0)
                    : (RungState.Scored, 1 - (0.1 * contender))
        );
        Assert.Equal([1, 2], GoneOn(steps, 0));
        Assert.Equal(
            [(0, 0), (1, 1)],
            steps.Where(step => step.Kind == LadderStepKind.Fails).Select(step => (step.Contender, step.Rung))
        );
        Assert.Equal([2], GoneOn(steps, 1));

        // If all fail, none continues, and the ladder ends.
        steps = new HalvingLadder(3, 3, 3).Advance((_, _) => (RungState.Failed, 0));
        Assert.Equal(3, steps.Count(step => step.Kind == LadderStepKind.Fails));
        Assert.Empty(GoneOn(steps, 0));

        // NaN is not a result.
        steps = new HalvingLadder(2, 2, 2).Advance(
            (contender, _) => (RungState.Scored, contender == 0 ? double.NaN : 0)
        );
        Assert.Equal([1], GoneOn(steps, 0));
    }

    /// <summary>The same results, arriving in any order and in any portions, decide the same; and what is decided is
    /// what the rule of the paper says of the results in the contenders' order.</summary>
    [Theory]
    [InlineData(1, 40, 4, 3)]
    [InlineData(2, 27, 3, 3)]
    [InlineData(3, 64, 5, 2)]
    [InlineData(4, 7, 3, 4)]
    [InlineData(5, 100, 2, 10)]
    public void Any_order_of_arrival_decides_the_same(int seed, int contenders, int rungs, int factor)
    {
        var random = new Random(seed);
        // Few values: there are ties.
        var scores = new double[contenders, rungs];
        for (var contender = 0; contender < contenders; contender++)
        for (var rung = 0; rung < rungs; rung++)
            scores[contender, rung] = random.Next(20) / 20.0;
        var expected = Plain(scores, factor);
        for (var order = 0; order < 20; order++)
        {
            var ladder = new HalvingLadder(contenders, rungs, factor);
            var arrived = new HashSet<(int, int)>();
            var waiting = Enumerable.Range(0, contenders).Select(contender => (contender, 0)).ToList();
            var steps = new List<LadderStep>();
            while (waiting.Count > 0)
            {
                for (var some = random.Next(1, 4); some > 0 && waiting.Count > 0; some--)
                {
                    var at = random.Next(waiting.Count);
                    arrived.Add(waiting[at]);
                    waiting.RemoveAt(at);
                }

                var now = ladder.Advance(
                    (contender, rung) =>
                        arrived.Contains((contender, rung))
                            ? (RungState.Scored, scores[contender, rung])
                            : (RungState.Open, 0)
                );
                steps.AddRange(now);
                waiting.AddRange(
                    now.Where(step => step.Kind == LadderStepKind.GoesOn && step.Rung + 1 < rungs - 1)
                        .Select(step => (step.Contender, step.Rung + 1))
                );
            }

            for (var rung = 0; rung < rungs - 1; rung++)
            {
                Assert.Equal(expected[rung], GoneOn(steps, rung));
                // Whoever came to a rung either went on from it or ended there.
                var came = rung == 0 ? Enumerable.Range(0, contenders) : GoneOn(steps, rung - 1);
                Assert.Equal(
                    came.Order(),
                    steps.Where(step => step.Rung == rung).Select(step => step.Contender).Order()
                );
            }
        }
    }

    private static int[] GoneOn(IEnumerable<LadderStep> steps, int rung) =>
        [
            .. steps
                .Where(step => step.Rung == rung && step.Kind == LadderStepKind.GoesOn)
                .Select(step => step.Contender),
        ];

    /// <summary>The rule without anything clever: after each result, all of the best k / factor that have not gone on
    /// yet do.</summary>
    private static List<List<int>> Plain(double[,] scores, int factor)
    {
        var rungs = new List<List<int>>();
        IReadOnlyList<int> entrants = [.. Enumerable.Range(0, scores.GetLength(0))];
        for (var rung = 0; rung < scores.GetLength(1) - 1; rung++)
        {
            var gone = new List<int>();
            for (var seen = 1; seen <= entrants.Count; seen++)
                gone.AddRange(
                    Ranked(entrants.Take(seen), rung)
                        .Take(seen / factor)
                        .Where(contender => !gone.Contains(contender))
                        .ToArray()
                );
            if (gone.Count == 0)
                gone.Add(Ranked(entrants, rung).First());
            rungs.Add(gone);
            entrants = gone;
        }

        return rungs;

        // A stable sort: of equals the one that came first is before.
        IEnumerable<int> Ranked(IEnumerable<int> some, int rung) =>
            some.OrderByDescending(contender => scores[contender, rung]);
    }
}
