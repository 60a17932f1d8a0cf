using TorchBridge.Testing;

namespace TorchBridge.Pipeline.Tests;

public class StyleTests
{
    private const int Widest = 140;
    private static readonly string[] Folders = ["src", "tests", "benchmarks", "samples"];
    private static readonly string[] Kinds = [".cs", ".fs", ".js", ".css", ".html"];

    /// <summary>CSharpier wraps code, but not strings and comments.</summary>
    [Fact]
    public void No_line_is_too_wide_to_read()
    {
        var wide =
            from path in Sources()
            from line in File.ReadLines(path).Index()
            where line.Item.Length > Widest
            select $"{path}:{line.Index + 1} has {line.Item.Length} columns";
        Assert.Empty(wide);
    }

    private static IEnumerable<string> Sources() =>
        from folder in Folders
        from path in Directory.EnumerateFiles(Path.Combine(Shared.Repository, folder), "*", SearchOption.AllDirectories)
        where Kinds.Contains(Path.GetExtension(path))
        let parts = Path.GetRelativePath(Shared.Repository, path).Split(Path.DirectorySeparatorChar)
        where !parts.Any(part => part is "bin" or "obj" or "node_modules")
        select path;
}
