using System.Buffers.Binary;
using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using SkiaSharp;
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Tests;

/// <summary>Which files of a folder or an archive are used, and what is reported about the others.</summary>
public class PictureFolderTests
{
    private static readonly byte[] Png = TestPictures.Encode(9, 8, SKEncodedImageFormat.Png);

    [Theory]
    [InlineData("a/.ipynb_checkpoints/copy.png", "1 hidden file or folder (a/.ipynb_checkpoints)")]
    [InlineData(".ipynb_checkpoints/copy.png", "hidden file or folder (.ipynb_checkpoints)")]
    [InlineData(".git/x/y.png", "hidden file or folder (.git)")]
    [InlineData("__MACOSX/a/._000.png", "hidden file or folder (__MACOSX)")]
    [InlineData("a/._000.png", "hidden file or folder (a/._000.png)")]
    [InlineData("a/Thumbs.db", "hidden file or folder (a/Thumbs.db)")]
    [InlineData("Desktop.ini", "hidden file or folder (Desktop.ini)")]
    [InlineData("@eaDir/a/1.png", "hidden file or folder (@eaDir)")]
    [InlineData("a/notes.txt", "1 file that is not a picture (a/notes.txt)")]
    [InlineData("a/scan.tif", "1 picture in an unsupported format (a/scan.tif): convert to PNG or JPEG")]
    [InlineData("a/scan.jxl", "1 picture in an unsupported format (a/scan.jxl): convert to PNG or JPEG")]
    public void What_does_not_count_is_left_out_with_a_line(string extra, string line)
    {
        using var folder = new TempFolder();
        Write(folder["data"], ("a", 12), ("b", 12));
        var content = extra.EndsWith(".png", StringComparison.Ordinal) ? Png : "no picture"u8.ToArray();
        Place(folder["data", extra], content);
        ZipFile.CreateFromDirectory(folder["data"], folder["data.zip"]);
        Tar(folder["data.tgz"], folder["data"]);
        foreach (var name in (string[])["data", "data.zip", "data.tgz"])
        {
            var (data, _) = PictureFolder.Load(folder[name], 8, 8, 1);
            Assert.Equal(["a", "b"], data.ClassNames);
            Assert.Equal(24, data.Training.Count + data.Validation.Count + data.Test.Count);
            // An archive lists what is in a hidden folder, not the folder alone.
            Assert.True(data.Note?.StartsWith("Left out: ", StringComparison.Ordinal), $"{name}: {data.Note}");
            if (name == "data")
                Assert.Contains(line, data.Note, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("avif.png", "AAAAHGZ0eXBhdmlmAAAAAGF2aWZtaWYx", "format")]
    [InlineData("heic.jpg", "AAAAHGZ0eXBoZWljAAAAAGhlaWNtaWYx", "format")]
    [InlineData("tiff.jpeg", "SUkqAAgAAAAAAAAA", "format")]
    [InlineData("big-endian-tiff.webp", "TU0AKgAAAAgAAAAA", "format")]
    [InlineData("photo.avif", "AAAAHGZ0eXBhdmlmAAAAAGF2aWZtaWYx", "format")]
    [InlineData("jpegxl", "/woAAAAAAAAAAAAA", "format")]
    [InlineData("README", "aGVsbG8=", "not a picture")]
    [InlineData("empty", "", "not a picture")]
    [InlineData("noending", null, null)]
    [InlineData("really-a-png.jpg", null, null)]
    [InlineData("really-a-png.avif", null, null)]
    [InlineData("really-a-png.tif", null, null)]
    public void The_content_says_what_a_picture_is_and_not_its_name(string name, string? base64, string? why)
    {
        using var folder = new TempFolder();
        Write(folder["data"], ("a", 12), ("b", 12));
        Place(folder["data", "a", name], base64 is null ? Png : Convert.FromBase64String(base64));
        ZipFile.CreateFromDirectory(folder["data"], folder["data.zip"]);
        Tar(folder["data.tgz"], folder["data"]);
        foreach (var source in (string[])["data", "data.zip", "data.tgz"])
        {
            var (data, _) = PictureFolder.Load(folder[source], 8, 8, 1);
            var count = data.Training.Count + data.Validation.Count + data.Test.Count;
            Assert.Equal((source, why is null ? 25 : 24), (source, count));
            Assert.Equal(why is null, data.Note is null);
            Assert.True(
                why is null
                    || (
                        data.Note!.Contains(why, StringComparison.Ordinal)
                        && data.Note.Contains($"a/{name}", StringComparison.Ordinal)
                    ),
                data.Note
            );
        }
    }

    [Fact]
    public void Nothing_is_said_where_nothing_is_left_out()
    {
        using var folder = new TempFolder();
        Write(folder.Path, ("a", 12), ("b", 12));
        Assert.Null(PictureFolder.Load(folder.Path, 8, 8, 1).Data.Note);
    }

    [Theory]
    [InlineData("photo.jfif", SKEncodedImageFormat.Jpeg)]
    [InlineData("photo.JPE", SKEncodedImageFormat.Jpeg)]
    [InlineData("photo.WebP", SKEncodedImageFormat.Webp)]
    public void Other_endings_of_formats_that_are_read_count(string name, SKEncodedImageFormat format)
    {
        using var folder = new TempFolder();
        Write(folder.Path, ("a", 12), ("b", 12));
        Place(folder["a", name], TestPictures.Encode(9, 8, format));
        var (data, _) = PictureFolder.Load(folder.Path, 8, 8, 1);
        Assert.Equal((25, null), (data.Training.Count + data.Validation.Count + data.Test.Count, data.Note));
    }

    [Fact]
    public void A_gif_counts_and_an_ico_where_skia_reads_it()
    {
        using var folder = new TempFolder();
        Write(folder.Path, ("a", 12), ("b", 12));
        // The smallest GIF there is: one pixel.
        Place(folder["a", "one.gif"], Convert.FromBase64String("R0lGODdhAQABAIAAAP///////ywAAAAAAQABAAACAkQBADs="));
        // An icon that holds a PNG.
        var icon = new byte[22 + Png.Length];
        (icon[2], icon[4], icon[6], icon[7], icon[10], icon[12]) = (1, 1, 9, 8, 1, 32);
        BinaryPrimitives.WriteInt32LittleEndian(icon.AsSpan(14), Png.Length);
        icon[18] = 22;
        Png.CopyTo(icon, 22);
        Place(folder["b", "one.ico"], icon);
        var (data, _) = PictureFolder.Load(folder.Path, 8, 8, 1);
        Assert.Equal(26, data.Training.Count + data.Validation.Count + data.Test.Count);
    }

    [Fact]
    public void Links_that_loop_lead_outside_or_lead_to_what_is_read_anyway_do_not_count()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "links need a privilege there");
        using var folder = new TempFolder();
        Write(folder["data"], ("a", 12), ("b", 12));
        Write(folder["outside"], ("c", 12));
        Directory.CreateSymbolicLink(folder["data", "a", "loop"], "..");
        Directory.CreateSymbolicLink(folder["data", "a", "self"], folder["data", "a"]);
        Directory.CreateSymbolicLink(folder["data", "c"], folder["outside", "c"]);
        File.CreateSymbolicLink(folder["data", "b", "zero.png"], "/dev/zero");
        File.CreateSymbolicLink(folder["data", "b", "other.png"], "../a/000.png");
        File.CreateSymbolicLink(folder["data", "b", "x.png"], "y.png");
        File.CreateSymbolicLink(folder["data", "b", "y"], "y");
        File.Delete(folder["data", "b", "x.png"]);
        var (data, _) = PictureFolder.Load(folder["data"], 8, 8, 1);
        Assert.Equal(["a", "b"], data.ClassNames);
        Assert.Equal(24, data.Training.Count + data.Validation.Count + data.Test.Count);
        Assert.Contains("6 links that lead out of the folder", data.Note, StringComparison.Ordinal);
    }

