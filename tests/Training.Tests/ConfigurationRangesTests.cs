using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Tests;

/// <summary>The ranges of the command line hold for recipes in files.</summary>
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
