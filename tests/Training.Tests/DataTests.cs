using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using SkiaSharp;
using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests;

public class DataTests
{
    [Fact]
    public void Drawn_pictures_are_decided_by_the_seed_and_parts_share_none()
    {
        var first = DrawnPictures.Make(1, 200, 50, 50);
        var again = DrawnPictures.Make(1, 200, 50, 50);
        var other = DrawnPictures.Make(2, 200, 50, 50);
        Assert.Equal(first.Training.Pixels, again.Training.Pixels);
        Assert.NotEqual(first.Training.Pixels, other.Training.Pixels);
        var hashes = ((PictureSet[])[first.Training, first.Validation, first.Test])
            .SelectMany(set =>
                Enumerable.Range(0, set.Count).Select(i => Convert.ToHexString(SHA256.HashData(set.Picture(i))))
            )
            .ToArray();
        Assert.Equal(300, hashes.Distinct().Count());
        Assert.Equal(20, first.Training.Labels.Count(label => label == 3));
    }

    [Fact]
    public void A_linear_classifier_stays_under_60_percent_on_drawn_pictures()
    {
        using var scope = NewDisposeScope();
        random.manual_seed(1);
        var data = DrawnPictures.Make(1, 3000, 10, 1000);
        using var linear = nn.Linear(3072, 10);
        using var optimizer = optim.AdamW(linear.parameters(), 1e-3, weight_decay: 0.01);
        var (x, y) = (Tensors(data.Training), tensor(data.Training.Labels.Select(label => (long)label).ToArray()));
        for (var step = 0; step < 400; step++)
        {
            using var inner = NewDisposeScope();
            optimizer.zero_grad();
            nn.functional.cross_entropy(linear.forward(x), y).backward();
            optimizer.step();
        }

        var right = linear
            .forward(Tensors(data.Test))
            .argmax(1)
            .eq(tensor(data.Test.Labels.Select(label => (long)label).ToArray()))
            .sum()
            .ToInt64();
        Assert.InRange(right, 100, 600);

        static Tensor Tensors(PictureSet set) =>
            tensor(set.Pixels.Select(value => (value - 128) / 64f).ToArray()).view(set.Count, -1);
    }

    [Fact]
    public void Channel_statistics_are_those_of_float64()
    {
        var set = DrawnPictures.Make(3, 100, 10, 10).Training;
        var statistics = ChannelStatistics.Of(set);
        for (var c = 0; c < 3; c++)
        {
            var values = Enumerable
                .Range(0, set.Count)
                .SelectMany(i => set.Picture(i).Slice(c * 1024, 1024).ToArray())
                .Select(value => value / 255.0)
                .ToArray();
            var mean = values.Average();
            // the sum of 102,400 doubles is rounded, that of the integers is not
            Assert.Equal(mean, statistics.Mean[c], 10);
            Assert.Equal(Math.Sqrt(values.Average(value => (value - mean) * (value - mean))), statistics.Std[c], 9);
        }
    }

    [Fact]
    public void Folders_zip_and_tar_give_the_same_data_with_every_class_split_alike()
    {
        using var folder = new TempFolder();
        WriteClasses(folder["data"], ("cat", 20), ("dog", 30));
        ZipFile.CreateFromDirectory(folder["data"], folder["data.zip"]);
        using (var tar = new GZipStream(File.Create(folder["data.tar.gz"]), CompressionLevel.Fastest))
            TarFile.CreateFromDirectory(folder["data"], tar, includeBaseDirectory: true);

        var loaded = ((string[])["data", "data.zip", "data.tar.gz"])
            .Select(name => PictureFolder.Load(folder[name], 16, 16, seed: 4))
            .ToArray();
        Assert.All(loaded, item =>
        {
            Assert.Equal(["cat", "dog"], item.Data.ClassNames);
            Assert.Equal((40, 5, 5), (item.Data.Training.Count, item.Data.Validation.Count, item.Data.Test.Count));
            Assert.Equal(3, item.Data.Test.Labels.Count(label => label == 1));
            Assert.Equal(loaded[0].Data.Training.Pixels, item.Data.Training.Pixels);
            Assert.Equal(5, item.TestFiles.Count);
        });
    }

