using TorchBridge.Training.Data;

namespace TorchBridge.Training.Tests.Data;

public class PictureNamesTests
{
    [Theory]
    [InlineData("cat/1.JPG", true)]
    [InlineData("cat/1.webp", true)]
    [InlineData("cat/notes.txt", false)]
    [InlineData("cat/png", false)]
    public void A_picture_is_known_by_its_ending_in_any_case(string path, bool expected) =>
        Assert.Equal(expected, PictureNames.IsPicture(path));

    [Theory]
    [InlineData("cat/.DS_Store", true)]
    [InlineData(".git/cat/1.jpg", true)]
    [InlineData("cat/.ipynb_checkpoints/1.jpg", true)]
    [InlineData("cat.dog/1.jpg", false)]
    public void What_systems_leave_behind_is_hidden(string path, bool expected) =>
        Assert.Equal(expected, PictureNames.HasHiddenPart(path));

    [Theory]
    [InlineData("cat/1.avif", "....ftypavif", "Format")]
    [InlineData("cat/1.png", "....ftypavif", "Format")]
    [InlineData("cat/1.png", "II*\0", "Format")]
    [InlineData("cat/1", "any text", "NoPicture")]
    [InlineData("cat/1", "GIF89a", null)]
    [InlineData("cat/1.jpg", "any text", null)] // an error, which is reported when the file is read
    public void The_first_bytes_decide(string path, string head, string? expected)
    {
        var bytes = System.Text.Encoding.Latin1.GetBytes(head);
        Assert.Equal(expected, PictureNames.WhyNot(path, bytes, () => bytes)?.ToString());
    }
}
