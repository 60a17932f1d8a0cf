using System.Globalization;
using TorchBridge.Training.Commands;
using TorchBridge.Training.Data;
using TorchBridge.Training.Estimators;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Tests;

public class RecipeOptionsTests
{
    [Fact]
    public void The_lessons_recipe_is_the_default_of_every_option()
    {
        var lesson = RunConfiguration.Named("lesson");
        Assert.Equal(new Recipe(), lesson.Training);
        Assert.Equal(new NetworkOptions(), lesson.Network);
        Assert.Equal(lesson with { About = "" }, Read() with { About = "" });
    }

    [Fact]
    public void Every_recipe_of_the_program_can_be_read() =>
        Assert.All(RunConfiguration.Names, name => Assert.NotEmpty(RunConfiguration.Named(name).About));

    [Fact]
    public void An_option_changes_its_value_and_no_other()
    {
        var changed = Read(
            "--recipe",
            "fast",
            "--mixup",
            "0.3",
            "--flip",
            "none",
            "--init",
            "lecun_normal",
            "--cutout",
            "12"
        );
        var fast = RunConfiguration.Named("fast");
        Assert.Equal(
            fast with
            {
                Training = fast.Training with
                {
                    Mixup = 0.3,
                    Augmentation = fast.Training.Augmentation with { Flip = FlipKind.None, Cutout = 12 },
                },
                Network = fast.Network with { Initialization = InitializationKind.LecunNormal },
            },
            changed
        );
    }

