using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace TorchBridge.Training.Data;

/// <summary>A short fingerprint of one part of a data set.</summary>
/// <param name="Pictures">Number of pictures.</param>
/// <param name="Names">Hash of their names and classes, in order.</param>
/// <param name="Content">Hash of their sizes and bytes, in order.</param>
internal sealed record PartFingerprint(int Pictures, string Names, string Content)
{
    private const int Digits = 20;

    /// <summary>Computes the fingerprint of a part.</summary>
    /// <param name="set">The part. For pictures from files, the names, lengths and hashes of the files are used,
    /// otherwise the pixels.</param>
    public static PartFingerprint Of(PictureSet set)
    {
        using var names = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var content = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        names.AppendData(MemoryMarshal.AsBytes<int>(set.Labels));
        byte[]? buffer = null;
        for (var i = 0; set.Sources is null && i < set.Count; i++)
            content.AppendData(set.Picture(i, ref buffer));
        foreach (var source in set.Sources ?? [])
        {
            names.AppendData(Encoding.UTF8.GetBytes(source.Name + "\0"));
            content.AppendData(
                Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{source.Length}:{source.Hash};"))
            );
        }

        return new PartFingerprint(set.Count, Short(names), Short(content));
    }

    /// <summary>Describes how a part differs from an earlier fingerprint; null if it does not.</summary>
    /// <param name="was">The fingerprint when the run began.</param>
    /// <param name="name">Name of the part, such as <c>training</c>.</param>
    public string? Difference(PartFingerprint was, string name) =>
        this == was ? null
        : Pictures != was.Pictures
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"the {name} part has {Pictures:N0} pictures, but had {was.Pictures:N0}"
            )
        : Names != was.Names ? $"pictures of the {name} part have other names or classes"
        : $"pictures of the {name} part have other content";

    /// <summary>The first digits of a hash, which are enough to detect a change.</summary>
    /// <param name="hash">A hash to which all data has been appended.</param>
    private static string Short(IncrementalHash hash) => Convert.ToHexStringLower(hash.GetHashAndReset())[..Digits];
}

/// <summary>The fingerprint of a data set when a run began: names, sizes and contents of each part. A changed picture
/// may change the split, so that former test pictures would be used for training.</summary>
/// <param name="Training">The part that the weights are trained on.</param>
/// <param name="Validation">The part that decisions are based on.</param>
/// <param name="Test">The part that is reported.</param>
internal sealed record DataFingerprint(PartFingerprint Training, PartFingerprint Validation, PartFingerprint Test)
{
    /// <summary>Computes the fingerprint of a data set.</summary>
    /// <param name="data">The three parts of the data set.</param>
    public static DataFingerprint Of(PictureData data) =>
        new(PartFingerprint.Of(data.Training), PartFingerprint.Of(data.Validation), PartFingerprint.Of(data.Test));

    /// <summary>
    /// One hash of all picture files, independent of the split; null if the pictures do not come from files.
    /// </summary>
    /// <param name="data">The data set.</param>
    /// <returns>20 hexadecimal digits.</returns>
    public static string? ContentOf(PictureData data)
    {
        PictureSet[] parts = [data.Training, data.Validation, data.Test];
        if (parts.Any(part => part.Sources is null))
            return null;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (
            var line in parts
                .SelectMany(part => part.Sources!)
                .Select(source =>
                    string.Create(CultureInfo.InvariantCulture, $"{source.Name}\0{source.Length}:{source.Hash};")
                )
                .Order(StringComparer.Ordinal)
        )
            hash.AppendData(Encoding.UTF8.GetBytes(line));
        return Convert.ToHexStringLower(hash.GetHashAndReset())[..20];
    }

    /// <summary>Describes how a data set differs from an earlier fingerprint; null if it does not.</summary>
    /// <param name="was">The fingerprint when the run began.</param>
    /// <returns>A phrase for each part that differs.</returns>
    public string? Difference(DataFingerprint was)
    {
        string[] differences =
        [
            .. (
                (string?[])
                    [
                        Training.Difference(was.Training, "training"),
                        Validation.Difference(was.Validation, "validation"),
                        Test.Difference(was.Test, "test"),
                    ]
            ).OfType<string>(),
        ];
        return differences.Length == 0 ? null : string.Join("; ", differences);
    }
}
