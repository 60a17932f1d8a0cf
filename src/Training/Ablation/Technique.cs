using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Ablation;

/// <summary>A technique that can be removed from the full stack or added to the bare network.</summary>
/// <param name="Name">Name in tables.</param>
/// <param name="Copy">Copies its setting from the first configuration to the second.</param>
internal sealed record Technique(string Name, Func<RunConfiguration, RunConfiguration, RunConfiguration> Copy);

/// <summary>A configuration to train, and the variant with which it is compared.</summary>
/// <param name="Name">Name in tables, such as <c>without dropout</c>.</param>
/// <param name="Reference">The variant from which it differs in one technique; null for the two references.</param>
/// <param name="Configuration">The configuration.</param>
internal sealed record Variant(string Name, string? Reference, RunConfiguration Configuration);

/// <summary>The variants of an ablation.</summary>
internal static class AblationPlan
{
    /// <summary>Name of the reference with every technique.</summary>
    public const string Full = "full";

    /// <summary>Name of the reference without any technique.</summary>
    public const string Bare = "bare";

    /// <summary>Prefix of the name of a variant without a technique.</summary>
    public const string Without = "without ";

    /// <summary>The configuration with everything: one of mixup, CutMix and cutout is drawn for each batch.</summary>
    /// <param name="epochs">Number of passes over the training part.</param>
    /// <param name="width">Channels of the first convolution.</param>
    public static RunConfiguration FullStack(int epochs, int width) =>
        new(
            "the full regularization stack",
            new Recipe
            {
                Epochs = epochs,
                BatchSize = 16,
                LearningRate = 0.0015,
                WeightDecay = 0.05,
                DecayNormsAndBiases = false,
                LabelSmoothing = 0.1,
                Mixup = 0.2,
                CutMix = 1,
                GradientClipping = 1,
                Patience = 10,
                Augmentation = new AugmentationOptions(4, FlipKind.Random, 0.2, 0, 8),
            },
            new NetworkOptions
            {
                Channels = width,
                Dropout = 0.2,
                Initialization = InitializationKind.KaimingNormal,
            }
        );

    /// <summary>The configuration without any technique: a plain network, a constant learning rate, all
    /// epochs.</summary>
    /// <param name="epochs">Number of passes over the training part.</param>
    /// <param name="width">Channels of the first convolution.</param>
    public static RunConfiguration BareNetwork(int epochs, int width) =>
        new(
            "no regularization at all",
            new Recipe
            {
                Epochs = epochs,
                BatchSize = 16,
                LearningRate = 0.0015,
                WeightDecay = 0,
                LabelSmoothing = 0,
                GradientClipping = 0,
                Patience = 0,
                Schedule = ScheduleKind.Constant,
                Augmentation = AugmentationOptions.None,
            },
            new NetworkOptions
            {
                Channels = width,
                Dropout = 0,
                Form = BlockForm.Plain,
                Norm = NormKind.None,
                Initialization = InitializationKind.XavierUniform,
            }
        );

    /// <summary>The techniques, in the lesson's order.</summary>
    public static IReadOnlyList<Technique> Techniques { get; } =
    [
        Network("BatchNorm", (from, to) => to with { Norm = from.Norm }),
        Network("residual shortcuts", (from, to) => to with { Form = from.Form }),
        Network("dropout", (from, to) => to with { Dropout = from.Dropout }),
        Training("weight decay", (from, to) => to with { WeightDecay = from.WeightDecay }),
        Training("augmentation", (from, to) =>
            to with
            {
                Augmentation = from.Augmentation with { Cutout = to.Augmentation.Cutout },
            }
        ),
        Training("label smoothing", (from, to) => to with { LabelSmoothing = from.LabelSmoothing }),
        Training("mixup", (from, to) => to with { Mixup = from.Mixup }),
        Training("CutMix", (from, to) => to with { CutMix = from.CutMix }),
        Training("cutout", (from, to) =>
            to with
            {
                Augmentation = to.Augmentation with { Cutout = from.Augmentation.Cutout },
            }
        ),
        Network("Kaiming initialization", (from, to) => to with { Initialization = from.Initialization }),
        Training("gradient clipping", (from, to) => to with { GradientClipping = from.GradientClipping }),
        Training("early stopping", (from, to) => to with { Patience = from.Patience }),
        Training("cosine decay", (from, to) => to with { Schedule = from.Schedule }),
    ];

