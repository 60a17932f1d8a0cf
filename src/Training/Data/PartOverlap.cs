namespace TorchBridge.Training.Data;

/// <summary>Finds pictures that occur in more than one part of a data set: a network recognizes its training
/// pictures, which makes validation and test results too optimistic.</summary>
internal static class PartOverlap
{
    private const int Named = 5;

    /// <summary>A line that names these pictures; null if there are none.</summary>
    /// <param name="names">Names of all pictures.</param>
    /// <param name="digests">Digests of their pixels, as the network sees them.</param>
    /// <param name="parts">Name and pictures of each part.</param>
    public static string? Describe(
        IReadOnlyList<string> names,
        IReadOnlyList<byte[]> digests,
        params IReadOnlyList<(string Name, int[] Pictures)> parts
    )
    {
        var shared = parts
            .SelectMany(part =>
                part.Pictures.Select(i => (Part: part.Name, Index: i, Digest: Convert.ToHexString(digests[i])))
            )
            .GroupBy(item => item.Digest)
            .Where(group => group.Select(item => item.Part).Distinct().Count() > 1)
            .Select(group => Names([.. group.OrderBy(item => item.Index).Select(item => (item.Index, item.Part))]))
            .Order(StringComparer.Ordinal)
            .ToArray();
        if (shared.Length == 0)
            return null;
        var count =
            shared.Length == 1 ? "1 picture occurs" : FormattableString.Invariant($"{shared.Length:N0} pictures occur");
        var more = shared.Length > Named ? FormattableString.Invariant($"; and {shared.Length - Named:N0} more") : "";
        return $"Warning: {count} in more than one part, which makes the test results too optimistic: "
            + $"{string.Join("; ", shared.Take(Named))}{more}. Keep each picture in only one part; `inspect` "
            + "lists all duplicates.";

        // The first picture of each part comes first, so that the parts can be seen even if there are many copies.
        string Names((int Index, string Part)[] same) =>
            PictureNames.Same([
                .. same.DistinctBy(item => item.Part)
                    .Concat(same)
                    .DistinctBy(item => item.Index)
                    .Select(item => $"{names[item.Index]} ({item.Part})"),
            ]);
    }
}