    [Fact]
    public void A_recipe_can_be_a_file_and_a_misspelt_one_is_refused()
    {
        using var folder = new TempFolder();
        File.WriteAllText(
            folder["mine.json"],
            """{ "training": { "epochs": 3, "optimizer": "sgd" }, "network": { "dropout": 0.1 } }"""
        );
        var mine = Read("--config", folder["mine.json"]);
        Assert.Equal(
            (3, OptimizerKind.Sgd, 0.1, 0.1),
            (mine.Training.Epochs, mine.Training.Optimizer, mine.Training.LabelSmoothing, mine.Network.Dropout)
        );
        File.WriteAllText(folder["bad.json"], """{ "training": { "epoch": 3 } }""");
        Assert.Contains(
            "epoch",
            Assert.Throws<UserException>(() => Read("--config", folder["bad.json"])).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "missing.json",
            Assert.Throws<UserException>(() => Read("--config", folder["missing.json"])).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("--lr", "11", "--lr is 11")]
    [InlineData("--init", "magic", "kaiming_normal")]
    [InlineData("--width", "12", "multiple of 8")]
    [InlineData("--warm-up", "9", "0 to 8")]
    [InlineData("--recipe", "slow", "lesson, fast, pooled, bare")]
    [InlineData("--width2", "128", "--form pooled")]
    [InlineData("--width3", "128", "--form pooled")]
    [InlineData("--norm-bias-rate", "2000", "0 to 1000")]
    [InlineData("--lr-end", "1.5", "0 to 1")]
    [InlineData("--window", "5", "0, or 8 to 512")]
    public void What_is_out_of_range_is_refused_with_what_is_allowed(string option, string value, string expected) =>
        Assert.Contains(
            expected,
            Assert.Throws<UserException>(() => Read(option, value)).Message,
            StringComparison.Ordinal
        );

    [Theory]
    [InlineData("--lr", "0,001", "Use a decimal point and no thousands separators: 0.001")]
    [InlineData("--lr", "1,000", "Use a decimal point and no thousands separators: 1.000.")]
    [InlineData("--lr", "1,000,000", "Write a number with a decimal point")]
    [InlineData("--dropout", "0,5", "separators: 0.5")]
    [InlineData("--mixup", "NaN", "--mixup is NaN; allowed is 0 to 100.")]
    [InlineData("--cutmix", "Infinity", "--cutmix is Infinity; allowed is 0 to 100.")]
    [InlineData("--cutmix", "1e999", "--cutmix is 1e999; allowed is 0 to 100.")]
    [InlineData("--lr", "0x1", "--lr is 0x1")]
    [InlineData("--lr", "0.1 ", "--lr is 0.1 ")]
    [InlineData("--lr", "\u0661", "--lr is \u0661")]
    [InlineData("--lr", "", "--lr is ;")]
    [InlineData("--lr", "1'000", "Write a number with a decimal point")]
    [InlineData("--epochs", "1,000", "Write a whole number: digits without thousands separators, such as 1000.")]
    [InlineData("--epochs", "1_000", "Write a whole number")]
    [InlineData("--epochs", "8.0", "Write a whole number")]
    [InlineData("--epochs", "99999999999", "--epochs is 99999999999; allowed is 1 to 100000.")]
    [InlineData("--batch", "1", "--batch is 1; allowed is 2 to 65536.")]
    [InlineData("--views", "0", "--views is 0; allowed is 1 to 1000.")]
    public void A_number_has_one_form(string option, string value, string expected) =>
        Assert.Contains(
            expected,
            Assert.Throws<UserException>(() => Read(option, value)).Message,
            StringComparison.Ordinal
        );

    [Theory]
    [InlineData("1e-3", 0.001)]
    [InlineData(".5", 0.5)]
    [InlineData("+0.25", 0.25)]
    [InlineData("2.", 2)]
    [InlineData("1E-2", 0.01)]
    public void A_number_may_have_a_point_an_exponent_and_a_sign(string text, double expected) =>
        Assert.Equal(expected, Read("--lr", text).Training.LearningRate);

    [Fact]
    public void The_machines_culture_changes_no_number()
    {
        var before = CultureInfo.CurrentCulture;
        try
        {
            var comma = (CultureInfo)CultureInfo.InvariantCulture.Clone();
            comma.NumberFormat.NumberDecimalSeparator = ",";
            comma.NumberFormat.NumberGroupSeparator = ".";
            CultureInfo.CurrentCulture = comma;
            Assert.Equal(0.001, Read("--lr", "0.001").Training.LearningRate);
            Assert.Throws<UserException>(() => Read("--lr", "0,001"));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Fact]
    public void Windows_do_not_go_with_weights_of_the_whole_pictures_size() =>
        Assert.Contains(
            "--norm layer",
            Assert.Throws<UserException>(() => Read("--window", "16", "--norm", "layer")).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void Windows_that_the_pooled_form_would_make_vanish_are_refused()
    {
        Assert.Equal(9, Read("--form", "pooled", "--window", "9").Training.Window);
        Assert.Contains(
            "9 or more",
            Assert.Throws<UserException>(() => Read("--form", "pooled", "--window", "8")).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Every_part_of_the_recipe_pooled_can_be_asked_for_by_name()
    {
        var read = Read([
            .. "--form pooled --activation gelu --init dirac --width 64 --width2 256 --width3 256 --dropout 0".Split(
                ' '
            ),
            .. "--epochs 14 --batch 512 --optimizer muon --lr 0.12 --rest-lr 1 --norm-bias-rate 8".Split(' '),
            .. "--momentum 0.85 --weight-decay 0.01 --decoupled-decay true --decay-norms false".Split(' '),
            .. "--schedule one_cycle --label-smoothing 0.2 --clip 0 --patience 0".Split(' '),
            .. "--whitening-epochs 100 --crop 4 --fill reflect --flip alternating --jitter 0".Split(' '),
        ]);
        var named = RunConfiguration.Named("pooled");
        Assert.Equal(named.Training, read.Training);
        Assert.Equal(named.Network, read.Network);
    }

    [Fact]
    public void A_recipe_may_say_at_what_size_pictures_are_read()
    {
        Assert.Equal(256, RunConfiguration.Named("photos").Size);
        Assert.Equal(new TuneImagesOptions().Size, RunConfiguration.Named("photos-all").Size);
        Assert.Null(RunConfiguration.Named("lesson").Size);
        Assert.Equal(40, RunConfiguration.Parse("mine", """{ "size": 40 }""").Size);
        Assert.Equal(
            "mine: size is 4; allowed is 8 to 512.",
            Assert.Throws<UserException>(() => RunConfiguration.Parse("mine", """{ "size": 4 }""")).Message
        );
    }

    [Theory]
    [InlineData("float32", Precision.Float32)]
    [InlineData("bfloat16", Precision.Bfloat16)]
    internal void Precision_is_as_asked_for(string text, Precision expected) =>
        Assert.Equal(expected, ComputeOptions.Parse(text, null, "cpu").Precision);

    [Fact]
    public void Automatic_precision_asks_the_processor() =>
        Assert.Equal(
            ComputeOptions.HasBfloat16 ? Precision.Bfloat16 : Precision.Float32,
            ComputeOptions.Parse("auto", null, "cpu").Precision
        );

    [Fact]
    public void A_device_that_is_not_there_is_refused_with_the_package_that_brings_it()
    {
        Assert.SkipWhen(TorchSharp.torch.cuda.is_available(), "this build has CUDA");
        Assert.Contains(
            "TorchSharp-cuda",
            Assert.Throws<UserException>(() => ComputeOptions.Parse("auto", null, "cuda")).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "cpu, cuda or mps",
            Assert.Throws<UserException>(() => ComputeOptions.Parse("auto", null, "tpu")).Message,
            StringComparison.Ordinal
        );
    }

    private static RunConfiguration Read(params string[] arguments)
    {
        var options = new RecipeOptions();
        var command = new System.CommandLine.RootCommand();
        foreach (var option in options.All)
            command.Options.Add(option);
        return options.Read(command.Parse(arguments));
    }
}
