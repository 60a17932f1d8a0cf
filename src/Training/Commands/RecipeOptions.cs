using System.CommandLine;
using System.Text.Json;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Weights;

namespace TorchBridge.Training.Commands;

/// <summary>The options that change a recipe, one each: name, help, range, and where the value goes.</summary>
internal sealed class RecipeOptions
{
    private readonly Option<string?> recipe = new("--recipe")
    {
        Description =
            "Where the values below start from: lesson (default), fast, pooled (for small pictures, with the least "
            + "arithmetic), bare (no regularization: see what it is for), photos (a classifier on ImageNet's features, "
            + "in a minute) or photos-all (all of that network, in minutes).",
        HelpName = "lesson|fast|pooled|bare|photos|photos-all",
    };
    private readonly Option<string?> config = new("--config")
    {
        Description = "A recipe of your own, a JSON file as those in src/Training/Recipes.",
        HelpName = "FILE",
    };
    private readonly Option<string?> weights = new("--weights")
    {
        Description =
            "What the network starts from: imagenet (a resnet18 that comes with the program), or a "
            + "safetensors file with torchvision's or timm's names, or an earlier model of this program.",
        HelpName = "imagenet|FILE",
    };
    private readonly Entry network = Choice<NetworkKind>(
        "--network",
        "Which network. All but modern_cnn have torchvision's shape and read pictures of 224 pixels, antialiased, by default.",
        (c, v) => Shape(c, c.Network with { Kind = v })
    );
    private readonly Entry tune = Choice<TuneKind>(
        "--tune",
        "What of a network with --weights is trained: head is the classifier alone, in seconds; all is "
            + "the classifier first, then everything. Default with --weights imagenet: head.",
        (c, v) => Tune(c, t => t with { What = v })
    );
    private readonly List<Entry> entries;