    [Fact]
    public void Parts_are_taken_as_they_are_and_a_tenth_of_train_is_validation()
    {
        using var folder = new TempFolder();
        WriteClasses(folder["train"], ("a", 20), ("b", 20));
        WriteClasses(folder["test"], ("a", 3), ("b", 4));
        var (data, files) = PictureFolder.Load(folder.Path, 16, 16, seed: 1);
        Assert.Equal((36, 4, 7), (data.Training.Count, data.Validation.Count, data.Test.Count));
        Assert.All(files, file => Assert.StartsWith("test/", file.Name, StringComparison.Ordinal));
    }

    [Fact]
    public void A_truncated_picture_is_named() =>
        Refused(
            folder =>
            {
                WriteClasses(folder.Path, ("a", 12), ("b", 12));
                var whole = TestPictures.Encode(64, 64, SKEncodedImageFormat.Jpeg);
                File.WriteAllBytes(folder["a", "cut.jpg"], whole[..(whole.Length / 2)]);
            },
            "a/cut.jpg is truncated"
        );

    [Fact]
    public void A_text_file_named_png_is_named() =>
        Refused(
            folder =>
            {
                WriteClasses(folder.Path, ("a", 12), ("b", 12));
                File.WriteAllText(folder["b", "notes.png"], "notes");
            },
            "b/notes.png is not a picture"
        );

    [Fact]
    public void An_empty_class_folder_is_named() =>
        Refused(
            folder =>
            {
                WriteClasses(folder.Path, ("a", 12), ("b", 12));
                Directory.CreateDirectory(folder["empty"]);
            },
            "the class folder 'empty' contains no picture"
        );

    [Fact]
    public void One_class_only_is_refused() =>
        Refused(folder => WriteClasses(folder.Path, ("only", 30)), "only one class ('only')");

