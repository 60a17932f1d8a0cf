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

/// <summary>The options that override values of a recipe: name, help text, range and target of each.</summary>
internal sealed class RecipeOptions
{
    private readonly Option<string?> recipe = new("--recipe")
    {
        Description =
            "Recipe that provides the values below: lesson (default), fast, pooled (for small pictures, with the "
            + "least computation), bare (no regularization, to see what it does), photos (a classifier on ImageNet "
            + "features, in a minute) or photos-all (fine-tunes that whole network, in minutes).",
        HelpName = "lesson|fast|pooled|bare|photos|photos-all",
    };
    private readonly Option<string?> config = new("--config")
    {
        Description = "Your own recipe: a JSON file like those in src/Training/Recipes.",
        HelpName = "FILE",
    };
    private readonly Option<string?> weights = new("--weights")
    {
        Description =
            "Trained weights to start from: imagenet (a resnet18 that comes with the program), a "
            + "safetensors file with torchvision's or timm's names, or an earlier model of this program.",
        HelpName = "imagenet|FILE",
    };
    private readonly Entry network = Choice<NetworkKind>(
        "--network",
        "Network architecture. All except modern_cnn have torchvision's architecture and by default read "
            + "pictures at 224 pixels, antialiased.",
        (c, v) => Shape(c, c.Network with { Kind = v })
    );
    private readonly Entry tune = Choice<TuneKind>(
        "--tune",
        "Which part of a network with --weights is trained. head: only the classifier, in seconds; all: "
            + "first the classifier, then everything. Default with --weights imagenet: head.",
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
                "Number of augmented views of each training picture with --tune head, at least 1.",
                (c, v) => Tune(c, t => t with { Views = v })
            ),
            Whole(
                "--head-epochs",
                AllowedAttribute.Of<TuningOptions>(nameof(TuningOptions.HeadEpochs)),
                "Epochs in which --tune all trains only the classifier, before it trains everything.",
                (c, v) => Tune(c, t => t with { HeadEpochs = v })
            ),
            Number(
                "--layer-decay",
                AllowedAttribute.Of<TuningOptions>(nameof(TuningOptions.LayerDecay)),
                "Learning-rate factor from each part of the network to the part before it; 1 for the same rate "
                    + "everywhere.",
                (c, v) => Tune(c, t => t with { LayerDecay = v })
            ),
            Flag("--freeze-norms", "Whether BatchNorm keeps the running statistics of the trained weights.", (c, v) =>
                Tune(c, t => t with { FreezeNorms = v })
            ),
            Whole(
                "--epochs",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.Epochs)),
                "Number of passes over the training pictures.",
                (c, v) => Train(c, c.Training with { Epochs = v })
            ),
            Whole(
                "--batch",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.BatchSize)),
                "Pictures per step; BatchNorm needs at least 2.",
                (c, v) => Train(c, c.Training with { BatchSize = v })
            ),
            Choice<OptimizerKind>(
                "--optimizer",
                "adam_w; sgd (with Nesterov momentum); or muon: orthogonalized momentum (all singular values are "
                    + "made equal) for the weights of convolutions, and sgd for the other parameters.",
                (c, v) => Train(c, c.Training with { Optimizer = v })
            ),
            Number("--lr", AllowedAttribute.Of<Recipe>(nameof(Recipe.LearningRate)), "Peak learning rate.", (c, v) =>
                Train(c, c.Training with { LearningRate = v })
            ),
            Number(
                "--rest-lr",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.RestLearningRate)),
                "With --optimizer muon, whose --lr is the angle of a step: peak learning rate of sgd for the "
                    + "other parameters.",
                (c, v) => Train(c, c.Training with { RestLearningRate = v })
            ),
            Number(
                "--norm-bias-rate",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.NormBiasRate)),
                "Learning-rate factor for the biases of norms; 8 in the recipe pooled.",
                (c, v) => Train(c, c.Training with { NormBiasRate = v })
            ),
            Number(
                "--momentum",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.Momentum)),
                "Momentum of sgd and muon.",
                (c, v) => Train(c, c.Training with { Momentum = v })
            ),
            Choice<ScheduleKind>("--schedule", "Learning-rate schedule.", (c, v) =>
                Train(c, c.Training with { Schedule = v })
            ),
            Number(
                "--warm-up",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.WarmUpEpochs)),
                "Warm-up epochs, in which the learning rate rises; may be a fraction.",
                (c, v) => Train(c, c.Training with { WarmUpEpochs = v })
            ),
            Number(
                "--lr-end",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.EndRate)),
                "Final learning rate as a share of the peak, 0 to 1.",
                (c, v) => Train(c, c.Training with { EndRate = v })
            ),
            Number("--weight-decay", AllowedAttribute.Of<Recipe>(nameof(Recipe.WeightDecay)), "Weight decay.", (c, v) =>
                Train(c, c.Training with { WeightDecay = v })
            ),
            Flag(
                "--decoupled-decay",
                "Whether sgd applies weight decay directly to the weights, as adam_w does, instead of adding it "
                    + "to the gradient.",
                (c, v) => Train(c, c.Training with { DecoupledDecay = v })
            ),
            Flag("--decay-norms", "Whether weight decay applies to norms and biases too.", (c, v) =>
                Train(c, c.Training with { DecayNormsAndBiases = v })
            ),
            Number(
                "--clip",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.GradientClipping)),
                "Largest global norm of the gradients, 0 for no clipping.",
                (c, v) => Train(c, c.Training with { GradientClipping = v })
            ),
            Number(
                "--label-smoothing",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.LabelSmoothing)),
                "Share of the target probability that is spread over all classes.",
                (c, v) => Train(c, c.Training with { LabelSmoothing = v })
            ),
            Number(
                "--mixup",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.Mixup)),
                "Alpha of mixup, 0 for none. One of mixup, CutMix and cutout is drawn for each batch.",
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
                "Side length in pixels of the cutout square, 0 for none.",
                (c, v) => Augment(c, a => a with { Cutout = v })
            ),
            Number(
                "--zoom",
                AllowedAttribute.Of<AugmentationOptions>(nameof(AugmentationOptions.Zoom)),
                "Random resized crop: smallest share of the picture's area that is cropped and enlarged; 1 for "
                    + "no crop.",
                (c, v) => Augment(c, a => a with { Zoom = v })
            ),
            Whole(
                "--crop",
                AllowedAttribute.Of<AugmentationOptions>(nameof(AugmentationOptions.CropPadding)),
                "Padding for the random crop in pixels, 0 for no crop.",
                (c, v) => Augment(c, a => a with { CropPadding = v })
            ),
            Choice<FillKind>("--fill", "How the area around a cropped or rotated picture is filled.", (c, v) =>
                Augment(c, a => a with { Fill = v })
            ),
            Choice<FlipKind>(
                "--flip",
                "Mirroring of pictures. random: each picture with probability 1/2; alternating: each picture in "
                    + "every second epoch.",
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
                "Side length in pixels of the random window of each picture that is used in the first epochs, 0 "
                    + "for the whole picture; makes steps cheaper. Replaces random crop and cutout in these epochs.",
                (c, v) => Train(c, c.Training with { Window = v })
            ),
            Whole(
                "--window-epochs",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.WindowEpochs)),
                "Number of initial epochs that train on windows.",
                (c, v) => Train(c, c.Training with { WindowEpochs = v })
            ),
            Number(
                "--ema",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.WeightAverage)),
                "Decay per step of the moving average of the weights, which is then kept; 0 for none.",
                (c, v) => Train(c, c.Training with { WeightAverage = v })
            ),
            Whole(
                "--patience",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.Patience)),
                "Early stopping: epochs without a better validation loss after which training stops and keeps "
                    + "the best epoch's weights; 0 to train all epochs and keep the last weights.",
                (c, v) => Train(c, c.Training with { Patience = v })
            ),
            Number(
                "--dropout",
                AllowedAttribute.Of<NetworkOptions>(nameof(NetworkOptions.Dropout)),
                "Dropout probability before the classifier.",
                (c, v) => Shape(c, c.Network with { Dropout = v })
            ),
            Choice<DropoutKind>(
                "--dropout-kind",
                "What is dropped: single features, whole channels, or alpha dropout for SELU.",
                (c, v) => Shape(c, c.Network with { DropoutKind = v })
            ),
            Number(
                "--stochastic-depth",
                AllowedAttribute.Of<NetworkOptions>(nameof(NetworkOptions.StochasticDepth)),
                "Probability of skipping the last block's residual branch; earlier blocks have less.",
                (c, v) => Shape(c, c.Network with { StochasticDepth = v })
            ),
            Choice<InitializationKind>(
                "--init",
                "Initialization of the convolutions; dirac passes the input through.",
                (c, v) => Shape(c, c.Network with { Initialization = v })
            ),
            Choice<ActivationKind>("--activation", "Activation function between the layers.", (c, v) =>
                Shape(c, c.Network with { Activation = v })
            ),
            Choice<BlockForm>(
                "--form",
                "Blocks with shortcuts (residual) or without (plain, the lesson's code); pooled uses max pooling "
                    + "instead of strides, and a first layer that is initialized to whiten the pictures' 2x2 "
                    + "patches.",
                (c, v) => Shape(c, c.Network with { Form = v })
            ),
            Whole(
                "--whitening-epochs",
                AllowedAttribute.Of<Recipe>(nameof(Recipe.WhiteningEpochs)),
                "Number of initial epochs in which --form pooled does not train the whitening weights.",
                (c, v) => Train(c, c.Training with { WhiteningEpochs = v })
            ),
            Choice<NormKind>("--norm", "Normalization after each convolution.", (c, v) =>
                Shape(c, c.Network with { Norm = v })
            ),
            Whole(
                "--width",
                AllowedAttribute.Of<NetworkOptions>(nameof(NetworkOptions.Channels)),
                "Channels of the first convolution, a multiple of 8; the lesson uses 64.",
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
                "Channels of the third block of --form pooled, a multiple of 8.",
                (c, v) => Shape(c, c.Network with { ThirdChannels = v })
            ),
        ];

    /// <summary>All options, in the order of the help.</summary>
    public IEnumerable<Option> All =>
        entries.Select(entry => entry.Option).Prepend(weights).Prepend(config).Prepend(recipe);

    /// <summary>Reads the recipe that the command line asks for.</summary>
    /// <param name="parsed">The command line.</param>
    /// <returns>The recipe with the values overridden by options; invalid combinations are refused.</returns>
    /// <exception cref="UserException">A value is out of range, or options cannot be combined.</exception>
    public RunConfiguration Read(ParseResult parsed)
    {
        if (parsed.GetValue(config) is not null && parsed.GetValue(recipe) is not null)
            throw new UserException("--recipe and --config both name a recipe; give only one of them.");
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
                "--window cannot be combined with --norm layer, whose weights have the size of the whole "
                    + "picture. Omit one of them."
            );
        if (read.Network.Form == BlockForm.Pooled && read.Training.Window is > 0 and < ModernCnn.SmallestPooled)
            throw new UserException(
                FormattableString.Invariant(
                    $"--window is {read.Training.Window}; allowed with --form pooled is {ModernCnn.SmallestPooled} or more."
                )
            );
        return read;
    }

    /// <summary>The differences between the command line and an existing run.</summary>
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
            yield return $"weights is {source ?? "not given"}, but was {run.Weights ?? "not given"}";
        foreach (var difference in ConfigurationRanges.Differences(asked.Training, run.Training))
            yield return difference;
        // These values were determined by the data and the weights.
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

    /// <summary>The default recipe: a photo recipe if the command line asks for tuning or for the built-in
    /// weights.</summary>
    /// <param name="parsed">The command line.</param>
    /// <returns>Name of the recipe to use if none is given.</returns>
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
    /// Refuses options that do not apply to the network or its starting weights.
    /// </summary>
    /// <param name="read">The whole configuration.</param>
    /// <exception cref="UserException">Options cannot be combined; the message names both.</exception>
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
                    $"{odd} applies only to modern_cnn; {Naming.Of(asked.Kind)} has the architecture of its "
                        + $"published weights. Omit {odd}."
                );
        }

        if (
            read.Network.Form != BlockForm.Pooled
            && (read.Network.SecondChannels, read.Network.ThirdChannels)
                != (new NetworkOptions().SecondChannels, new NetworkOptions().ThirdChannels)
        )
            throw new UserException(
                "--width2 and --width3 apply only to --form pooled; the blocks of the other forms double the "
                    + "channels of --width. Omit them."
            );
        if (read.Training.Tuning.What == TuneKind.None)
            return;
        if (read.Weights is null)
            throw new UserException(
                "--tune needs trained weights: give --weights imagenet, or --weights FILE.safetensors."
            );
        if (
            read.Training.Tuning.What == TuneKind.Head
            && (read.Training.Mixup > 0 || read.Training.CutMix > 0 || read.Training.Window > 0)
        )
            throw new UserException(
                "--mixup, --cutmix and --window change pictures in every epoch, but --tune head computes "
                    + "their features only once. Omit them, or give --tune all."
            );
    }

    /// <summary>Throws if a value is not allowed.</summary>
    /// <typeparam name="T">The value's type.</typeparam>
    /// <param name="isRight">Whether the value is allowed.</param>
    /// <param name="option">The option's name, with its dashes.</param>
    /// <param name="value">The given value.</param>
    /// <param name="allowed">Description of the allowed values.</param>
    /// <exception cref="UserException">It is not allowed.</exception>
    public static void Require<T>(bool isRight, string option, T value, string allowed)
    {
        if (!isRight)
            throw new UserException(FormattableString.Invariant($"{option} is {value}; allowed is {allowed}."));
    }

    /// <summary>The values of an enum by their names on the command line and in files, such as
    /// <c>cosine_decay</c>.</summary>
    /// <typeparam name="T">The enum.</typeparam>
    /// <returns>Values by name, in the order of the enum.</returns>
    public static IReadOnlyDictionary<string, T> NamesOf<T>()
        where T : struct, Enum =>
        Enum.GetValues<T>()
            .ToDictionary(
                value => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString()),
                value => value,
                StringComparer.Ordinal
            );

    /// <summary>The configuration with another training recipe.</summary>
    /// <param name="configuration">The configuration.</param>
    /// <param name="training">The new training recipe.</param>
    private static RunConfiguration Train(RunConfiguration configuration, Recipe training) =>
        configuration with
        {
            Training = training,
        };

    /// <summary>The configuration with another network.</summary>
    /// <param name="configuration">The configuration.</param>
    /// <param name="network">The new network options.</param>
    private static RunConfiguration Shape(RunConfiguration configuration, NetworkOptions network) =>
        configuration with
        {
            Network = network,
        };

    /// <summary>The configuration with tuning changed.</summary>
    /// <param name="configuration">The configuration.</param>
    /// <param name="change">Maps the old to the new options.</param>
    private static RunConfiguration Tune(RunConfiguration configuration, Func<TuningOptions, TuningOptions> change) =>
        Train(configuration, configuration.Training with { Tuning = change(configuration.Training.Tuning) });

    /// <summary>The configuration with augmentation changed.</summary>
    /// <param name="configuration">The configuration.</param>
    /// <param name="change">Maps the old to the new options.</param>
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

    /// <summary>An option with a whole number.</summary>
    /// <param name="name">Name of the option, with its dashes.</param>
    /// <param name="allowed">Its allowed range.</param>
    /// <param name="help">Its description.</param>
    /// <param name="set">Sets the number in the configuration.</param>
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

    /// <summary>An option with a number that may have a fraction.</summary>
    /// <param name="name">Name of the option, with its dashes.</param>
    /// <param name="allowed">Its allowed range.</param>
    /// <param name="help">Its description.</param>
    /// <param name="set">Sets the number in the configuration.</param>
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
    /// <param name="name">Name of the option, with its dashes.</param>
    /// <param name="help">Its description.</param>
    /// <param name="set">Sets the value in the configuration.</param>
    private static Entry Flag(string name, string help, Func<RunConfiguration, bool, RunConfiguration> set)
    {
        var option = new Option<bool?>(name) { Description = help, HelpName = "true|false" };
        return new Entry(option, (parsed, c) => parsed.GetValue(option) is { } value ? set(c, value) : c);
    }

    /// <summary>An option that takes one of an enum's names.</summary>
    /// <typeparam name="T">The enum.</typeparam>
    /// <param name="name">Name of the option, with its dashes.</param>
    /// <param name="help">Its description.</param>
    /// <param name="set">Sets the value in the configuration.</param>
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

    /// <summary>An option and its effect.</summary>
    /// <param name="Option">The option, for the help and the parser.</param>
    /// <param name="Apply">Sets the option's value in a configuration; returns it unchanged if the option is not
    /// given.</param>
    private sealed record Entry(Option Option, Func<ParseResult, RunConfiguration, RunConfiguration> Apply);
}