    public RecipeOptions() =>
        entries = [
            network,
            tune,
            Whole(
                "--views",
                AllowedAttribute.Of<TuningOptions>(nameof(TuningOptions.Views)),
                "Augmented views of each training picture that a classifier alone is trained on, at least 1.",
                (c, v) => Tune(c, t => t with { Views = v })
            ),
            Whole(
                "--head-epochs",
                AllowedAttribute.Of<TuningOptions>(nameof(TuningOptions.HeadEpochs)),
                "Epochs of the classifier alone before --tune all trains everything.",
                (c, v) => Tune(c, t => t with { HeadEpochs = v })
            ),
            Number(
                "--layer-decay",
                AllowedAttribute.Of<TuningOptions>(nameof(TuningOptions.LayerDecay)),
                "Factor of the learning rate from each part of the network to the one before it; 1 for the same everywhere.",
                (c, v) => Tune(c, t => t with { LayerDecay = v })
            ),
            Flag(
                "--freeze-norms",
                "Whether BatchNorm keeps the running statistics that came with the weights.",
                (c, v) => Tune(c, t => t with { FreezeNorms = v })
            ),
            Whole(
                "--epochs",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.Epochs)),
                "Passes over the training pictures.",
                (c, v) => Train(c, c.Training with { Epochs = v })
            ),
            Whole(
                "--batch",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.BatchSize)),
                "Pictures a step; BatchNorm needs at least 2.",
                (c, v) => Train(c, c.Training with { BatchSize = v })
            ),
            Choice<OptimizerKind>(
                "--optimizer",
                "adam_w; sgd (Nesterov); or muon: for convolutions, momentum whose singular values are made "
                    + "equal, so that no direction is learned at the others' cost, and sgd for the rest.",
                (c, v) => Train(c, c.Training with { Optimizer = v })
            ),
            Number("--lr", AllowedAttribute.Of<Recipe>(nameof(Recipe.LearningRate)), "Peak learning rate.", (c, v) =>
                Train(c, c.Training with { LearningRate = v })
            ),
            Number(
                "--rest-lr",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.RestLearningRate)),
                "With --optimizer muon, whose --lr is the angle of a step: peak learning rate of sgd for the rest.",
                (c, v) => Train(c, c.Training with { RestLearningRate = v })
            ),
            Number(
                "--norm-bias-rate",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.NormBiasRate)),
                "Factor of the learning rate of norms' biases; 64 in short runs.",
                (c, v) => Train(c, c.Training with { NormBiasRate = v })
            ),
            Number(
                "--momentum",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.Momentum)),
                "Momentum of sgd and muon.",
                (c, v) => Train(c, c.Training with { Momentum = v })
            ),
            Choice<ScheduleKind>("--schedule", "How the learning rate falls.", (c, v) =>
                Train(c, c.Training with { Schedule = v })
            ),
            Number(
                "--warm-up",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.WarmUpEpochs)),
                "Epochs in which the learning rate rises; may be a fraction.",
                (c, v) => Train(c, c.Training with { WarmUpEpochs = v })
            ),
            Number(
                "--lr-end",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.EndRate)),
                "Share of the peak that the learning rate ends at, 0 for none of it.",
                (c, v) => Train(c, c.Training with { EndRate = v })
            ),
            Number("--weight-decay", AllowedAttribute.Of<Recipe>(nameof(Recipe.WeightDecay)), "Weight decay.", (c, v) =>
                Train(c, c.Training with { WeightDecay = v })
            ),
            Flag(
                "--decoupled-decay",
                "Whether sgd takes weight decay out of the weights, as adam_w does, instead of adding it to the gradient.",
                (c, v) => Train(c, c.Training with { DecoupledDecay = v })
            ),
            Flag("--decay-norms", "Whether norms and biases decay too.", (c, v) =>
                Train(c, c.Training with { DecayNormsAndBiases = v })
            ),
            Number(
                "--clip",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.GradientClipping)),
                "Largest norm of all gradients together, 0 for no clipping.",
                (c, v) => Train(c, c.Training with { GradientClipping = v })
            ),
            Number(
                "--label-smoothing",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.LabelSmoothing)),
                "Share of the target that is spread over all classes.",
                (c, v) => Train(c, c.Training with { LabelSmoothing = v })
            ),
            Number(
                "--mixup",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.Mixup)),
                "Alpha of mixup, 0 for none. Of mixup, CutMix and cutout, each batch draws one.",
                (c, v) => Train(c, c.Training with { Mixup = v })
            ),
            Number(
                "--cutmix",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.CutMix)),
                "Alpha of CutMix, 0 for none.",
                (c, v) => Train(c, c.Training with { CutMix = v })
            ),
            Whole(
                "--cutout",
                AllowedAttribute.Of<AugmentationOptions>(nameof(AugmentationOptions.Cutout)),
                "Side of the black square in pixels, 0 for none.",
                (c, v) => Augment(c, a => a with { Cutout = v })
            ),
            Number(
                "--zoom",
                AllowedAttribute.Of<AugmentationOptions>(nameof(AugmentationOptions.Zoom)),
                "Smallest share of a picture that a random part of it, enlarged to its size, shows; 1 for all of it.",
                (c, v) => Augment(c, a => a with { Zoom = v })
            ),
            Whole(
                "--crop",
                AllowedAttribute.Of<AugmentationOptions>(nameof(AugmentationOptions.CropPadding)),
                "Padding of the random crop in pixels, 0 for none.",
                (c, v) => Augment(c, a => a with { CropPadding = v })
            ),
            Choice<FillKind>("--fill", "What lies around a picture that is cropped or rotated.", (c, v) =>
                Augment(c, a => a with { Fill = v })
            ),
            Choice<FlipKind>(
                "--flip",
                "Which pictures are mirrored: random is each half of the time, alternating each every second epoch.",
                (c, v) => Augment(c, a => a with { Flip = v })
            ),
            Number(
                "--rotation",
                AllowedAttribute.Of<AugmentationOptions>(nameof(AugmentationOptions.Rotation)),
                "Largest angle of rotation in degrees, 0 for none.",
                (c, v) => Augment(c, a => a with { Rotation = v })
            ),
            Number(
                "--jitter",
                AllowedAttribute.Of<AugmentationOptions>(nameof(AugmentationOptions.ColorJitter)),
                "Strength of the colour jitter, 0 for none.",
                (c, v) => Augment(c, a => a with { ColorJitter = v })
            ),
            Whole(
                "--window",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.Window)),
                "Side in pixels of the random window of each picture that the first epochs train on, 0 "
                    + "for the whole picture: cheaper steps. A window is neither cropped before nor cut out.",
                (c, v) => Train(c, c.Training with { Window = v })
            ),
            Whole(
                "--window-epochs",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.WindowEpochs)),
                "Epochs, from the first, that train on windows.",
                (c, v) => Train(c, c.Training with { WindowEpochs = v })
            ),
            Number(
                "--ema",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.WeightAverage)),
                "Decay of the moving average of the weights that is kept, 0 for none.",
                (c, v) => Train(c, c.Training with { WeightAverage = v })
            ),
            Whole(
                "--patience",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.Patience)),
                "Epochs without a better validation loss after which training stops with the best "
                    + "epoch's weights; 0: all epochs, and the last one's weights.",
                (c, v) => Train(c, c.Training with { Patience = v })
            ),
            Number(
                "--dropout",
                AllowedAttribute.Of<NetworkOptions>(nameof(NetworkOptions.Dropout)),
                "Share that is dropped before the classifier.",
                (c, v) => Shape(c, c.Network with { Dropout = v })
            ),
            Choice<DropoutKind>(
                "--dropout-kind",
                "What is dropped: features, whole channels, or as SELU needs it.",
                (c, v) => Shape(c, c.Network with { DropoutKind = v })
            ),
            Number(
                "--stochastic-depth",
                AllowedAttribute.Of<NetworkOptions>(nameof(NetworkOptions.StochasticDepth)),
                "Probability of leaving out the last block's branch.",
                (c, v) => Shape(c, c.Network with { StochasticDepth = v })
            ),
            Choice<InitializationKind>("--init", "Start of the convolutions; dirac passes pictures on.", (c, v) =>
                Shape(c, c.Network with { Initialization = v })
            ),
            Choice<ActivationKind>("--activation", "What stands between the layers.", (c, v) =>
                Shape(c, c.Network with { Activation = v })
            ),
            Choice<BlockForm>(
                "--form",
                "Blocks with shortcuts (residual), or without (plain is the lesson's code); pooled has max-pools "
                    + "instead of strides, and a first layer that starts as the whitening of the pictures' 2x2 patches.",
                (c, v) => Shape(c, c.Network with { Form = v })
            ),
            Whole(
                "--whitening-epochs",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.WhiteningEpochs)),
                "Epochs, from the first, in which --form pooled keeps the whitening weights as they are.",
                (c, v) => Train(c, c.Training with { WhiteningEpochs = v })
            ),
            Choice<NormKind>("--norm", "Normalization after each convolution.", (c, v) =>
                Shape(c, c.Network with { Norm = v })
            ),
            Whole(
                "--width",
                AllowedAttribute.Of<NetworkOptions>(nameof(NetworkOptions.Channels)),
                "Channels of the first convolution, a multiple of 8; 64 is the lesson's.",
                (c, v) => Shape(c, c.Network with { Channels = v })
            ),
            Whole(
                "--width2",
                AllowedAttribute.Of<NetworkOptions>(nameof(NetworkOptions.SecondChannels)),
                "Channels of the second block of --form pooled, a multiple of 8.",
                (c, v) => Shape(c, c.Network with { SecondChannels = v })
            ),
            Whole(
                "--width3",
                AllowedAttribute.Of<NetworkOptions>(nameof(NetworkOptions.ThirdChannels)),
                "Channels of its third block, a multiple of 8.",
                (c, v) => Shape(c, c.Network with { ThirdChannels = v })
            ),
        ];

    /// <summary>Every option, in the order of the help.</summary>
    public IEnumerable<Option> All =>
        entries.Select(entry => entry.Option).Prepend(weights).Prepend(config).Prepend(recipe);

    /// <summary>The recipe that the command line asks for.</summary>
    /// <param name="parsed">The command line.</param>
    /// <returns>The recipe's file or name, with what single options change; what does not go together is
    /// refused.</returns>
    /// <exception cref="UserException">A value is out of its range.</exception>
    public RunConfiguration Read(ParseResult parsed)
    {
        if (parsed.GetValue(config) is not null && parsed.GetValue(recipe) is not null)
            throw new UserException("--recipe and --config name two recipes; give one of them.");
        var start = parsed.GetValue(config) is { } file
            ? RunConfiguration.FromFile(file)
            : RunConfiguration.Named(parsed.GetValue(recipe) ?? DefaultRecipe(parsed));
        if (parsed.GetValue(weights) is { } source)
            start = start with { Weights = source };
        var read = entries.Aggregate(start, (configuration, entry) => entry.Apply(parsed, configuration));
        RefuseWhatDoesNotGoTogether(read);
        if (read.Training.WarmUpEpochs > read.Training.Epochs)
            throw new UserException(
                FormattableString.Invariant(
                    $"--warm-up is {read.Training.WarmUpEpochs}; allowed is 0 to {read.Training.Epochs}, the epochs."
                )
            );
        if (read.Training.Window > 0 && read.Network.Norm == NormKind.Layer)
            throw new UserException(
                "--window does not go with --norm layer, whose weights have the size of the whole picture."
            );
        if (read.Network.Form == BlockForm.Pooled && read.Training.Window is > 0 and < ModernCnn.SmallestPooled)
            throw new UserException(
                FormattableString.Invariant(
                    $"--window is {read.Training.Window}; allowed with --form pooled is {ModernCnn.SmallestPooled} or more."
                )
            );
        return read;
    }

    /// <summary>What the command line asks of a run otherwise than it is.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="settings">The run's settings.</param>
    public IEnumerable<string> Differences(ParseResult parsed, ModelSettings settings)
    {
        var run = new RunConfiguration("", settings.Recipe, settings.Network) { Weights = settings.Start?.Source };
        var isWhole = parsed.GetValue(recipe) is not null || parsed.GetValue(config) is not null;
        var asked = isWhole ? Read(parsed) : entries.Aggregate(run, (made, entry) => entry.Apply(parsed, made));
        if (
            (parsed.GetValue(weights) ?? (isWhole ? asked.Weights : run.Weights)) is var source
            && source != run.Weights
        )
            yield return $"weights is {source ?? "not given"}, and was {run.Weights ?? "not given"}";
        foreach (var difference in ConfigurationRanges.Differences(asked.Training, run.Training))
            yield return difference;
        // The data and the weights have decided on these.
        var network = asked.Network with
        {
            Kind = IsNetworkNamed(parsed) ? asked.Network.Kind : run.Network.Kind,
            Classes = run.Network.Classes,
            Height = run.Network.Height,
            Width = run.Network.Width,
            LastStageBlocks = run.Network.LastStageBlocks,
        };
        foreach (var difference in ConfigurationRanges.Differences(network, run.Network))
            yield return difference;
    }

    /// <summary>Whether the command line names the network.</summary>
    /// <param name="parsed">The command line.</param>
    public bool IsNetworkNamed(ParseResult parsed) => parsed.GetResult(network.Option) is not null;

    /// <summary>Who asks for tuning, or for the weights that come with the program, has photos.</summary>
    /// <param name="parsed">The command line.</param>
    /// <returns>The name of the recipe that is taken where none is given.</returns>
    private string DefaultRecipe(ParseResult parsed)
    {
        if (parsed.GetResult(tune.Option)?.Tokens is [{ Value: var what }])
            return what == Naming.Of(TuneKind.All) ? "photos-all"
                : what == Naming.Of(TuneKind.Head) ? "photos"
                : "lesson";
        var isBackbone =
            parsed.GetResult(network.Option)?.Tokens is [{ Value: var kind }]
            && kind != Naming.Of(NetworkKind.ModernCnn);
        return parsed.GetValue(weights) is { } source && (source == PretrainedWeights.ImageNet || isBackbone)
            ? "photos"
            : "lesson";
    }

    /// <summary>
    /// Refuses options that the network or the start of the weights does not have.
    /// </summary>
    /// <param name="read">The whole configuration.</param>
    /// <exception cref="UserException">Something does not go together; the message names both.</exception>
    private static void RefuseWhatDoesNotGoTogether(RunConfiguration read)
    {
        if (read.Network.Kind != NetworkKind.ModernCnn)
        {
            NetworkOptions asked = read.Network,
                plain = new();
            var odd =
                asked.Form != plain.Form ? "--form"
                : asked.Norm != plain.Norm ? "--norm"
                : asked.Activation != plain.Activation ? "--activation"
                : asked.Channels != plain.Channels ? "--width"
                : asked.SecondChannels != plain.SecondChannels ? "--width2"
                : asked.ThirdChannels != plain.ThirdChannels ? "--width3"
                : asked.StochasticDepth != 0 ? "--stochastic-depth"
                : asked.DropoutKind != plain.DropoutKind ? "--dropout-kind"
                : null;
            if (odd is not null)
                throw new UserException(
                    $"{odd} is of the modern_cnn; a {Naming.Of(asked.Kind)} has the shape that its published weights have. Leave it out."
                );
        }

        if (
            read.Network.Form != BlockForm.Pooled
            && (read.Network.SecondChannels, read.Network.ThirdChannels)
                != (new NetworkOptions().SecondChannels, new NetworkOptions().ThirdChannels)
        )
            throw new UserException(
                "--width2 and --width3 are of --form pooled; the blocks of the other forms double the channels of --width. Leave them out."
            );
        if (read.Training.Tuning.What == TuneKind.None)
            return;
        if (read.Weights is null)
            throw new UserException(
                "--tune trains on from weights: give --weights imagenet, or --weights FILE.safetensors."
            );
        if (
            read.Training.Tuning.What == TuneKind.Head
            && (read.Training.Mixup > 0 || read.Training.CutMix > 0 || read.Training.Window > 0)
        )
            throw new UserException(
                "--mixup, --cutmix and --window change pictures in every epoch; --tune head computes "
                    + "their features once. Leave them out, or give --tune all."
            );
    }

    /// <summary>Fails where a value is not allowed.</summary>
    /// <typeparam name="T">The value's type.</typeparam>
    /// <param name="isRight">Whether the value is allowed.</param>
    /// <param name="option">The option's name, with its dashes.</param>
    /// <param name="value">What was given.</param>
    /// <param name="allowed">What may be given.</param>
    /// <exception cref="UserException">It is not allowed.</exception>
    public static void Require<T>(bool isRight, string option, T value, string allowed)
    {
        if (!isRight)
            throw new UserException(FormattableString.Invariant($"{option} is {value}; allowed is {allowed}."));
    }

    /// <summary>The values of a choice as the command line and the files write them: <c>cosine_decay</c>.</summary>
    /// <typeparam name="T">The enum.</typeparam>
    /// <returns>Values by their names, in the order of the enum.</returns>
    public static IReadOnlyDictionary<string, T> NamesOf<T>()
        where T : struct, Enum =>
        Enum.GetValues<T>()
            .ToDictionary(
                value => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString()),
                value => value,
                StringComparer.Ordinal
            );

    /// <summary>The configuration with another recipe of training.</summary>
    /// <param name="configuration">The rest.</param>
    /// <param name="training">The recipe.</param>
    private static RunConfiguration Train(RunConfiguration configuration, Recipe training) =>
        configuration with
        {
            Training = training,
        };

    /// <summary>The configuration with another network.</summary>
    /// <param name="configuration">The rest.</param>
    /// <param name="network">The network's options.</param>
    private static RunConfiguration Shape(RunConfiguration configuration, NetworkOptions network) =>
        configuration with
        {
            Network = network,
        };

    /// <summary>The configuration with tuning changed.</summary>
    /// <param name="configuration">The rest.</param>
    /// <param name="change">From what it was to what it is.</param>
    private static RunConfiguration Tune(RunConfiguration configuration, Func<TuningOptions, TuningOptions> change) =>
        Train(configuration, configuration.Training with { Tuning = change(configuration.Training.Tuning) });

    /// <summary>The configuration with augmentation changed.</summary>
    /// <param name="configuration">The rest.</param>
    /// <param name="change">From what it was to what it is.</param>
    private static RunConfiguration Augment(
        RunConfiguration configuration,
        Func<AugmentationOptions, AugmentationOptions> change
    ) =>
        Train(
            configuration,
            configuration.Training with
            {
                Augmentation = change(configuration.Training.Augmentation),
            }
        );

    /// <summary>An option of a whole number.</summary>
    /// <param name="name">With its dashes.</param>
    /// <param name="allowed">Its range.</param>
    /// <param name="help">Its description.</param>
    /// <param name="set">Puts the number into the configuration.</param>
    private static Entry Whole(
        string name,
        AllowedAttribute allowed,
        string help,
        Func<RunConfiguration, int, RunConfiguration> set
    )
    {
        var option = new NumberOption(name, allowed) { Description = help, HelpName = "N" };
        return new Entry(option, (parsed, c) => option.Whole(parsed) is { } value ? set(c, value) : c);
    }

    /// <summary>An option of a number with a fraction.</summary>
    /// <param name="name">With its dashes.</param>
    /// <param name="allowed">Its range.</param>
    /// <param name="help">Its description.</param>
    /// <param name="set">Puts the number into the configuration.</param>
    private static Entry Number(
        string name,
        AllowedAttribute allowed,
        string help,
        Func<RunConfiguration, double, RunConfiguration> set
    )
    {
        var option = new NumberOption(name, allowed) { Description = help, HelpName = "X" };
        return new Entry(option, (parsed, c) => option.Real(parsed) is { } value ? set(c, value) : c);
    }

    /// <summary>An option that takes <c>true</c> or <c>false</c>.</summary>
    /// <param name="name">With its dashes.</param>
    /// <param name="help">Its description.</param>
    /// <param name="set">Puts the value into the configuration.</param>
    private static Entry Flag(string name, string help, Func<RunConfiguration, bool, RunConfiguration> set)
    {
        var option = new Option<bool?>(name) { Description = help, HelpName = "true|false" };
        return new Entry(option, (parsed, c) => parsed.GetValue(option) is { } value ? set(c, value) : c);
    }

    /// <summary>An option that takes one of an enum's names.</summary>
    /// <typeparam name="T">The enum.</typeparam>
    /// <param name="name">With its dashes.</param>
    /// <param name="help">Its description.</param>
    /// <param name="set">Puts the value into the configuration.</param>
    private static Entry Choice<T>(string name, string help, Func<RunConfiguration, T, RunConfiguration> set)
        where T : struct, Enum
    {
        var names = NamesOf<T>();
        var option = new Option<string?>(name) { Description = help, HelpName = string.Join('|', names.Keys) };
        return new Entry(option, (parsed, c) =>
        {
            if (parsed.GetValue(option) is not { } text)
                return c;
            Require(names.ContainsKey(text), name, text, string.Join(", ", names.Keys));
            return set(c, names[text]);
        });
    }

    /// <summary>An option with what it does.</summary>
    /// <param name="Option">For the help and the parser.</param>
    /// <param name="Apply">Puts the option's value into a configuration; gives it back unchanged where the option is
    /// not there.</param>
    private sealed record Entry(Option Option, Func<ParseResult, RunConfiguration, RunConfiguration> Apply);
}
