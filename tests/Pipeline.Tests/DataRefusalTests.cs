using TorchBridge.Training.Data;

namespace TorchBridge.Pipeline.Tests;

/// <summary>If a folder of pictures cannot be used for training, the program ends with a message of one paragraph,
/// and writes no files.</summary>
public class DataRefusalTests
{
    [Theory]
    [InlineData(
        "the class 'rare' has only 1 pictures to split. Every class needs at least 10",
        "red:12",
        "green:12",
        "rare:1"
    )]
    [InlineData(
        "the class 'rare' has only 3 pictures to split. Every class needs at least 10",
        "red:12",
        "green:12",
        "rare:3"
    )]
    [InlineData(
        "the class 'c' has 0 pictures in the training part and 3 in the test part",
        "train/a:12",
        "train/b:12",
        "test/a:3",
        "test/b:3",
        "test/c:3"
    )]
    [InlineData("there is only one class ('red')", "red:12")]
    public void A_class_that_cannot_be_in_every_part_is_refused_before_training(string message, params string[] classes)
    {
        using var folder = new TempFolder();
        var pictures = DrawnPictures.Make(1, 100, 10, 10).Training;
        foreach (var item in classes.Select(text => text.Split(':')))
        {
            var place = Directory.CreateDirectory(Path.Combine(folder["data"], item[0])).FullName;
            for (var i = 0; i < int.Parse(item[1], System.Globalization.CultureInfo.InvariantCulture); i++)
                File.WriteAllBytes(
                    Path.Combine(place, $"{i}.png"),
                    DataSource.ToPng(pictures.Picture(i), pictures.Width, pictures.Height)
                );
        }

        var result = TinyModel.Program("train", "--data", folder["data"], "--out", folder["models"]);
        Assert.Equal(1, result.ExitCode);
        Assert.Contains(message, result.Error, StringComparison.Ordinal);
        Assert.Single(result.Error.Trim().Split('\n'));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder["models"]));
    }

    [Fact]
    public void A_result_file_that_cannot_be_written_is_refused_before_training()
    {
        using var folder = new TempFolder();
        var result = TinyModel.Program("train", "--json", folder["missing", "result.json"], "--out", folder["models"]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("the folder does not exist", result.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["models"]));
    }
}
