using SkiaSharp;
using TorchBridge.Training.Data;
using Xunit;

namespace TorchBridge.Training.Tests.Data;

/// <summary>A picture that is in both the training and the test part is reported before training begins.</summary>
public class PartOverlapTests
{
    [Fact]
    public void Pictures_in_several_parts_are_named_by_their_files()
    {
        using var folder = new TempFolder();
        Fill(folder);
        Assert.Null(PictureFolder.Load(folder.Path, 8, 8, 1).Data.Overlap);

        // The same bytes under another name; the same pixels in another file, in another class; and two alike in one
        // part.
        File.Copy(folder["train", "a", "03.png"], folder["test", "a", "copy.png"]);
        Recode(folder["train", "b", "05.png"], folder["validation", "a", "recoded.bmp"]);
        File.Copy(folder["train", "a", "01.png"], folder["train", "a", "twice.png"]);
        var overlap = PictureFolder.Load(folder.Path, 8, 8, 1).Data.Overlap!;
        Assert.StartsWith("Warning: 2 pictures occur in more than one part", overlap);
        Assert.Contains("test/a/copy.png (test) = train/a/03.png (training)", overlap);
        Assert.Contains("train/b/05.png (training) = validation/a/recoded.bmp (validation)", overlap);
        Assert.DoesNotContain("twice.png", overlap);
    }

    [Fact]
    public void A_split_of_our_own_is_looked_at_too_and_the_list_ends()
    {
        using var folder = new TempFolder();
        foreach (var name in (string[])["a", "b"])
        {
            Directory.CreateDirectory(folder[name]);
            for (var i = 0; i < 40; i++)
                File.WriteAllBytes(
                    folder[name, $"{i:D2}.png"],
                    TestPictures.Encode(8, 8, SKEncodedImageFormat.Png, seed: i / 2)
                );
        }

        var overlap = PictureFolder.Load(folder.Path, 8, 8, 1).Data.Overlap!;
        Assert.Matches("Warning: [0-9]+ pictures occur in", overlap);
        Assert.Contains(" more. Keep each picture in only one part", overlap);
    }

    [Fact]
    public void Of_many_copies_only_the_first_are_named_and_those_of_every_part()
    {
        string[] names = [.. Enumerable.Range(0, 12).Select(i => $"{i}.png")];
        var overlap = PartOverlap.Describe(
            names,
            [.. names.Select(_ => new byte[] { 1 })],
            ("training", [.. Enumerable.Range(0, 11)]),
            ("test", [11])
        );
        Assert.Contains("0.png (training) = 11.png (test) = 1.png (training) = 2.png (training) = 8 more.", overlap);
    }

    private static void Fill(TempFolder folder)
    {
        var seed = 0;
        foreach (var part in (string[])["train", "validation", "test"])
        {
            foreach (var name in (string[])["a", "b"])
            {
                Directory.CreateDirectory(folder[part, name]);
                for (var i = 0; i < 10; i++)
                    File.WriteAllBytes(
                        folder[part, name, $"{i:D2}.png"],
                        TestPictures.Encode(8, 8, SKEncodedImageFormat.Png, seed: seed++)
                    );
            }
        }
    }

    /// <summary>The same pixels as a BMP file, from bottom to top, blue first, as the format has it.</summary>
    private static void Recode(string from, string to)
    {
        using var bitmap = SKBitmap.Decode(from);
        using var file = new BinaryWriter(File.Create(to));
        var row = 3 * bitmap.Width;
        Assert.Equal(0, row % 4);
        file.Write("BM"u8);
        file.Write(54 + (row * bitmap.Height));
        file.Write(0);
        file.Write(54);
        file.Write(40);
        file.Write(bitmap.Width);
        file.Write(bitmap.Height);
        file.Write((short)1);
        file.Write((short)24);
        for (var i = 0; i < 6; i++)
            file.Write(0);
        for (var y = bitmap.Height - 1; y >= 0; y--)
        {
            for (var x = 0; x < bitmap.Width; x++)
            {
                var color = bitmap.GetPixel(x, y);
                file.Write((byte[])[color.Blue, color.Green, color.Red]);
            }
        }
    }
}