    [Fact]
    public void The_data_itself_may_be_a_link_and_files_may_be_kept_in_a_hidden_folder_of_it()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "links need a privilege there");
        using var folder = new TempFolder();
        Write(folder["data"], ("a", 11), ("b", 12));
        Place(folder["data", ".objects", "1"], Png);
        File.CreateSymbolicLink(folder["data", "a", "kept.png"], "../.objects/1");
        Directory.CreateSymbolicLink(folder["link"], folder["data"]);
        var (data, _) = PictureFolder.Load(folder["link"], 8, 8, 1);
        Assert.Equal(23 + 1, data.Training.Count + data.Validation.Count + data.Test.Count);
    }

    [Fact]
    public void A_link_to_nothing_is_named()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "links need a privilege there");
        Refused(
            folder =>
            {
                Write(folder.Path, ("a", 12), ("b", 12));
                File.CreateSymbolicLink(folder["a", "gone.png"], "nowhere.png");
            },
            "a/gone.png is a broken link"
        );
    }

    [Fact]
    public void Pipes_are_not_opened()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "there are no such files");
        using var folder = new TempFolder();
        Write(folder["data"], ("a", 12), ("b", 12));
        foreach (
            var name in (string[])[folder["data", "a", "pipe.png"], folder["data", "b", "pipe.tif"], folder["p.zip"]]
        )
        {
            using var make = Process.Start("mkfifo", [name]);
            make.WaitForExit();
        }

        var (data, _) = PictureFolder.Load(folder["data"], 8, 8, 1);
        Assert.Equal(24, data.Training.Count + data.Validation.Count + data.Test.Count);
        Assert.Contains("2 pipes, sockets and devices (a/pipe.png, b/pipe.tif)", data.Note, StringComparison.Ordinal);
        Assert.Contains(
            "is a pipe or a device",
            Assert.Throws<UserException>(() => PictureFolder.Load(folder["p.zip"], 8, 8, 1)).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("train", "val", true)]
    [InlineData("Train", "Valid", true)]
    [InlineData("TRAIN", "validation", true)]
    [InlineData("training", "VAL", true)]
    [InlineData("train", "test", false)]
    [InlineData("Training", "Testing", false)]
    public void Two_parts_are_training_and_test_whatever_they_are_called(string first, string second, bool isSaid)
    {
        using var folder = new TempFolder();
        Write(folder[first], ("a", 20), ("b", 20));
        Write(folder[second], ("a", 3), ("b", 4));
        var (data, files) = PictureFolder.Load(folder.Path, 8, 8, 1);
        Assert.Equal((36, 4, 7), (data.Training.Count, data.Validation.Count, data.Test.Count));
        Assert.All(files, file => Assert.StartsWith(second, file.Name, StringComparison.Ordinal));
        Assert.Equal(
            isSaid,
            data.Note?.Contains("the validation part is used for testing", StringComparison.Ordinal) ?? false
        );
        // What `inspect` says before is what training says.
        Assert.Equal(data.Note, PictureFolder.NoteOn(PictureFolder.Place(folder.Path)));
    }

    [Fact]
    public void Three_parts_are_taken_as_they_are()
    {
        using var folder = new TempFolder();
        Write(folder["train"], ("a", 3), ("b", 4));
        Write(folder["valid"], ("a", 1), ("b", 2));
        Write(folder["Test"], ("a", 2), ("b", 1));
        var (data, _) = PictureFolder.Load(folder.Path, 8, 8, 1);
        Assert.Equal((7, 3, 3), (data.Training.Count, data.Validation.Count, data.Test.Count));
    }

    [Fact]
    public void A_training_part_alone_is_split()
    {
        using var folder = new TempFolder();
        Write(folder["train"], ("a", 20), ("b", 20));
        var (data, _) = PictureFolder.Load(folder.Path, 8, 8, 1);
        Assert.Equal((32, 4, 4), (data.Training.Count, data.Validation.Count, data.Test.Count));
        Assert.Contains("There is only a training part", data.Note, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a:12,b:1", "the class 'b' has only 1 pictures to split. Every class needs at least 10")]
    [InlineData("a:12,b:9", "the class 'b' has only 9 pictures to split")]
    [InlineData(
        "train/a:12,train/b:12,train/c:12,test/a:2,test/b:2",
        "the class 'c' has 12 pictures in the training part and 0 in the test part"
    )]
    [InlineData(
        "train/a:12,train/b:12,test/a:2,test/b:2,test/c:2",
        "the class 'c' has 0 pictures in the training part and 2 in the test part"
    )]
    [InlineData("train/a:12,train/b:9,test/a:2,test/b:2", "the class 'b' has only 9 pictures to split")]
    [InlineData("train/a:2,train/b:2,val/a:1,test/a:2,test/b:2", "the class 'b' has no picture in the validation part")]
    [InlineData("test/a:12,test/b:12", "0 pictures in the training part")]
    [InlineData(
        "train/a:12,train/b:12,test/a:2,test/b:2,extra/a:3",
        "extra/a/000.png is not in a part, but beside 'test/'"
    )]
    [InlineData("a:12,b:12,c\u0001d:12", "the class folder 'c\\u0001d' has characters in its name")]
    [InlineData("a:12,b:12,c\td:12", "the class folder 'c\\u0009d'")]
    [InlineData("a:12,b:12,.c:12,empty:0", "the class folder 'empty' contains no picture")]
    public void Classes_that_a_part_lacks_are_refused_before_anything_is_trained(string classes, string message)
    {
        Assert.SkipWhen(
            OperatingSystem.IsWindows() && classes.Any(char.IsControl),
            "no name there has such characters"
        );
        Refused(
            folder =>
                Write(
                    folder.Path,
                    [
                        .. classes
                            .Split(',')
                            .Select(item => item.Split(':'))
                            .Select(item =>
                                (item[0], int.Parse(item[1], System.Globalization.CultureInfo.InvariantCulture))
                            ),
                    ]
                ),
            message
        );
    }

    [Theory]
    [InlineData("cat", "cat ")]
    [InlineData("cat", " cat")]
    public void Class_names_that_look_the_same_are_refused(string one, string other)
    {
        using var folder = new TempFolder();
        Zip(folder["data.zip"], [.. Names($"{one}/", 12), .. Names($"{other}/", 12)]);
        var error = Assert.Throws<UserException>(() => PictureFolder.Load(folder["data.zip"], 8, 8, 1));
        Assert.Contains($"2 class folders named '{one}'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Capital_and_small_letters_are_two_classes()
    {
        using var folder = new TempFolder();
        Zip(folder["data.zip"], [.. Names("A/", 12), .. Names("a/", 12)]);
        Assert.Equal(["A", "a"], PictureFolder.Load(folder["data.zip"], 8, 8, 1).Data.ClassNames);
    }

    [Fact]
    public void Names_of_a_zip_may_have_backslashes_and_a_dot_before_them()
    {
        using var folder = new TempFolder();
        Zip(folder["data.zip"], [.. Names(@"top\red\", 12), .. Names("./top/blue/", 12)]);
        var (data, files) = PictureFolder.Load(folder["data.zip"], 8, 8, 1);
        Assert.Equal(["blue", "red"], data.ClassNames);
        Assert.All(files, file => Assert.DoesNotContain('\\', file.Name));
    }

    [Theory]
    [InlineData("../a/x.png", "leads out of the archive")]
    [InlineData("/a/x.png", "leads out of the archive")]
    [InlineData(@"C:\a\x.png", "leads out of the archive")]
    [InlineData("a/000.png", "contains a/000.png twice")]
    [InlineData("a\\000.png", "contains a/000.png twice")]
    public void Entries_that_lead_outside_or_come_twice_are_refused(string entry, string message) =>
        Refused(
            folder => Zip(folder["data.zip"], [.. Names("a/", 12), .. Names("b/", 12), entry]),
            message,
            "data.zip"
        );

    [Fact]
    public void A_wrong_checksum_in_a_zip_is_an_error_that_names_the_file() =>
        Refused(
            folder =>
            {
                Zip(folder["data.zip"], [.. Names("a/", 12), .. Names("b/", 12)], CompressionLevel.NoCompression);
                var bytes = File.ReadAllBytes(folder["data.zip"]);
                // A pixel of the first picture: its own checksum would say so too, but a JPEG has none.
                var at = bytes.AsSpan().IndexOf(Png) + Png.Length - 1;
                bytes[at] ^= 1;
                File.WriteAllBytes(folder["data.zip"], bytes);
            },
            "a/000.png is damaged: its checksum does not match the one in the archive",
            "data.zip"
        );

    [Theory]
    [InlineData(1 << 25, 1, "more than 200 times")]
    [InlineData(1 << 23, 8, "more than 200 times")]
    public void A_zip_that_unpacks_to_much_more_than_it_is_is_refused_before_it_is_unpacked(
        int length,
        int count,
        string message
    ) =>
        Refused(
            folder =>
            {
                using var zip = ZipFile.Open(folder["data.zip"], ZipArchiveMode.Create);
                for (var i = 0; i < count; i++)
                {
                    using var entry = zip.CreateEntry($"a/{i}.png", CompressionLevel.SmallestSize).Open();
                    for (var written = 0; written < length; written += 1 << 20)
                        entry.Write(new byte[1 << 20]);
                }
            },
            message,
            "data.zip"
        );

    [Theory]
    [InlineData(1 << 25, 1)]
    [InlineData(1 << 23, 8)]
    public void So_is_a_tar(int length, int count) =>
        Refused(
            folder =>
            {
                using var gzip = new GZipStream(File.Create(folder["data.tar.gz"]), CompressionLevel.SmallestSize);
                using var tar = new TarWriter(gzip);
                for (var i = 0; i < count; i++)
                    tar.WriteEntry(
                        new PaxTarEntry(TarEntryType.RegularFile, $"a/{i}.png")
                        {
                            DataStream = new MemoryStream(new byte[length]),
                        }
                    );
            },
            "more than 200 times",
            "data.tar.gz"
        );

    [Fact]
    public void A_zip_that_says_less_than_it_holds_is_refused() =>
        Refused(
            folder =>
            {
                Zip(folder["data.zip"], [.. Names("a/", 12), .. Names("b/", 12)]);
                var bytes = File.ReadAllBytes(folder["data.zip"]);
                // The uncompressed size of the first entry in the directory: 24 bytes after its signature.
                var at = bytes.AsSpan().IndexOf("PK\u0001\u0002"u8);
                BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(at + 24), Png.Length - 5);
                File.WriteAllBytes(folder["data.zip"], bytes);
            },
            "a/000.png",
            "data.zip"
        );

    [Theory]
    [InlineData(100)]
    [InlineData(500)]
    public void A_tar_that_is_cut_short_is_refused(int missing) =>
        Refused(
            folder =>
            {
                Write(folder["data"], ("a", 12), ("b", 12));
                Tar(folder["data.tgz"], folder["data"]);
                var bytes = File.ReadAllBytes(folder["data.tgz"]);
                File.WriteAllBytes(folder["data.tgz"], bytes[..^missing]);
            },
            "data.tgz cannot be read",
            "data.tgz"
        );

    [Fact]
    public void What_git_archive_says_of_a_whole_tar_is_no_file()
    {
        using var folder = new TempFolder();
        Write(folder["data"], ("a", 12), ("b", 12));
        using (var gzip = new GZipStream(File.Create(folder["data.tgz"]), CompressionLevel.Fastest))
        using (var tar = new TarWriter(gzip))
        {
            tar.WriteEntry(
                new PaxGlobalExtendedAttributesTarEntry([new("comment", "the commit that this is made of")])
            );
            foreach (var file in Directory.EnumerateFiles(folder["data"], "*", SearchOption.AllDirectories))
                tar.WriteEntry(file, Path.GetRelativePath(folder["data"], file).Replace('\\', '/'));
        }

        var (data, _) = PictureFolder.Load(folder["data.tgz"], 8, 8, 1);
        Assert.Equal(24, data.Training.Count + data.Validation.Count + data.Test.Count);
        Assert.Null(data.Note);
    }

    [Fact]
    public void A_wrong_checksum_in_a_tar_is_an_error() =>
        Refused(
            folder =>
            {
                Write(folder["data"], ("a", 12), ("b", 12));
                Tar(folder["data.tgz"], folder["data"]);
                var bytes = File.ReadAllBytes(folder["data.tgz"]);
                bytes[^5] ^= 1;
                File.WriteAllBytes(folder["data.tgz"], bytes);
            },
            "data.tgz cannot be read",
            "data.tgz"
        );

    [Fact]
    public void Contents_are_read_when_they_are_needed()
    {
        using var folder = new TempFolder();
        Write(folder["data"], ("a", 12), ("b", 12));
        ZipFile.CreateFromDirectory(folder["data"], folder["data.zip"]);
        // Only names are checked here: a file whose content is not a picture is still in the list, and is reported
        // when it is read.
        Place(folder["data", "a", "000.png"], "no picture"u8.ToArray());
        Assert.Equal(24, PictureFolder.Place(folder["data"]).Count);
        var placed = PictureFolder.Place(folder["data.zip"]);
        Assert.Equal(Png, placed[0].Picture.Bytes);
        Assert.NotSame(placed[0].Picture.Bytes, placed[0].Picture.Bytes);
    }

    [Fact]
    public void Pictures_of_a_tar_are_not_in_memory_before_they_are_needed()
    {
        const int count = 24,
            size = 1 << 20;
        using var folder = new TempFolder();
        // As photos are: they hardly become smaller.
        var noise = new byte[size];
        new Random(1).NextBytes(noise);
        Png.AsSpan(0, 16).CopyTo(noise);
        for (var i = 0; i < count; i++)
            Place(folder["data", i % 2 == 0 ? "a" : "b", $"{i:D3}.png"], noise);
        Tar(folder["data.tgz"], folder["data"]);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var placed = PictureFolder.Place(folder["data.tgz"]);
        var held = GC.GetTotalMemory(forceFullCollection: true) - before;
        Assert.True(held < count * size / 4, $"{held:N0} bytes are held of {count * size:N0}");
        Assert.Equal(noise, placed[^1].Picture.Bytes);
    }

    [Fact]
    public void Twenty_thousand_classes_are_looked_at_in_a_moment()
    {
        using var folder = new TempFolder();
        Zip(folder["data.zip"], [.. Enumerable.Range(0, 20_000).SelectMany(i => Names($"c{i}/", 1)), "empty/"]);
        var error = Assert.Throws<UserException>(() => PictureFolder.Load(folder["data.zip"], 8, 8, 1));
        Assert.Contains("the class folder 'empty' contains no picture", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_fingerprint_sees_names_classes_sizes_and_contents()
    {
        using var folder = new TempFolder();
        Write(folder.Path, ("a", 20), ("b", 20));
        DataFingerprint Now() => DataFingerprint.Of(PictureFolder.Load(folder.Path, 8, 8, 1).Data);
        var before = Now();
        Assert.Null(Now().Difference(before));

        var bytes = File.ReadAllBytes(folder["a", "000.png"]);
        Place(folder["a", "000.png"], TestPictures.Encode(9, 8, SKEncodedImageFormat.Png, seed: 77));
        Assert.Contains("have other content", Now().Difference(before), StringComparison.Ordinal);
        Place(folder["a", "000.png"], bytes);
        Assert.Null(Now().Difference(before));

        File.Move(folder["b", "019.png"], folder["b", "renamed.png"]);
        Assert.Contains("have other names or classes", Now().Difference(before), StringComparison.Ordinal);
        File.Move(folder["b", "renamed.png"], folder["b", "019.png"]);
        Place(folder["b", "more.png"], Png);
        Assert.Contains(
            "the training part has 33 pictures, but had 32",
            Now().Difference(before),
            StringComparison.Ordinal
        );
    }

    private static IEnumerable<string> Names(string prefix, int count) =>
        Enumerable.Range(0, count).Select(i => $"{prefix}{i:D3}.png");

    private static void Zip(string path, IEnumerable<string> names, CompressionLevel level = CompressionLevel.Fastest)
    {
        using var zip = ZipFile.Open(path, ZipArchiveMode.Create, Encoding.UTF8);
        foreach (var name in names)
        {
            var entry = zip.CreateEntry(name, level);
            if (name.EndsWith('/'))
                continue;
            using var stream = entry.Open();
            stream.Write(Png);
        }
    }

    /// <summary>The library's own way from a folder would leave out what is hidden.</summary>
    private static void Tar(string path, string folder)
    {
        using var gzip = new GZipStream(File.Create(path), CompressionLevel.Fastest);
        using var tar = new TarWriter(gzip);
        foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
            tar.WriteEntry(file, Path.GetRelativePath(folder, file).Replace('\\', '/'));
    }

    private static void Write(string root, params (string Name, int Count)[] classes)
    {
        foreach (var (name, count) in classes)
        {
            Directory.CreateDirectory(Path.Combine(root, name));
            for (var i = 0; i < count; i++)
                File.WriteAllBytes(Path.Combine(root, name, $"{i:D3}.png"), Png);
        }
    }

    private static void Place(string path, byte[] content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, content);
    }

    private static void Refused(Action<TempFolder> arrange, string message, string? name = null)
    {
        using var folder = new TempFolder();
        arrange(folder);
        var error = Assert.Throws<UserException>(() =>
            PictureFolder.Load(name is null ? folder.Path : folder[name], 8, 8, 1)
        );
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }
}
