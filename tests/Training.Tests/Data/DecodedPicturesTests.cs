using TorchBridge.Inference.Pictures;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using Xunit;

namespace TorchBridge.Training.Tests.Data;

/// <summary>The cache affects only the speed: it never changes a pixel.</summary>
public sealed class DecodedPicturesTests : IDisposable
{
    private const int Side = 24,
        Count = 7;
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("torchbridge-decoded-");
    private readonly byte[][] photos =
    [
        .. Enumerable
            .Range(0, Count)
            .Select(i => DataSource.ToPng(DrawnPictures.Make(3, 10, 10, 10).Training.Picture(i), 32, 32)),
    ];
    private int reads;

    public void Dispose() => folder.Delete(recursive: true);

    public static TheoryData<string, bool> Damages =>
        new(
            from damage in (string[])
                ["none", "header", "pixel", "digest", "last byte", "cut", "longer", "empty", "another set's", "text"]
            from inMemory in (bool[])[true, false]
            select (damage, inMemory)
        );

    [Theory]
    [MemberData(nameof(Damages))]
    public void A_damaged_or_foreign_cache_file_is_made_anew(string damage, bool inMemory)
    {
        var first = All(Decoder(inMemory).Load(null));
        Assert.Equal(2 * Count, reads);
        Assert.Equal(Expected(), first);
        var file = Assert.Single(Directory.GetFiles(folder.FullName));
        Damage(file, damage);

        reads = 0;
        Assert.Equal(first, All(Decoder(inMemory).Load(null)));
        // Once to hash it, and once more to decode it.
        Assert.Equal(damage == "none" ? Count : 2 * Count, reads);

        reads = 0;
        Assert.Equal(first, All(Decoder(inMemory).Load(null)));
        Assert.Equal(Count, reads);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Other_bytes_sizes_and_readings_are_other_files(bool inMemory)
    {
        _ = Decoder(inMemory).Load(null);
        (photos[0], photos[1]) = (photos[1], photos[0]);
        Assert.Equal(Expected(), All(Decoder(inMemory).Load(null)));
        _ = Decoder(inMemory, antialias: false).Load(null);
        _ = Decoder(inMemory, height: Side + 1).Load(null);
        Assert.Equal(4, Directory.GetFiles(folder.FullName).Length);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Without_a_folder_to_write_nothing_is_kept_and_nothing_is_lost(bool inMemory)
    {
        var occupied = Path.Combine(folder.FullName, "occupied");
        File.WriteAllText(occupied, "");
        Assert.Equal(Expected(), All(Decoder(inMemory, cache: occupied).Load(null)));
    }

    [Fact]
    public void What_is_decoded_in_no_time_is_not_kept()
    {
        var decoder = new DecodedPictures(
            [.. Enumerable.Range(0, Count).Select(i => new EncodedPicture($"{i}.png", () => Read(i)))],
            Side,
            Side,
            new PictureReading(Antialias: true)
        )
        {
            Cache = new CacheFolder("pictures", 1 << 20) { Folder = folder.FullName },
        };
        Assert.Equal(Expected(), All(decoder.Load(null)));
        Assert.Empty(Directory.GetFiles(folder.FullName));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_picture_that_cannot_be_read_is_named_and_leaves_no_file(bool inMemory)
    {
        photos[3] = photos[3][..200];
        Assert.Contains("3.png", Assert.Throws<UserException>(() => Decoder(inMemory).Load(null)).Message);
        Assert.Empty(Directory.GetFiles(folder.FullName));
    }

    [Fact]
    public void A_picture_that_changes_between_the_passes_is_an_error()
    {
        var decoder = new DecodedPictures([new EncodedPicture("turning.png", () => photos[reads++])], Side, Side, null)
        {
            Cache = new CacheFolder("pictures", 1 << 20) { Folder = folder.FullName },
        };
        Assert.Contains("turning.png was changed", Assert.Throws<UserException>(() => decoder.Load(null)).Message);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Parts_share_a_store_and_give_the_same_pixels(bool inMemory)
    {
        var store = Decoder(inMemory).Load(null);
        var set = new PictureSet(store, [.. Enumerable.Range(0, Count)], Side, Side);
        var some = set.Select([5, 1, 3]);
        Assert.Equal([5, 1, 3], some.Labels);
        Assert.Equal(Expected(5, 1, 3), some.Pixels);
        var fewer = some.Select([2, 0]);
        Assert.Equal(Expected(3, 5), fewer.Pixels);
        var more = fewer.With(set.Select([0]));
        Assert.Equal([3, 5, 0], more.Labels);
        Assert.Equal(Expected(3, 5, 0), more.Pixels);
        var stranger = new PictureSet(Expected(6), [9], Side, Side);
        Assert.Equal(Expected(3, 5, 6), fewer.With(stranger).Pixels);
        Assert.Equal(Expected(1, 3), some.Planes(1, 2));
        byte[]? buffer = null;
        Assert.Equal(Expected(1), some.Picture(1, ref buffer));
        Assert.Equal(Expected(3), some.Picture(2, ref buffer));
    }

    private DecodedPictures Decoder(bool inMemory, bool antialias = true, int height = Side, string? cache = null) =>
        new(
            [.. Enumerable.Range(0, Count).Select(i => new EncodedPicture($"{i}.png", () => Read(i)))],
            height,
            Side,
            new PictureReading(antialias)
        )
        {
            Cache = new CacheFolder("pictures", 1 << 20) { Folder = cache ?? folder.FullName },
            InMemory = inMemory ? 1 << 20 : 0,
            WorthKeeping = 0,
        };

    private byte[] Read(int i)
    {
        Interlocked.Increment(ref reads);
        return photos[i];
    }

    private byte[] Expected(params int[] indices)
    {
        var all = new List<byte>();
        foreach (var i in indices.Length == 0 ? [.. Enumerable.Range(0, Count)] : indices)
        {
            var planes = new byte[3 * Side * Side];
            PictureReader.Read(photos[i], "expected", Side, Side, planes, new PictureReading(Antialias: true));
            all.AddRange(planes);
        }

        return [.. all];
    }

    private static byte[] All(PixelStore store)
    {
        Assert.Equal(Count, store.Count);
        byte[]? buffer = null;
        var all = new List<byte>();
        for (var i = 0; i < store.Count; i++)
            all.AddRange(store.Read(i, ref buffer));
        return [.. all];
    }

    private void Damage(string file, string damage)
    {
        var bytes = File.ReadAllBytes(file);
        byte[]? other = null;
        if (damage == "another set's")
        {
            (photos[0], photos[1]) = (photos[1], photos[0]);
            _ = Decoder(inMemory: true).Load(null);
            (photos[0], photos[1]) = (photos[1], photos[0]);
            var made = Directory.GetFiles(folder.FullName).Single(path => path != file);
            other = File.ReadAllBytes(made);
            File.Delete(made);
        }

        switch (damage)
        {
            case "header":
                bytes[20] ^= 1;
                break;
            case "pixel":
                bytes[bytes.Length / 2] ^= 1;
                break;
            case "digest":
                bytes[^40] ^= 1;
                break;
            case "last byte":
                bytes[^1] ^= 1;
                break;
        }

        File.WriteAllBytes(
            file,
            damage switch
            {
                "cut" => bytes[..^1],
                "longer" => [.. bytes, 0],
                "empty" => [],
                "text" => "not pictures"u8.ToArray(),
                "another set's" => other!,
                _ => bytes,
            }
        );
    }
}
