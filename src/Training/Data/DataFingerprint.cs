using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace TorchBridge.Training.Data;

/// <summary>What a part of a data set was, in short.</summary>
/// <param name="Pictures">How many there are.</param>
/// <param name="Names">Hash of their names and classes, in order.</param>
/// <param name="Content">Hash of their sizes and bytes, in order.</param>
internal sealed record PartFingerprint(int Pictures, string Names, string Content)
{
    private const int Digits = 20;

    /// <summary>Of a part.</summary>
    /// <param name="set">The part; where pictures came from files, the files' names, lengths and hashes count, and
    /// else the pixels.</param>
    public static PartFingerprint Of(PictureSet set)
    {
        using var names = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var content = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        names.AppendData(MemoryMarshal.AsBytes<int>(set.Labels));
        if (set.Sources is null)
            content.AppendData(set.Pixels);
        foreach (var source in set.Sources ?? [])
        {
            names.AppendData(Encoding.UTF8.GetBytes(source.Name + "\0"));
            content.AppendData(
                Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{source.Length}:{source.Hash};"))
            );
        }

        return new PartFingerprint(set.Count, Short(names), Short(content));
    }

    /// <summary>How a part differs from what it was, for people; null where it does not.</summary>
    /// <param name="was">The part when the run began.</param>
    /// <param name="name">What to call it: <c>training</c>.</param>
    public string? Difference(PartFingerprint was, string name) =>
        this == was ? null
        : Pictures != was.Pictures
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"the {name} part has {Pictures:N0} pictures, and had {was.Pictures:N0}"
            )
        : Names != was.Names ? $"pictures of the {name} part have other names or classes"
        : $"pictures of the {name} part have another content";

    /// <summary>The first digits of a hash, which is enough to see a change by.</summary>
    /// <param name="hash">Filled with all that counts.</param>
    private static string Short(IncrementalHash hash) => Convert.ToHexStringLower(hash.GetHashAndReset())[..Digits];
}

/// <summary>What a data set was when a run began: names, sizes and contents, part by part. Another picture may mean
/// another split, in which former test pictures are trained on.</summary>
/// <param name="Training">What the weights are learned from.</param>
/// <param name="Validation">What choices are made by.</param>
/// <param name="Test">What is reported.</param>
internal sealed record DataFingerprint(PartFingerprint Training, PartFingerprint Validation, PartFingerprint Test)
{
    /// <summary>Of a data set.</summary>
    /// <param name="data">The three parts as they are split now.</param>
    public static DataFingerprint Of(PictureData data) =>
        new(PartFingerprint.Of(data.Training), PartFingerprint.Of(data.Validation), PartFingerprint.Of(data.Test));

    /// <summary>
    /// All pictures of files in one hash, whatever part each is in; null where they come from no files.
    /// </summary>
    /// <param name="data">The data set.</param>
    /// <returns>20 hexadecimal digits that another split of the same files does not change.</returns>
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

    /// <summary>How a data set differs from what it was, for people; null where it does not.</summary>
    /// <param name="was">What was recorded when the run began.</param>
    /// <returns>A sentence part for each part that differs.</returns>
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
