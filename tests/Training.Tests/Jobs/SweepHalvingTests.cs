using System.Text;
using System.Text.Json;
using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Grains;
using TorchBridge.Scale.Publishing;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Jobs;

namespace TorchBridge.Training.Tests.Jobs;

public class SweepHalvingTests
{
    [Fact]
    public void A_paused_trial_that_goes_on_is_the_trial_that_never_paused_bit_by_bit()
    {
        using var folder = new TempFolder();
        var request = Sweep(1, epochs: 4).Trials[0];
        var whole = Json.Text(AblationRun.Do(request, TestContext.Current.CancellationToken) with { Seconds = 0 });
        var checkpoint = folder["trial.checkpoint.safetensors"];
        var first = AblationRun.Until(request, 1, checkpoint, TestContext.Current.CancellationToken);
        var second = AblationRun.Until(request, 3, checkpoint, TestContext.Current.CancellationToken);
        Assert.Equal((1, 3), (first.ValidationCurve.Count, second.ValidationCurve.Count));
        // A worker that was thought dead does the first part once more: the same, though the trial has gone further.
        Assert.Equal(
            Json.Text(first),
            Json.Text(AblationRun.Until(request, 1, checkpoint, TestContext.Current.CancellationToken))
        );
        var resumed = AblationRun.Do(request, TestContext.Current.CancellationToken, checkpoint) with { Seconds = 0 };
        Assert.Equal(whole, Json.Text(resumed));
        Assert.Equal(second.ValidationCurve, resumed.ValidationCurve.Take(3));
    }

    [Fact]
    public void Settings_go_on_or_end_by_their_mean_over_the_seeds_and_the_log_says_which_and_why()
    {
        using var folder = new TempFolder();
        var (work, results) = Open(folder, Sweep(6, epochs: 9, seeds: 2), new Halving(1, 3));
        Assert.Equal((12 * 3, 12 * 2), (work.Count, work.Held));
        Assert.Equal([1, 3, 9], work.Rungs);
        var said = new List<string>();
        var halving = new SweepHalving(work, results, said.Add);
        Assert.Empty(halving.Decide(new JobProgress()));

        // Two seeds a setting: what counts is their mean.
        double[] accuracies = [0.3, 0.2, 0.6, 0.1, 0.4, 0.5];
        foreach (var trial in Shuffled(12))
            Publish(work, results, trial, 0, accuracies[trial / 2] + (0.002 * (trial % 2)));
        var verdicts = halving.Decide(new JobProgress());
        // Of the first three the third, of all six the last too: their trials up to the next rung are opened.
        int[] opened = [.. verdicts.Where(verdict => verdict.IsOpened).Select(verdict => verdict.Index)];
        Assert.Equal(((int[])[4, 5, 10, 11]).Select(trial => work.IndexOf(trial, 1)).Order(), opened.Order());
        // The others end: what they would have been says so, at every rung above.
        Assert.Equal(4 * 2 * 2, verdicts.Count(verdict => verdict is { IsOpened: false, Error: null }));
        var ended = JsonSerializer.Deserialize<EndedTrial>(
            File.ReadAllText(results.FileOf(work.Item(work.IndexOf(6, 2)))),
            Json.Options
        )!;
        Assert.Equal(new HalvingDecision(false, 1, 0.101, 6, 6), ended.Ended with { ValidationAccuracy = 0.101 });
        Assert.Equal(0.101, ended.Ended.ValidationAccuracy, 12);
        Assert.Contains("setting 3 (network.dropout 0.3) ends after 1: validation accuracy 10.1 %, rank 6 of 6.", said);
        Assert.Contains(
            "setting 5 (network.dropout 0.5) continues to 3 epochs after 1: validation accuracy 50.1 %, rank 2 of 6 so far.",
            said
        );
        Assert.Equal(6, said.Count);

        // A process that continues the sweep repeats no decision and no message.
        var again = new List<string>();
        Assert.Equal(
            verdicts.Select(verdict => (verdict.Index, verdict.IsOpened)).Order(),
            new SweepHalving(work, results, again.Add)
                .Decide(new JobProgress())
                .Select(verdict => (verdict.Index, verdict.IsOpened))
                .Order()
        );
        Assert.Empty(again);

        // One of three is none of two: the best of the two goes to the end.
        foreach (var trial in (int[])[4, 5, 10, 11])
            Publish(work, results, work.IndexOf(trial, 1), 1, trial < 10 ? 0.9 : 0.8);
        verdicts = halving.Decide(new JobProgress());
        Assert.Equal(
            [work.IndexOf(4, 2), work.IndexOf(5, 2)],
            verdicts.Where(verdict => verdict.IsOpened).Select(verdict => verdict.Index)
        );
        foreach (var trial in (int[])[4, 5])
            PublishEnd(work, results, trial);
        var found = results.Verify(work);
        Assert.Equal((36, 36), (found.Items, found.Done));
        Assert.Empty(found.Problems);

        var page = SweepReport.Write(folder["job"]).Single(file => file.EndsWith(".html", StringComparison.Ordinal));
        var text = File.ReadAllText(page);
        Assert.Equal(3, PageCheck.StandsAlone(text)); // all together, the curves, and the one setting
        Assert.Contains("Settings that ended early, and why", text, StringComparison.Ordinal);
        var lines = File.ReadAllLines(folder["job", "sweep.csv"]);
        Assert.Equal(13, lines.Length);
        Assert.EndsWith(",ended_after", lines[0], StringComparison.Ordinal);
        Assert.EndsWith(",false,1", lines[1], StringComparison.Ordinal);
        Assert.EndsWith(",false,3", lines[12], StringComparison.Ordinal);
        Assert.EndsWith(",false,", lines[5], StringComparison.Ordinal);
    }

