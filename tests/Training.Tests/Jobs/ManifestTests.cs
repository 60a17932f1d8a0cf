using System.Text;
using TorchBridge.Scale.Contract;
using TorchBridge.Training.Jobs;

namespace TorchBridge.Training.Tests.Jobs;

public class ManifestTests
{
    [Fact]
    public void A_folder_a_list_and_a_finished_manifest_give_the_same_lines()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["in", "sub"]);
        foreach (var name in (string[])["b.png", "a.jpg", "sub/é c.png"])
            File.WriteAllText(folder["in", name], name);
        var (made, root) = Make(folder["in"]);
        Assert.Equal(folder["in"], root);
        var expected =
            $"{ContentHash.Of("a.jpg")}  a.jpg\n{ContentHash.Of("b.png")}  b.png\n{ContentHash.Of("sub/é c.png")}  sub/é c.png\n";
        Assert.Equal(expected, Encoding.UTF8.GetString(made));

        // In the list's own order, whatever the lines end with.
        File.WriteAllText(folder["in", "list.txt"], "\uFEFFb.png\r\n\r\na.jpg\r\nsub/é c.png");
        var listed = Encoding.UTF8.GetString(Make(folder["in", "list.txt"]).Text).Split('\n');
        Assert.Equal(expected.Split('\n').Order(), listed.Order());
        Assert.EndsWith("b.png", listed[0], StringComparison.Ordinal);

        // With hashes: nothing is read, not even that it is there.
        File.WriteAllText(folder["in", "sums.txt"], $"{ContentHash.Of("x")} *gone.png\n");
        Assert.Equal(
            $"{ContentHash.Of("x")}  gone.png\n",
            Encoding.UTF8.GetString(Make(folder["in", "sums.txt"]).Text)
        );

        File.WriteAllBytes(folder["manifest.txt"], made);
        var read = Manifest.Read(folder["manifest.txt"]);
        Assert.Equal((3, ContentHash.Of(made)), (read.Count, read.Sha256));
        Assert.Equal(new ManifestEntry(ContentHash.Of("sub/é c.png"), "sub/é c.png"), read[2]);
        Assert.Equal(made, read.Lines(0, 1).ToArray().Concat(read.Lines(1, 2).ToArray()));
        Assert.Empty(read.Lines(1, 0).ToArray());
    }

    [Fact]
    public void A_file_that_is_not_there_has_a_line_too()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["list.txt"], "gone.png\n");
        Assert.Equal($"{Manifest.Unreadable}  gone.png\n", Encoding.UTF8.GetString(Make(folder["list.txt"]).Text));
    }

    [Theory]
    [InlineData("")]
    [InlineData("short\n")]
    [InlineData("0123  a.png\n")]
    public void A_damaged_manifest_is_refused(string text)
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["manifest.txt"], text);
        Assert.Throws<UserException>(() => Manifest.Read(folder["manifest.txt"]));
        File.WriteAllText(folder["manifest.txt"], $"{ContentHash.Of("x")}  a.png"); // its last line has no end
        Assert.Throws<UserException>(() => Manifest.Read(folder["manifest.txt"]));
    }

    [Theory]
    [InlineData(10, 3)]
    [InlineData(1, 1)]
    [InlineData(1000, 1000)]
    [InlineData(1_000_003, 997)]
    public void Slices_hold_every_picture_once_and_differ_by_one_at_most(int pictures, int shards)
    {
        var job = new ScoringSpecification("", "", pictures, shards, ResultFormat.Csv, "");
        var next = 0;
        for (var shard = 0; shard < shards; shard++)
        {
            var (first, count) = job.Slice(shard);
            Assert.Equal(next, first);
            Assert.InRange(count, pictures / shards, (pictures / shards) + 1);
            next += count;
        }

        Assert.Equal(pictures, next);
    }

    private static (byte[] Text, string Root) Make(string source) =>
        Manifest.Make(source, (_, _) => { }, TestContext.Current.CancellationToken);
}
