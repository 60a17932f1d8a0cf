namespace TorchBridge.Testing;

/// <summary>Texts that are committed, so that a change is visible in a diff and cannot be made by accident.</summary>
public static class Snapshot
{
    /// <summary>Compares a text with the committed one.</summary>
    /// <param name="actual">The text; its lines end with a line feed.</param>
    /// <param name="path">The committed file.</param>
    /// <param name="what">What the text is, for the beginning of the message.</param>
    /// <returns>Null if they agree; otherwise a message that says what differs and what to do.</returns>
    public static string? Difference(string actual, string path, string what)
    {
        var expected = File.Exists(path) ? File.ReadAllText(path).ReplaceLineEndings("\n") : "";
        if (actual == expected)
            return null;
        var received = Path.Combine(AppContext.BaseDirectory, $"{Path.GetFileNameWithoutExtension(path)}.received.txt");
        File.WriteAllText(received, actual);
        string[] lines = actual.Split('\n'),
            before = expected.Split('\n');
        var first = lines.Except(before).Concat(before.Except(lines)).FirstOrDefault();
        return $"{what} has changed ('{first?.Trim()}'). Where that is meant, copy {received} to {path}.";
    }
}
