using System.Globalization;
using SkiaSharp;
using TorchBridge.Scale.Contract;
using TorchBridge.Testing;

namespace TorchBridge.Pipeline.Tests.Jobs;

/// <summary>The command <c>score</c>: whichever process computes the shards, the results have the same
/// bytes.</summary>
public class ScoreTests(TinyModel model) : IClassFixture<TinyModel>
{
    private const int Pictures = 60;

    private string Onnx => Path.Combine(model.Out, "modern-cnn.onnx");

    [Theory]
    [InlineData("csv")]
    [InlineData("parquet")]
    public void Shards_one_by_one_are_the_bytes_of_the_whole_run_and_a_bad_picture_is_a_row(string format)
    {
        using var folder = new TempFolder();
        Draw(folder);
        var whole = Score(folder, "whole", folder["pictures"], "--of", "4", "--format", format);
        Assert.Equal((0, ""), (whole.ExitCode, whole.Error));
        Assert.Contains("60 rows, 1 of them with an error", whole.Output, StringComparison.Ordinal);

        Assert.Equal(
            0,
            Score(folder, "parts", folder["pictures"], "--of", "4", "--format", format, "--prepare").ExitCode
        );
        foreach (var shard in (string[])["2", "0", "3", "1", "2"]) // in any order, and one twice
            Assert.Equal(0, Score(folder, "parts", "--shard", shard, "--of", "4").ExitCode);
        Assert.Equal(Contents(folder["whole", "results"]), Contents(folder["parts", "results"]));
        Assert.Equal(0, TinyModel.Program("verify", folder["parts"]).ExitCode);

        // A second submission does nothing.
        var again = Score(folder, "whole", folder["pictures"], "--of", "4", "--format", format);
        Assert.Equal(0, again.ExitCode);
        Assert.Contains("4 items, 4 of them already done", again.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Pictures_that_are_gone_changed_empty_cut_off_or_folders_are_rows_with_their_error_on_any_workers()
    {
        using var folder = new TempFolder();
        Draw(folder);
        File.WriteAllBytes(folder["pictures", "p011.png"], []);
        File.WriteAllBytes(folder["pictures", "p012.png"], File.ReadAllBytes(folder["pictures", "p013.png"])[..60]);
        foreach (var name in (string[])["here", "one by one"])
            Assert.Equal(
                0,
                Score(folder, name, folder["pictures"], "--of", "4", "--format", "csv", "--prepare").ExitCode
            );
        File.Delete(folder["pictures", "p020.png"]);
        File.Copy(folder["pictures", "p022.png"], folder["pictures", "p021.png"], overwrite: true);
        File.Delete(folder["pictures", "p030.png"]);
        Directory.CreateDirectory(folder["pictures", "p030.png"]);

        var here = Score(folder, "here");
        Assert.Equal(0, here.ExitCode);
        Assert.Contains("60 rows, 6 of them with an error", here.Output, StringComparison.Ordinal);
        foreach (var shard in (string[])["3", "2", "1", "0"])
            Assert.Equal(0, Score(folder, "one by one", "--shard", shard).ExitCode);
        Assert.Equal(Contents(folder["here", "results"]), Contents(folder["one by one", "results"]));
        var rows = Directory
            .EnumerateFiles(folder["here", "results"], "*.csv")
            .Order(StringComparer.Ordinal)
            .SelectMany(File.ReadAllLines)
            .Skip(1)
            .ToArray();
        foreach (var (row, line) in rows.Index())
        {
            var isBad = (row is 7 or 11 or 12 or 20 or 21 or 30);
            Assert.Equal(isBad, line.Contains(",,,", StringComparison.Ordinal)); // no label, no probability
            Assert.Equal(isBad, !line.EndsWith(','));
        }

        Assert.Contains("it has changed since the manifest was created", rows[21], StringComparison.Ordinal);
        Assert.Equal(0, TinyModel.Program("verify", folder["here"]).ExitCode);
    }

    [Fact]
    public void Csv_shards_one_after_another_are_one_file_in_the_manifests_order()
    {
        using var folder = new TempFolder();
        Draw(folder);
        Assert.Equal(0, Score(folder, "out", folder["pictures"], "--of", "7", "--format", "csv").ExitCode);
        var lines = Directory
            .EnumerateFiles(folder["out", "results"], "*.csv")
            .Order(StringComparer.Ordinal)
            .SelectMany(File.ReadAllLines)
            .ToArray();
        Assert.Equal("index,path,sha256,label,probability,error", lines[0]);
        Assert.Equal(Pictures, lines.Length - 1);
        for (var index = 0; index < Pictures; index++)
            Assert.StartsWith(
                string.Create(CultureInfo.InvariantCulture, $"{index},p{index:D3}.png,"),
                lines[index + 1],
                StringComparison.Ordinal
            );
        Assert.Contains("is not", lines[8], StringComparison.Ordinal);

        // A change of one byte is detected.
        var shard = Directory.EnumerateFiles(folder["out", "results"], "*.csv").Order(StringComparer.Ordinal).First();
        var bytes = File.ReadAllBytes(shard);
        bytes[^2] ^= 1;
        File.WriteAllBytes(shard, bytes);
        var verified = TinyModel.Program("verify", folder["out"]);
        Assert.Equal(1, verified.ExitCode);
        Assert.Contains("another digest", verified.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void What_cannot_be_is_refused()
    {
        using var folder = new TempFolder();
        Draw(folder);
        string Refused(params string[] arguments)
        {
            var result = Score(folder, "out", arguments);
            Assert.Equal(1, result.ExitCode);
            Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
            return result.Error;
        }

        Assert.Contains("contains no job", Refused(), StringComparison.Ordinal);
        Assert.Contains("there is no such folder", Refused(folder["nothing"]), StringComparison.Ordinal);
        Assert.Contains("--of is 61", Refused(folder["pictures"], "--of", "61"), StringComparison.Ordinal);
        Assert.Contains("--cluster", Refused(folder["pictures"], "--cluster", "ftp://host"), StringComparison.Ordinal);
        Assert.Equal(0, Score(folder, "out", folder["pictures"], "--of", "4", "--prepare").ExitCode);
        Assert.Contains("another job", Refused(folder["pictures"], "--of", "5"), StringComparison.Ordinal);
        Assert.Contains("There is no item 4", Refused("--shard", "4"), StringComparison.Ordinal);
        Assert.Contains("has 4 items, not 9", Refused("--shard", "0", "--of", "9"), StringComparison.Ordinal);
    }

    private RunResult Score(TempFolder folder, string name, params string[] more) =>
        TinyModel.Program(["score", "--model", Onnx, "--out", folder[name], "--parallel", "2", .. more]);

    private static void Draw(TempFolder folder)
    {
        Directory.CreateDirectory(folder["pictures"]);
        for (var i = 0; i < Pictures; i++)
            File.WriteAllBytes(
                folder["pictures", $"p{i:D3}.png"],
                i == 7
                    ? "this is not a picture"u8.ToArray()
                    : TestPictures.Encode(40 + i, 32, SKEncodedImageFormat.Png, seed: i)
            );
    }

    private static Dictionary<string, string> Contents(string path) =>
        Directory
            .EnumerateFiles(path)
            .ToDictionary(file => Path.GetFileName(file), ContentHash.OfFile, StringComparer.Ordinal);
}
