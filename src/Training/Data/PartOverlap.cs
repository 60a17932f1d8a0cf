namespace TorchBridge.Training.Data;

/// <summary>Pictures that stand in more than one part of a data set: what was trained on is known by heart, and makes
/// validation and test figures too good.</summary>
internal static class PartOverlap
{
    private const int Named = 5;

    /// <summary>A line that names them; null where there are none.</summary>
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
            .Select(group =>
                string.Join(
                    " = ",
                    group
                        .OrderBy(item => item.Index)
                        .Select(item => $"{LeftOut.Printable(names[item.Index])} ({item.Part})")
                )
            )
            .Order(StringComparer.Ordinal)
            .ToArray();
        if (shared.Length == 0)
            return null;
        var count =
            shared.Length == 1 ? "1 picture stands" : FormattableString.Invariant($"{shared.Length:N0} pictures stand");
        var more = shared.Length > Named ? FormattableString.Invariant($"; and {shared.Length - Named:N0} more") : "";
        return $"Warning: {count} in more than one part, which makes the test figures too good: "
            + $"{string.Join("; ", shared.Take(Named))}{more}. Keep each in one part; `inspect` lists all that are alike.";
    }
}
