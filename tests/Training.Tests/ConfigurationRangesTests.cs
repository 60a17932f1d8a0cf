using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Tests;

/// <summary>The ranges of the command line also apply to recipe files.</summary>
public class ConfigurationRangesTests
{
    [Theory]
    [InlineData("""{ "training": { "cut_mix": "Infinity" } }""", "cut_mix")]
    [InlineData("""{ "training": { "mixup": "NaN" } }""", "mixup")]
    [InlineData("""{ "training": { "batch_size": 0 } }""", "batch_size")]
    [InlineData("""{ "training": { "batch_size": 2000000000 } }""", "batch_size")]
    [InlineData("""{ "training": { "learning_rate": -1 } }""", "learning_rate")]
    [InlineData("""{ "training": { "label_smoothing": 2 } }""", "label_smoothing")]
    [InlineData("""{ "training": { "momentum": "-Infinity" } }""", "momentum")]
    [InlineData("""{ "training": { "augmentation": null } }""", "augmentation")]
    [InlineData("""{ "training": { "augmentation": { "rotation": 1e9 } } }""", "rotation")]
    [InlineData("""{ "training": { "optimizer": 99 } }""", "optimizer")]
    [InlineData("""{ "network": { "norm": 99 } }""", "norm")]
    [InlineData("""{ "network": { "dropout": 1 } }""", "dropout")]
    [InlineData("""{ "network": { "channels": 99999992 } }""", "channels")]
    [InlineData("""{ "network": { "channels": 12 } }""", "channels")]
    public void A_value_out_of_its_range_is_refused_by_its_name(string json, string name)
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["recipe.json"], json);
        var error = Assert.Throws<UserException>(() => RunConfiguration.FromFile(folder["recipe.json"]));
        Assert.Contains($": {name} is ", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "training": { "epoch": 3 } }""", "epoch is unknown in training; allowed is epochs, batch_size")]
    [InlineData("""{ "trainings": {} }""", "trainings is unknown in the file")]
    [InlineData("""{ "training": { "Epochs": 3 } }""", "Epochs is unknown")]
    [InlineData("""{ "training": { "epochs": 3, "epochs": 4 } }""", "epochs occurs twice in training")]
    [InlineData("""{ "network": {}, "network": {} }""", "network occurs twice")]
    [InlineData("""{ "training": null }""", "training is null; omit it")]
    [InlineData("""{ "weights": null }""", "weights is null")]
    [InlineData("""{ "training": { "epochs": null } }""", "epochs is null")]
    [InlineData("""{ "training": { "epochs": 2.5 } }""", "epochs is 2.5; allowed is a whole number, 1 to 100000.")]
    [InlineData("""{ "training": { "epochs": "3" } }""", "epochs is 3; allowed is a whole number")]
    [InlineData("""{ "training": { "learning_rate": "0,001" } }""", "learning_rate is 0,001; allowed is a number")]
    [InlineData("""{ "training": { "optimizer": "adam" } }""", "optimizer is adam; allowed is adam_w, sgd, muon.")]
    [InlineData("""{ "training": { "optimizer": "SGD" } }""", "optimizer is SGD; allowed is adam_w, sgd, muon.")]
    [InlineData("""{ "training": { "decay_norms_and_biases": 1 } }""", "allowed is true or false")]
    [InlineData("""{ "training": { "tuning": { "views": 0 } } }""", "views is 0; allowed is 1 to 1000.")]
    [InlineData("""{ "training": { "tuning": { "layer_decay": 0 } } }""", "layer_decay is 0")]
    [InlineData("""{ "training": { "tuning": [] } }""", "tuning is []; allowed is an object")]
    [InlineData("""{ "training": { "window": 5 } }""", "window is 5; allowed is 0, or 8 to 512.")]
    [InlineData("""{ "network": { "last_stage_blocks": 0 } }""", "last_stage_blocks is 0")]
    [InlineData("[]", "the file is []; allowed is an object")]
    [InlineData("null", "the file is null; allowed is an object")]
    [InlineData("", "is not a recipe")]
    [InlineData("{ \"training\": {} } {}", "is not a recipe")]
    public void A_key_or_value_that_is_not_the_recipes_is_told_by_its_name(string json, string message)
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["recipe.json"], json);
        var error = Assert.Throws<UserException>(() => RunConfiguration.FromFile(folder["recipe.json"]));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.Contains("recipe.json", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_of_any_size_is_not_read_into_memory()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["recipe.json"], new string(' ', (1 << 20) + 1));
        Assert.Contains(
            "more than a million characters",
            Assert.Throws<UserException>(() => RunConfiguration.FromFile(folder["recipe.json"])).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData(typeof(Recipe))]
    [InlineData(typeof(NetworkOptions))]
    [InlineData(typeof(TuningOptions))]
    [InlineData(typeof(AugmentationOptions))]
    public void Every_number_of_a_recipe_has_a_range(Type record) =>
        Assert.All(
            ConfigurationRanges
                .PropertiesOf(record)
                .Where(property =>
                    (Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType)
                        is { IsEnum: false } type
                    && (type == typeof(int) || type == typeof(double))
                ),
            property => Assert.True(property.IsDefined(typeof(AllowedAttribute), false), property.Name)
        );

    [Fact]
    public void Found_recipes_are_refused()
    {
        var folder = Shared.Find("findings", "files", "recipes");
        Assert.SkipWhen(folder is null, "../shared/findings/files/recipes is not there");
        foreach (var file in Directory.GetFiles(folder!))
            Assert.Throws<UserException>(() => RunConfiguration.FromFile(file));
    }

    [Fact]
    public void The_programs_own_recipes_are_within_them()
    {
        foreach (var name in RunConfiguration.Names)
            Assert.NotNull(RunConfiguration.Named(name));
    }
}
