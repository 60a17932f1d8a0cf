using System.Globalization;
using TorchBridge.Testing;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Benchmarks;

/// <summary>
/// What each ingredient of the recipes <c>fast</c> and <c>pooled</c> contributes, at a reduced size: test accuracy on
/// CIFAR-10 (JPEG) with all of them and without each one, paired by seed. A quarter of the width, a part of the
/// training pictures, all 10,000 test pictures; bfloat16 where the processor supports it.
/// </summary>
internal static class IngredientsSubject
{
    private const int Seeds = 2,
        Pictures = 10_000,
        Epochs = 12,
        WindowEpochs = 7,
        BatchSize = 64,
        PooledEpochs = 8,
        PooledBatchSize = 256,
        Width = 16;
    private const double LearningRate = 0.1,
        WarmUpEpochs = 1.7;

    /// <summary>Name of the variant in which nothing is left out.</summary>
    private const string All = "nothing";

    /// <summary>The ingredients of the recipe <c>pooled</c>.</summary>
    private static IReadOnlyList<(string Name, Func<RunConfiguration, RunConfiguration> Without)> Pooled { get; } =
    [
        ("pooled_form", run => run with { Network = run.Network with { Form = BlockForm.Residual } }),
        ("gelu", run => run with { Network = run.Network with { Activation = ActivationKind.Relu } }),
        ("dirac", run => run with { Network = run.Network with { Initialization = InitializationKind.KaimingNormal } }),
        ("fixed_whitening", Training(recipe => recipe with { WhiteningEpochs = 0 })),
        // The best learning rate for SGD alone, found with a prototype of this form.
        ("muon", Training(recipe => recipe with { Optimizer = OptimizerKind.Sgd, LearningRate = 0.5 })),
        ("norm_bias_rate", Training(recipe => recipe with { NormBiasRate = 1 })),
        ("decoupled_decay", Training(recipe => recipe with { DecoupledDecay = false, WeightDecay = 0.0005 })),
        ("weight_decay", Training(recipe => recipe with { WeightDecay = 0 })),
        ("label_smoothing", Training(recipe => recipe with { LabelSmoothing = 0 })),
        ("moves", Training(recipe => recipe with { Augmentation = recipe.Augmentation with { CropPadding = 0 } })),
        ("flips", Training(recipe => recipe with { Augmentation = recipe.Augmentation with { Flip = FlipKind.None } })),
    ];

    /// <summary>The ingredients of the recipe <c>fast</c>.</summary>
    private static IReadOnlyList<(string Name, Func<Recipe, Recipe> Without)> Fast { get; } =
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
        var pooled = RunConfiguration.Named("pooled");
        pooled = pooled with
        {
            Training = pooled.Training with { Epochs = PooledEpochs, BatchSize = PooledBatchSize },
            Network = pooled.Network with { Channels = Width, SecondChannels = 4 * Width, ThirdChannels = 4 * Width },
        };
        var content = DataFingerprint.ContentOf(DataSource.Load(cifar, 32, 1).Data);
        var runs = (
            from seed in Enumerable.Range(1, Seeds)
            from variant in Variants("fast", fast, [.. Fast.Select(item => (item.Name, Training(item.Without)))])
                .Concat(Variants("pooled", pooled, Pooled))
            select (
                variant.Name,
                Request: new RunRequest(variant.Configuration, cifar, Pictures, seed)
                {
                    Precision = ComputeOptions.HasBfloat16 ? Precision.Bfloat16 : Precision.Float32,
                    Content = content,
                }
            )
        ).ToArray();
        var accuracies = Accuracies(runs).GetAwaiter().GetResult();
        double[] Of(string name) => [.. Enumerable.Range(1, Seeds).Select(seed => accuracies[(name, seed)])];
        var measurement = new Measurement("ingredients");
        foreach (
            var (recipe, names) in ((string, IEnumerable<string>)[])
                [("fast", Fast.Select(item => item.Name)), ("pooled", Pooled.Select(item => item.Name))]
        )
        {
            var all = Of(NameOf(recipe, All));
            measurement.Figure($"{recipe}_accuracy_percent", all);
            foreach (var name in names)
            {
                var without = Of(NameOf(recipe, name));
                measurement.Figure($"{recipe}_accuracy_percent_without_{name}", without);
                measurement.Figure($"{recipe}_points_by_{name}", [.. all.Zip(without, (with, left) => with - left)]);
            }
        }

        return measurement;
    }

    private static Func<RunConfiguration, RunConfiguration> Training(Func<Recipe, Recipe> change) =>
        run => run with { Training = change(run.Training) };

    private static string NameOf(string recipe, string ingredient) => $"{recipe}, {ingredient}";

    private static IEnumerable<(string Name, RunConfiguration Configuration)> Variants(
        string recipe,
        RunConfiguration whole,
        IReadOnlyList<(string Name, Func<RunConfiguration, RunConfiguration> Without)> ingredients
    ) =>
        ingredients
            .Select(item => (NameOf(recipe, item.Name), item.Without(whole)))
            .Prepend((NameOf(recipe, All), whole));

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
                    $"{accuracies.Count} of {runs.Length}  {name}, "
                        + $"seed {result.Request.Seed}: {result.TestAccuracy:P2} (training "
                        + $"{result.TrainingAccuracy:P1}), {result.Seconds:F0} s"
                )
            );
        }

        return accuracies;
    }
}
