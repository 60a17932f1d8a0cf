using TorchBridge.Training.Data;
using TorchBridge.Training.Inspection;

namespace TorchBridge.Training.Tests.Inspection;

/// <summary>Problems of a folder of pictures are reported before anything is trained on it.</summary>
public class DataInspectionTests
{
    [Fact]
    public void Planted_faults_are_each_named()
    {
        using var folder = new TempFolder();
        var pictures = DataSource.ToPng(DrawnPictures.Make(4, 130, 10, 10).Training);
        void Put(string name, byte[] bytes)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(folder[name])!);
            File.WriteAllBytes(folder[name], bytes);
        }

        for (var i = 0; i < 100; i++)
            Put($"train/many/{i}.png", pictures[i].Bytes);
        Put("train/few/a.png", pictures[100].Bytes);
        Put("test/many/new.png", pictures[101].Bytes);
        Put("test/many/copy.png", pictures[5].Bytes);
        Put("test/few/wrong.png", pictures[7].Bytes);
        // The same pixels in another file: a chunk that says nothing, before the end.
        Put("train/many/again.png", WithComment(pictures[9].Bytes));
        Put("train/many/cut.png", pictures[102].Bytes[..^30]);
        Put("train/many/text.jpg", "not a picture"u8.ToArray());

        var found = DataInspection.Of(PictureFolder.Place(folder.Path), TestContext.Current.CancellationToken);
        Assert.Equal(
            [
                new ClassCount("test", "few", 1),
                new ClassCount("test", "many", 2),
                new ClassCount("train", "few", 1),
                new ClassCount("train", "many", 101),
            ],
            found.Counts
        );
        Assert.Equal(
            ["train/many/cut.png", "train/many/text.jpg"],
            found.Unreadable.Select(item => item.Name).Order(StringComparer.Ordinal)
        );
        Assert.Contains(
            "truncated",
            found.Unreadable.Single(item => item.Name.EndsWith("cut.png", StringComparison.Ordinal)).Why,
            StringComparison.Ordinal
        );
        Assert.True(found.IsImbalanced);
        Assert.Equal(3, found.Duplicates.Count);
        Assert.True(Group("copy").IsAcrossParts && Group("copy").IsSameFile && !Group("copy").IsAcrossClasses);
        Assert.True(Group("wrong").IsAcrossClasses);
        Assert.False(Group("again").IsSameFile);
        SampleSheet.Write(folder["sheet.html"], "<photos>", PictureFolder.Place(folder.Path), found);
        var page = File.ReadAllText(folder["sheet.html"]);
        Assert.Equal(0, PageCheck.StandsAlone(page));
        Assert.Contains("is truncated", page, StringComparison.Ordinal);
        Assert.Contains("in more than one class, so one of the labels is wrong", page, StringComparison.Ordinal);

        DuplicateGroup Group(string name) =>
            found.Duplicates.Single(group => group.Names.Any(file => file.Contains(name, StringComparison.Ordinal)));
    }

    [Fact]
    public void A_class_of_which_nothing_can_be_read_is_counted_as_none()
    {
        using var folder = new TempFolder();
        var pictures = DataSource.ToPng(DrawnPictures.Make(4, 10, 10, 10).Training);
        Directory.CreateDirectory(folder["whole"]);
        Directory.CreateDirectory(folder["cut"]);
        File.WriteAllBytes(folder["whole", "a.png"], pictures[0].Bytes);
        File.WriteAllBytes(folder["cut", "b.png"], pictures[1].Bytes[..^30]);
        var found = DataInspection.Of(PictureFolder.Place(folder.Path), TestContext.Current.CancellationToken);
        Assert.Equal([new ClassCount("all", "cut", 0), new ClassCount("all", "whole", 1)], found.Counts);
        // The ratio must be finite, for JSON: classes without pictures are left out of it.
        Assert.Equal(1, found.LargestOverSmallest);
    }

    [Fact]
    public void Without_a_test_part_the_validation_part_is_held_out_and_that_is_said()
    {
        using var folder = new TempFolder();
        var pictures = DataSource.ToPng(DrawnPictures.Make(4, 60, 10, 10).Training);
        for (var i = 0; i < 60; i++)
        {
            var name = $"{(i < 40 ? "train" : "val")}/{(i % 2 == 0 ? "a" : "b")}/{i}.png";
            Directory.CreateDirectory(Path.GetDirectoryName(folder[name])!);
            File.WriteAllBytes(folder[name], pictures[i].Bytes);
        }

        var (data, files) = PictureFolder.Load(folder.Path, 32, 32, 1);
        Assert.Equal((36, 4, 20), (data.Training.Count, data.Validation.Count, data.Test.Count));
        Assert.All(files, file => Assert.StartsWith("val/", file.Name, StringComparison.Ordinal));
        Assert.Contains("validation part is used for testing", data.Note, StringComparison.Ordinal);
    }

    private static byte[] WithComment(byte[] png)
    {
        // A tEXt chunk "a\0b" with its CRC-32 (of "tEXta\0b"), behind the header: 8 bytes of signature, 25 of IHDR.
        uint crc = uint.MaxValue;
        foreach (var value in "tEXta\0b"u8)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc & 1) == 1 ? (crc >> 1) ^ 0xEDB8_8320 : crc >> 1;
        }

        crc = ~crc;
        return
        [
            .. png[..33],
            0,
            0,
            0,
            3,
            .. "tEXta\0b"u8,
            (byte)(crc >> 24),
            (byte)(crc >> 16),
            (byte)(crc >> 8),
            (byte)crc,
            .. png[33..],
        ];
    }
}
