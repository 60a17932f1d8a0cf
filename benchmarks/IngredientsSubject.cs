using System.Globalization;
using TorchBridge.Testing;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Benchmarks;

/// <summary>
/// What each ingredient of the recipe <c>fast</c> brings, in small: test accuracy on CIFAR-10 (JPEG) with all of them
/// and without each, paired by seed. Width 16, a part of the training pictures and a third of the epochs, all 10,000
/// test pictures; bfloat16 where the processor has it.
/// </summary>
internal static class IngredientsSubject
{
    private const int Seeds = 2,
        Pictures = 10_000,
        Epochs = 12,
        WindowEpochs = 7,
        BatchSize = 64,
        Width = 16;
    private const double LearningRate = 0.1,
        WarmUpEpochs = 1.7;
    private const string All = "all";

    private static IReadOnlyList<(string Name, Func<Recipe, Recipe> Without)> Ingredients { get; } =
    [
        ("windows", recipe => recipe with { WindowEpochs = 0 }),
        ("crop", recipe => recipe with { Augmentation = recipe.Augmentation with { CropPadding = 0 } }),
        ("mirrored_fill", recipe => recipe with { Augmentation = recipe.Augmentation with { Fill = FillKind.Black } }),
        ("flips", recipe => recipe with { Augmentation = recipe.Augmentation with { Flip = FlipKind.None } }),
        ("alternation_of_flips", recipe =>
            recipe with
            {
                Augmentation = recipe.Augmentation with { Flip = FlipKind.Random },
            }
        ),
        ("cutout", recipe => recipe with { Augmentation = recipe.Augmentation with { Cutout = 0 } }),
        ("label_smoothing", recipe => recipe with { LabelSmoothing = 0 }),
        ("weight_decay", recipe => recipe with { WeightDecay = 0 }),
        ("no_decay_of_norms", recipe => recipe with { DecayNormsAndBiases = true }),
        ("warm_up", recipe => recipe with { WarmUpEpochs = 0 }),
        ("line_instead_of_cosine", recipe => recipe with { Schedule = ScheduleKind.Cosine }),
        ("sgd_instead_of_adam_w", recipe =>
            recipe with
            {
                Optimizer = OptimizerKind.AdamW,
                LearningRate = 0.003,
                WeightDecay = 0.05,
            }
        ),
    ];

    public static Measurement Run()
    {
        var cifar = Shared.Find("data", "cifar10-jpeg.tar.gz")
            ?? throw new FileNotFoundException("this subject needs ../shared/data/cifar10-jpeg.tar.gz");
        var fast = RunConfiguration.Named("fast");
        fast = fast with
        {
            Training = fast.Training with
            {
                Epochs = Epochs,
                WindowEpochs = WindowEpochs,
                BatchSize = BatchSize,
                LearningRate = LearningRate,
                WarmUpEpochs = WarmUpEpochs,
            },
            Network = fast.Network with { Channels = Width },
        };
        var precision = ComputeOptions.HasBfloat16 ? Precision.Bfloat16 : Precision.Float32;
        var runs = (
            from seed in Enumerable.Range(1, Seeds)
            from ingredient in Ingredients.Prepend((Name: All, Without: recipe => recipe))
            select (
                ingredient.Name,
                Request: new RunRequest(
                    fast with
                    {
                        Training = ingredient.Without(fast.Training),
                    },
                    cifar,
                    Pictures,
                    seed
                )
                {
                    Precision = precision,
                }
            )
        ).ToArray();
        var accuracies = Accuracies(runs).GetAwaiter().GetResult();
        double[] Of(string name) => [.. Enumerable.Range(1, Seeds).Select(seed => accuracies[(name, seed)])];
        var measurement = new Measurement("ingredients").Figure("accuracy_percent", Of(All));
        foreach (var (name, _) in Ingredients)
        {
            measurement.Figure($"accuracy_percent_without_{name}", Of(name));
            measurement.Figure($"points_by_{name}", [.. Of(All).Zip(Of(name), (all, without) => all - without)]);
        }

        return measurement;
    }

    private static async Task<Dictionary<(string Name, int Seed), double>> Accuracies(
        (string Name, RunRequest Request)[] runs
    )
    {
        var names = runs.ToDictionary(run => run.Request.Key, run => run.Name, StringComparer.Ordinal);
        var accuracies = new Dictionary<(string Name, int Seed), double>();
        await foreach (
            var result in new ProcessScheduler(Environment.ProcessorCount)
                .Run([.. runs.Select(run => run.Request)], CancellationToken.None)
                .ConfigureAwait(false)
        )
        {
            var name = names[result.Request.Key];
            accuracies[(name, result.Request.Seed)] = 100 * result.TestAccuracy;
            Console.Error.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{accuracies.Count} of {runs.Length}  {(name == All ? name : $"without {name}")}, "
                        + $"seed {result.Request.Seed}: {result.TestAccuracy:P2} (training "
                        + $"{result.TrainingAccuracy:P1}), {result.Seconds:F0} s"
                )
            );
        }

        return accuracies;
    }
}
