using System.Security.Cryptography;
using SkiaSharp;
using TorchBridge.Inference.Pictures;
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Inspection;

/// <summary>A file that is not a readable picture.</summary>
internal sealed record UnreadablePicture(string Name, string Why);

/// <summary>Files that contain the same picture.</summary>
/// <param name="Names">Names of the files.</param>
/// <param name="IsSameFile">Whether their bytes are equal; otherwise only their decoded pixels are.</param>
/// <param name="IsAcrossParts">Whether they are in different parts, which makes test results too optimistic.</param>
/// <param name="IsAcrossClasses">Whether they are in different classes, so that one of the labels is wrong.</param>
internal sealed record DuplicateGroup(
    IReadOnlyList<string> Names,
    bool IsSameFile,
    bool IsAcrossParts,
    bool IsAcrossClasses
);

/// <summary>Number of pictures of a class in a part.</summary>
internal sealed record ClassCount(string Part, string Class, int Count);

/// <summary>The findings about a set of pictures before training.</summary>
/// <param name="Counts">Readable pictures by part and class; 0 if none of a class can be read.</param>
/// <param name="SmallestSide">Shortest side of the smallest picture, in pixels.</param>
/// <param name="MedianSide">Shortest side of the median picture, in pixels.</param>
/// <param name="LargestSide">Shortest side of the largest picture, in pixels.</param>
/// <param name="Unreadable">Files with a picture's name that are not pictures or are truncated.</param>
/// <param name="Duplicates">Groups of files that contain the same picture.</param>
internal sealed record DataInspection(
    IReadOnlyList<ClassCount> Counts,
    int SmallestSide,
    int MedianSide,
    int LargestSide,
    IReadOnlyList<UnreadablePicture> Unreadable,
    IReadOnlyList<DuplicateGroup> Duplicates
)
{
    /// <summary>Size at which pictures are compared; equal pictures are equal at this size too.</summary>
    public const int Side = 64;

    /// <summary>Ratio between the largest and smallest class above which classes count as imbalanced.</summary>
    private const int Imbalance = 5;

    /// <summary>Ratio of the largest to the smallest class with readable pictures.</summary>
    public double LargestOverSmallest
    {
        get
        {
            var counts = Counts
                .GroupBy(item => item.Class)
                .Select(group => group.Sum(item => item.Count))
                .Where(count => count > 0)
                .ToArray();
            return counts.Length == 0 ? 1 : (double)counts.Max() / counts.Min();
        }
    }

    /// <summary>Whether the classes are so imbalanced that accuracy says little.</summary>
    public bool IsImbalanced => LargestOverSmallest >= Imbalance;

    /// <summary>Examines every file, on all cores; each core has one file in memory at a time.</summary>
    /// <param name="placed">The files, with part and class.</param>
    /// <param name="stop">Cancels the work.</param>
    public static DataInspection Of(IReadOnlyList<PlacedPicture> placed, CancellationToken stop)
    {
        var looks = new Look[placed.Count];
        Parallel.For(0, placed.Count, new ParallelOptions { CancellationToken = stop }, i =>
            looks[i] = LookAt(placed[i].Picture)
        );
        var readable = Enumerable.Range(0, placed.Count).Where(i => looks[i].Why is null).ToArray();
        var sides = readable.Select(i => looks[i].ShortSide).Order().ToArray();
        return new DataInspection(
            [
                .. Enumerable
                    .Range(0, placed.Count)
                    .GroupBy(i => (Part: placed[i].Part ?? "all", placed[i].Class))
                    .OrderBy(group => group.Key)
                    .Select(group => new ClassCount(
                        group.Key.Part,
                        group.Key.Class,
                        group.Count(i => looks[i].Why is null)
                    )),
            ],
            sides.FirstOrDefault(),
            sides.Length == 0 ? 0 : sides[sides.Length / 2],
            sides.LastOrDefault(),
            [
                .. Enumerable
                    .Range(0, placed.Count)
                    .Where(i => looks[i].Why is not null)
                    .Select(i => new UnreadablePicture(placed[i].Picture.Name, looks[i].Why!)),
            ],
            [
                .. readable
                    .GroupBy(i => looks[i].Pixels)
                    .Where(group => group.Count() > 1)
                    .Select(group => new DuplicateGroup(
                        [.. group.Select(i => placed[i].Picture.Name)],
                        group.Select(i => looks[i].Bytes).Distinct().Count() == 1,
                        group.Select(i => placed[i].Part).Distinct().Count() > 1,
                        group.Select(i => placed[i].Class).Distinct().Count() > 1
                    )),
            ]
        );
    }

    /// <summary>Decodes a file and hashes it.</summary>
    /// <param name="picture">The file.</param>
    /// <returns>Hashes of its pixels and bytes, and its shorter side; or why it cannot be read.</returns>
    private static Look LookAt(EncodedPicture picture)
    {
        try
        {
            var bytes = picture.Bytes;
            var planes = new byte[3 * Side * Side];
            PictureReader.Read(bytes, picture.Name, Side, Side, planes, new PictureReading(Antialias: true));
            using var codec = SKCodec.Create(new SKMemoryStream(bytes));
            var (width, height) = (codec.Info.Width, codec.Info.Height);
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            // Two photos of the same size that agree in every byte at 64 x 64 are the same photo; at different sizes,
            // one may be a thumbnail.
            hash.AppendData(BitConverter.GetBytes(width));
            hash.AppendData(BitConverter.GetBytes(height));
            hash.AppendData(planes);
            return new Look(
                Convert.ToHexString(hash.GetHashAndReset()),
                Convert.ToHexString(SHA256.HashData(bytes)),
                Math.Min(width, height),
                null
            );
        }
        catch (InvalidPictureException error)
        {
            return new Look("", "", 0, error.Message);
        }
    }

    /// <summary>The result for one file.</summary>
    /// <param name="Pixels">Hash of the picture at the size at which pictures are compared.</param>
    /// <param name="Bytes">Hash of the file.</param>
    /// <param name="ShortSide">Length of the shorter side in pixels.</param>
    /// <param name="Why">Why it cannot be read; null if it can.</param>
    private sealed record Look(string Pixels, string Bytes, int ShortSide, string? Why);
}