    [Fact]
    public void A_setting_whose_trial_fails_ends_and_holds_nobody_up()
    {
        using var folder = new TempFolder();
        var (work, results) = Open(folder, Sweep(3, epochs: 4), new Halving(1, 3));
        Publish(work, results, 1, 0, 0.2);
        Publish(work, results, 2, 0, 0.4);
        var halving = new SweepHalving(work, results, _ => { });
        Assert.Empty(halving.Decide(new JobProgress()));
        var aside = new JobProgress { AllSetAside = [work.IndexOf(0, 0)] };
        var verdicts = halving.Decide(aside);
        Assert.Equal(
            [work.IndexOf(2, 1)],
            verdicts.Where(verdict => verdict.IsOpened).Select(verdict => verdict.Index)
        );
        var failed = verdicts.Where(verdict => verdict.Error is not null).ToArray();
        Assert.Equal([work.IndexOf(0, 1), work.IndexOf(0, 2)], failed.Select(verdict => verdict.Index));
        Assert.Contains("failed before epoch 1", failed[0].Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_is_trained_on_before_that_is_decided()
    {
        using var folder = new TempFolder();
        var (work, _) = Open(folder, Sweep(3, epochs: 4), new Halving(2, 3));
        var error = Assert.Throws<UserException>(() =>
            work.Do(work.Item(work.IndexOf(1, 1)), new MemoryStream(), TestContext.Current.CancellationToken)
        );
        Assert.Contains("Trial 1 cannot continue from 2 to 4 epochs yet", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 3, 2, new[] { 1, 2 })]
    [InlineData(5, 3, 60, new[] { 5, 15, 45, 60 })]
    [InlineData(1, 2, 8, new[] { 1, 2, 4, 8 })]
    [InlineData(9999, 100, 10_000, new[] { 9999, 10_000 })]
    public void Rungs_multiply_up_to_the_whole_trial(int epochs, int factor, int all, int[] rungs) =>
        Assert.Equal(rungs, new Halving(epochs, factor).Rungs(all));

    private static void Publish(SweepWork work, ResultFolder results, int itemOrTrial, int rung, double accuracy)
    {
        var index = rung == 0 ? work.IndexOf(itemOrTrial, 0) : itemOrTrial;
        var request = work.Trials[work.PlaceOf(index).Trial];
        results.DoOnce(
            new Written(Json.Text(new RungResult(request, work.Rungs[rung], accuracy, [accuracy], Diverged: false))),
            work.Item(index),
            CancellationToken.None
        );
    }

    private static void PublishEnd(SweepWork work, ResultFolder results, int trial) =>
        results.DoOnce(
            new Written(
                Json.Text(
                    new Ablation.RunResult(
                        work.Trials[trial],
                        0.9,
                        0.9,
                        0.9,
                        0.1,
                        4,
                        [0.1, 0.5, 0.7, 0.9],
                        Diverged: false,
                        0
                    )
                )
            ),
            work.Item(work.IndexOf(trial, work.Rungs.Count - 1)),
            CancellationToken.None
        );

    private static IEnumerable<int> Shuffled(int count)
    {
        var indices = Enumerable.Range(0, count).ToArray();
        new Random(7).Shuffle(indices);
        return indices;
    }

    private static SweepJob Sweep(int settings, int epochs, int seeds = 1)
    {
        var text = $$"""
            { "pictures": 60, "seeds": [{{string.Join(", ", Enumerable.Range(1, seeds))}}],
              "recipe": { "training": { "epochs": {{epochs}} }, "network": { "channels": 8 } },
              "grid": { "network.dropout": [{{string.Join(
                ", ",
                Enumerable.Range(0, settings).Select(i => $"0.{i}")
            )}}] } }
            """;
        return SweepSpecification.Parse("test", text).Job(null);
    }

    private static (SweepWork Work, ResultFolder Results) Open(TempFolder folder, SweepJob job, Halving halving)
    {
        JobFolder.Write(folder["job"], job with { Halving = halving });
        var (work, results) = JobFolder.Open(folder["job"]);
        return ((SweepWork)work, results);
    }

    /// <summary>Work that gives what it is told.</summary>
    private sealed class Written(string text) : IWork
    {
        public int Count => 1;

        public WorkItem Item(int index) => throw new NotSupportedException();

        public ResultFacts Do(WorkItem item, Stream output, CancellationToken stop)
        {
            output.Write(Encoding.UTF8.GetBytes(text));
            return new ResultFacts(1, 0);
        }

        public void Dispose() { }
    }
}
