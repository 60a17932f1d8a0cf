using TorchBridge.Training.Ablation;
using TorchBridge.Training.Jobs;

namespace TorchBridge.Training.Tests.Jobs;

public class SweepReportTests
{
    [Fact]
    public void A_change_of_one_setting_is_compared_where_all_else_is_equal_and_its_interval_is_over_the_seeds()
    {
        // Dropout costs 2 points with one rate and 4 with the other; the seeds differ by 1 point in both directions.
        var trials = Trials(
            """
            { "pictures": 60, "seeds": [1, 2, 3], "grid": {
                "network.dropout": [0, 0.2], "training.learning_rate": [0.001, 0.003] } }
            """,
            request =>
                0.8
                - (request.Configuration.Network.Dropout > 0 ? 0.01 * (request.Seed - 2) : 0)
                - (request.Configuration.Network.Dropout > 0 ? Costs(request) : 0)
        );
        static double Costs(RunRequest request) => request.Configuration.Training.LearningRate < 0.002 ? 0.02 : 0.04;
        var keys = SweepReport.VariedKeys([.. trials.Select(trial => trial.Settings)]);
        Assert.Equal(["network.dropout", "training.learning_rate"], keys);
        var effects = SweepReport.Effects(trials, keys);
        Assert.Equal(
            [("network.dropout", "0", "0.2", 6), ("training.learning_rate", "0.001", "0.003", 6)],
            effects.Select(effect => (effect.Key, effect.From, effect.To, effect.Pairs))
        );
        Assert.Equal(-0.03, effects[0].Effect.Mean, 12);
        // Three differences, -0.02, -0.03 and -0.04: s = 0.01, t(0.975, 2) = 4.303.
        Assert.Equal(4.303 * 0.01 / Math.Sqrt(3), effects[0].Effect.HalfWidth, 12);
        Assert.True(effects[0].Effect.IsSignificant);
        // Half of the trials have no dropout, and no difference: -0.01 for every seed.
        Assert.Equal(-0.01, effects[1].Effect.Mean, 12);
    }

    [Fact]
    public void Random_draws_differ_in_everything_and_no_setting_is_judged_alone()
    {
        var trials = Trials(
            """
            { "random": { "trials": 6, "settings": { "network.dropout": { "low": 0, "high": 0.5 },
                "training.learning_rate": { "low": 0.001, "high": 0.01 } } } }
            """,
            _ => 0.5
        );
        var keys = SweepReport.VariedKeys([.. trials.Select(trial => trial.Settings)]);
        Assert.Equal(2, keys.Count);
        Assert.Empty(SweepReport.Effects(trials, keys));
        Assert.Equal(6, SweepReport.Groups(trials, keys).Count);
    }

    [Fact]
    public void Draws_that_agree_in_many_digits_are_still_two_settings()
    {
        var trials = Trials(
            """{ "seeds": [1, 2], "list": [ { "network.dropout": 0.12345678 }, { "network.dropout": 0.12345679 } ] }""",
            request => request.Configuration.Network.Dropout
        );
        var groups = SweepReport.Groups(trials, ["network.dropout"]);
        Assert.Equal([2, 2], groups.Select(group => group.Trials.Count));
        Assert.Equal("0.12345679", groups[0].Trials[0].Settings["network.dropout"]);
        Assert.Null(groups[0].Difference);
        Assert.Equal(-1e-8, groups[1].Difference!.Mean, 15);
    }

    /// <summary>The trials of a sweep's text with made-up accuracies, validation and test alike.</summary>
    internal static IReadOnlyList<SweepTrial> Trials(string text, Func<RunRequest, double> accuracy) =>
        [
            .. SweepSpecification
                .Parse("test", text)
                .Job(null)
                .Trials.Select(
                    (request, index) =>
                        SweepTrial.Of(
                            index,
                            new Ablation.RunResult(
                                request,
                                accuracy(request),
                                accuracy(request),
                                accuracy(request),
                                0.1,
                                1,
                                [accuracy(request)],
                                Diverged: false,
                                0
                            )
                        )
                ),
        ];
}