    [Fact]
    public void A_broken_archive_is_refused()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["data.zip"], "this is no zip");
        Assert.Contains(
            "data.zip cannot be read",
            Assert.Throws<UserException>(() => PictureFolder.Load(folder["data.zip"], 16, 16, 1)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Cifar10_with_a_wrong_checksum_is_refused_and_one_that_is_there_needs_no_network()
    {
        using var folder = new TempFolder();
        var archive = CifarArchive();
        File.WriteAllBytes(folder[Cifar10.FileName], archive);
        var nowhere = new Uri("http://127.0.0.1:9/");
        var wrong = new Cifar10 { Folder = folder.Path, Address = nowhere };
        Assert.Contains(
            "wrong checksum",
            Assert.Throws<UserException>(() => wrong.Load(1)).Message,
            StringComparison.Ordinal
        );
        var right = new Cifar10
        {
            Folder = folder.Path,
            Address = nowhere,
            Checksum = Convert.ToHexStringLower(SHA256.HashData(archive)),
        };
        var data = right.Load(1);
        Assert.Equal((45, 5, 10), (data.Training.Count, data.Validation.Count, data.Test.Count));
        Assert.Equal(7, data.Test.Labels[7]);
        Assert.Equal(7, data.Test.Picture(7)[100]);
    }

    [Fact]
    public void Cifar10_without_a_network_says_which_file_to_put_where()
    {
        using var folder = new TempFolder();
        var error = Assert.Throws<UserException>(() =>
            new Cifar10 { Folder = folder["cache"], Address = new Uri("http://127.0.0.1:9/") }.Load(1)
        );
        Assert.Contains(folder["cache", Cifar10.FileName], error.Message, StringComparison.Ordinal);
        Assert.Empty(folder.Files);
    }

    [Fact]
    public void Batches_are_decided_by_seed_epoch_and_index()
    {
        using var scope = NewDisposeScope();
        var set = DrawnPictures.Make(1, 50, 10, 10).Training;
        Tensor[] Epoch(int seed, int epoch) =>
            [.. BatchLoader.Training(set, new Recipe { BatchSize = 16 }, seed, epoch).Select(batch => batch.Pixels)];
        Assert.True(Epoch(1, 1).Zip(Epoch(1, 1)).All(pair => pair.First.equal(pair.Second).all().ToBoolean()));
        Assert.False(Epoch(1, 1)[0].equal(Epoch(1, 2)[0]).all().ToBoolean());
        var first = Epoch(1, 1);
        Assert.Equal([16, 16, 16, 2], first.Select(pixels => (int)pixels.shape[0]));
        Assert.Equal([3 * 1024, 1, 96, 3], first[0].stride());
    }

    [Fact]
    public void The_first_epochs_see_windows_of_what_the_later_ones_see_whole()
    {
        using var scope = NewDisposeScope();
        var set = DrawnPictures.Make(1, 20, 10, 10).Training;
        var recipe = new Recipe
        {
            BatchSize = 20,
            Window = 24,
            WindowEpochs = 2,
        };
        // No crop comes before a window.
        var whole = recipe with { WindowEpochs = 0, Augmentation = recipe.Augmentation with { CropPadding = 0 } };
        Tensor Pixels(Recipe asked, int epoch) => BatchLoader.Training(set, asked, 1, epoch).Single().Pixels;
        Assert.Equal([20, 3, 24, 24], Pixels(recipe, 2).shape);
        Assert.Equal([20, 3, 32, 32], Pixels(recipe, 3).shape);
        Assert.True(Pixels(recipe, 2).equal(Pixels(recipe, 2)).all().ToBoolean());
        Assert.Equal([3 * 24 * 24, 1, 72, 3], Pixels(recipe, 1).stride());
        var (windows, pictures) = (Pixels(recipe, 2), Pixels(whole, 2));
        var places = new HashSet<(int, int)>();
        for (var i = 0; i < 20; i++)
        {
            var found = (
                from top in Enumerable.Range(0, 9)
                from left in Enumerable.Range(0, 9)
                where
                    pictures[i, TensorIndex.Colon, top..(top + 24), left..(left + 24)]
                        .equal(windows[i])
                        .all()
                        .ToBoolean()
                select (top, left)
            ).ToArray();
            Assert.NotEmpty(found);
            places.Add(found[0]);
        }

        Assert.True(places.Count > 10, "windows lie in different places");

        // A window hides enough: no square is laid over it, and over whole pictures it is.
        var cut = recipe with { Augmentation = recipe.Augmentation with { Cutout = 12 } };
        Assert.True(Pixels(cut, 2).equal(windows).all().ToBoolean());
        Assert.False(Pixels(cut, 3).equal(Pixels(recipe, 3)).all().ToBoolean());
    }

    private static void Refused(Action<TempFolder> arrange, string message)
    {
        using var folder = new TempFolder();
        arrange(folder);
        var error = Assert.Throws<UserException>(() => PictureFolder.Load(folder.Path, 16, 16, 1));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    private static void WriteClasses(string root, params (string Name, int Count)[] classes)
    {
        foreach (var (name, count) in classes)
        {
            Directory.CreateDirectory(Path.Combine(root, name));
            for (var i = 0; i < count; i++)
                File.WriteAllBytes(
                    Path.Combine(root, name, $"{i:D3}.png"),
                    TestPictures.Encode(18 + (i % 3), 20, SKEncodedImageFormat.Png, seed: i + (100 * name[0]))
                );
        }
    }

    private static byte[] CifarArchive()
    {
        byte[] Records(int count) =>
            [.. Enumerable.Range(0, count).SelectMany(i => Enumerable.Repeat((byte)(i % 10), 3073))];
        using var memory = new MemoryStream();
        using (var gzip = new GZipStream(memory, CompressionLevel.Fastest, leaveOpen: true))
        using (var tar = new TarWriter(gzip))
        {
            foreach (
                var (name, count) in (IEnumerable<(string, int)>)
                    [("data_batch_1.bin", 30), ("data_batch_2.bin", 20), ("test_batch.bin", 10)]
            )
                tar.WriteEntry(
                    new PaxTarEntry(TarEntryType.RegularFile, $"cifar-10-batches-bin/{name}")
                    {
                        DataStream = new MemoryStream(Records(count)),
                    }
                );
        }

        return memory.ToArray();
    }
}