    /// <summary>The two references, each technique removed and added alone, and the other norms in both
    /// references.</summary>
    /// <param name="epochs">Number of passes over the training part.</param>
    /// <param name="width">Channels of the first convolution.</param>
    /// <param name="only">Names of techniques; empty for all.</param>
    /// <exception cref="UserException">There is no such technique.</exception>
    public static IReadOnlyList<Variant> Variants(int epochs, int width, IReadOnlyCollection<string> only)
    {
        foreach (var name in only)
        {
            if (!Names.Contains(name, StringComparer.OrdinalIgnoreCase))
                throw new UserException($"--only names '{name}'; the techniques are {string.Join(", ", Names)}.");
        }

        bool Wanted(string name) => only.Count == 0 || only.Contains(name, StringComparer.OrdinalIgnoreCase);
        IEnumerable<Variant> OfNorms(string ending, string reference, RunConfiguration configuration) =>
            OtherNorms
                .Where(norm => Wanted(norm.Name))
                .Select(norm => new Variant(
                    $"{norm.Name} {ending}",
                    reference,
                    configuration with
                    {
                        Network = configuration.Network with { Norm = norm.Kind },
                    }
                ));
        RunConfiguration full = FullStack(epochs, width),
            bare = BareNetwork(epochs, width);
        var variants = new List<Variant> { new(Full, null, full) };
        variants.AddRange(
            Techniques
                .Where(technique => Wanted(technique.Name))
                .Select(technique => new Variant(Without + technique.Name, Full, technique.Copy(bare, full)))
        );
        variants.AddRange(OfNorms("instead of BatchNorm", Full, full));
        variants.Add(new Variant(Bare, null, bare));
        variants.AddRange(
            Techniques
                .Where(technique => Wanted(technique.Name))
                .Select(technique => new Variant($"{technique.Name} alone", Bare, technique.Copy(full, bare)))
        );
        variants.AddRange(OfNorms("alone", Bare, bare));
        return variants;
    }

    /// <summary>
    /// Norms that replace BatchNorm, in the full stack and in the bare network.
    /// </summary>
    private static IReadOnlyList<(string Name, NormKind Kind)> OtherNorms { get; } =
    [("LayerNorm", NormKind.Layer), ("GroupNorm", NormKind.Group), ("InstanceNorm", NormKind.Instance)];

    /// <summary>
    /// The names that <c>--only</c> accepts: every technique and every norm that replaces BatchNorm.
    /// </summary>
    private static IEnumerable<string> Names =>
        Techniques.Select(technique => technique.Name).Concat(OtherNorms.Select(norm => norm.Name));

    /// <summary>A technique that is part of the network options.</summary>
    /// <param name="name">Name in tables.</param>
    /// <param name="copy">Copies the technique's setting from the first options to the second.</param>
    private static Technique Network(string name, Func<NetworkOptions, NetworkOptions, NetworkOptions> copy) =>
        new(name, (from, to) => to with { Network = copy(from.Network, to.Network) });

    /// <summary>A technique that is part of the recipe.</summary>
    /// <param name="name">Name in tables.</param>
    /// <param name="copy">Copies the technique's setting from the first recipe to the second.</param>
    private static Technique Training(string name, Func<Recipe, Recipe, Recipe> copy) =>
        new(name, (from, to) => to with { Training = copy(from.Training, to.Training) });
}
