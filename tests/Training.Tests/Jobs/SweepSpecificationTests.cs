using TorchBridge.Training.Jobs;
using TorchBridge.Training.Networks;

namespace TorchBridge.Training.Tests.Jobs;

public class SweepSpecificationTests
{
    [Fact]
    public void A_grid_is_every_combination_with_every_seed()
    {
        var trials = Trials(
            """
            { "pictures": 60, "seeds": [3, 5], "grid": { "training.learning_rate": [0.001, 0.003], "network.norm": ["batch", "group"] } }
            """
        );
        Assert.Equal(8, trials.Count);
        Assert.Equal(
            [(0.001, NormKind.Batch, 3), (0.001, NormKind.Batch, 5), (0.001, NormKind.Group, 3)],
            trials
                .Take(3)
                .Select(trial =>
                    (trial.Configuration.Training.LearningRate, trial.Configuration.Network.Norm, trial.Seed)
                )
        );
        Assert.All(trials, trial => Assert.Equal(60, trial.Pictures));
        Assert.Equal(8, trials.Select(trial => trial.Key).Distinct().Count());
    }

    [Fact]
    public void A_list_changes_what_it_names_and_nothing_else()
    {
        var trials = Trials(
            """{ "recipe": "bare", "list": [ {}, { "network.dropout": 0.25, "training.epochs": 2 } ] }"""
        );
        Assert.Equal(2, trials.Count);
        Assert.Equal((0.25, 2), (trials[1].Configuration.Network.Dropout, trials[1].Configuration.Training.Epochs));
        Assert.Equal(trials[0].Configuration.Training with { Epochs = 2 }, trials[1].Configuration.Training);
    }

    [Fact]
    public void Random_draws_are_within_their_range_and_the_same_each_time()
    {
        const string text = """
            { "random": { "trials": TRIALS, "seed": 4, "settings": {
                "training.learning_rate": { "low": 0.0001, "high": 0.01, "logarithmic": true },
                "network.dropout": { "low": 0.1, "high": 0.2 }, "training.batch_size": [16, 32] } } }
            """;
        var trials = Trials(text.Replace("TRIALS", "200", StringComparison.Ordinal));
        Assert.Equal(200, trials.Count);
        Assert.All(trials, trial =>
        {
            Assert.InRange(trial.Configuration.Training.LearningRate, 0.0001, 0.01);
            Assert.InRange(trial.Configuration.Network.Dropout, 0.1, 0.2);
            Assert.Contains(trial.Configuration.Training.BatchSize, (int[])[16, 32]);
        });
        // On a logarithmic scale half of them are below the middle, 0.001: 100 of 200, give or take four deviations.
        Assert.InRange(trials.Count(trial => trial.Configuration.Training.LearningRate < 0.001), 72, 128);
        // More trials change none of the first ones.
        Assert.Equal(
            trials.Take(10).Select(trial => trial.Key),
            Trials(text.Replace("TRIALS", "10", StringComparison.Ordinal)).Select(trial => trial.Key)
        );
    }

    [Fact]
    public void Halving_is_a_part_of_the_job_and_a_third_goes_on_where_nothing_is_said()
    {
        static Halving? Of(string halving) =>
            SweepSpecification.Parse("sweep", $$"""{ "list": [ {} ]{{halving}} }""").Job(null).Halving;
        Assert.Null(Of(""));
        Assert.Equal(new Halving(5, 3), Of(""", "halving": { "epochs": 5 }"""));
        Assert.Equal(new Halving(2, 4), Of(""", "halving": { "epochs": 2, "factor": 4 }"""));
    }

    [Theory]
    [InlineData("[]", "not an object")]
    [InlineData("{", "not a sweep")]
    [InlineData("{}", "exactly one of")]
    [InlineData("""{ "grid": {}, "list": [] }""", "exactly one of")]
    [InlineData("""{ "gird": {} }""", "gird is unknown")]
    [InlineData("""{ "grid": {} }""", "grid must be an object with settings")]
    [InlineData("""{ "grid": { "training.learning_rate": 1 } }""", "must be an array of values")]
    [InlineData("""{ "grid": { "training.learning_rat": [1] } }""", "there is no setting training.learning_rat")]
    [InlineData("""{ "grid": { "learning_rate": [1] } }""", "there is no setting learning_rate")]
    [InlineData("""{ "grid": { "training.learning_rate": [99] } }""", "allowed is")]
    [InlineData("""{ "grid": { "training.learning_rate": ["high"] } }""", "allowed is")]
    [InlineData("""{ "grid": { "training.epochs": [1.5] } }""", "a whole number")]
    [InlineData("""{ "list": [ {} ], "seeds": [1, 1] }""", "contains a seed twice")]
    [InlineData("""{ "list": [ {} ], "seeds": [] }""", "must be an array of whole numbers")]
    [InlineData("""{ "list": [ {} ], "seeds": [1.5] }""", "a seed is 1.5")]
    [InlineData("""{ "list": [ {} ], "pictures": 3 }""", "pictures is 3")]
    [InlineData("""{ "list": [ {} ], "recipe": "lessen" }""", "lessen")]
    [InlineData("""{ "random": { "trials": 0, "settings": { "network.dropout": [0] } } }""", "trials is 0")]
    [InlineData(
        """{ "random": { "trials": 1, "settings": { "network.dropout": { "low": 1, "high": 0 } } } }""",
        "below high"
    )]
    [InlineData(
        """{ "random": { "trials": 1, "settings": { "network.dropout": { "low": 0, "high": 1, "logarithmic": true } } } }""",
        "above 0"
    )]
    [InlineData("""{ "list": [ {} ], "halving": 3 }""", "halving must have epochs")]
    [InlineData("""{ "list": [ {} ], "halving": { "factor": 3 } }""", "halving must have epochs")]
    [InlineData("""{ "list": [ {} ], "halving": { "epochs": 1, "rate": 3 } }""", "halving must have epochs")]
    [InlineData("""{ "list": [ {} ], "halving": { "epochs": 0 } }""", "halving: epochs is 0")]
    [InlineData("""{ "list": [ {} ], "halving": { "epochs": 1, "factor": 1 } }""", "halving: factor is 1")]
    [InlineData("""{ "list": [ { "training.epochs": 4 } ], "halving": { "epochs": 4 } }""", "halving: epochs is 4")]
    [InlineData("""{ "list": [ { "training.epochs": 1 } ], "halving": { "epochs": 1 } }""", "at least 2 epochs")]
    [InlineData(
        """{ "grid": { "training.epochs": [4, 8] }, "halving": { "epochs": 1 } }""",
        "training.epochs differs (4 to 8)"
    )]
    public void What_is_no_sweep_is_refused_with_its_reason(string text, string reason) =>
        Assert.Contains(reason, Assert.Throws<UserException>(() => Trials(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_grid_that_would_not_end_is_refused_before_it_is_made()
    {
        var axes = string.Join(
            ", ",
            Enumerable
                .Range(0, 12)
                .Select(axis => $"\"network.x{axis}\": [{string.Join(", ", Enumerable.Range(0, 30))}]")
        );
        Assert.Contains(
            "more than 100,000 trials",
            Assert.Throws<UserException>(() => Trials($$"""{ "grid": { {{axes}} } }""")).Message,
            StringComparison.Ordinal
        );
    }

    private static IReadOnlyList<Ablation.RunRequest> Trials(string text) =>
        SweepSpecification.Parse("sweep", text).Job(null).Trials;
}
