using TorchBridge.Training.Data;

namespace TorchBridge.Training.Tests.Data;

public class LeftOutTests
{
    [Fact]
    public void A_line_counts_names_a_few_and_says_what_to_do()
    {
        var leftOut = new LeftOut();
        Assert.Null(leftOut.Text);
        foreach (var name in (string[])["d.heic", "a.heic", "b.heic", "c.heic"])
            leftOut.Add(LeftOut.Reason.Format, name);
        leftOut.Add(LeftOut.Reason.Hidden, ".DS_Store");
        Assert.Equal(5, leftOut.Count);
        Assert.Equal(
            "Left out: 1 hidden file or folder (.DS_Store); 4 pictures in unsupported formats "
                + "(d.heic, a.heic, b.heic, …): convert to PNG or JPEG.",
            leftOut.Text
        );
    }

    [Fact]
    public void A_name_cannot_forge_a_line_of_output() =>
        Assert.Equal(@"a\u000aDone.\u001b[2J", LeftOut.Printable("a\nDone.\u001b[2J"));
}
