using System.Text.RegularExpressions;
using TorchBridge.Export;
using TorchBridge.Inference;
using TorchBridge.Quantization;
using TorchBridge.Testing;

namespace TorchBridge.Pipeline.Tests;

/// <summary>
/// Compares docs/architecture.md and CONTRIBUTING.md with the source: which project (room) references which, which
/// folder uses types of which, and that every file exists that the documents name.
/// </summary>
public partial class ArchitectureTests
{
    private static readonly string Source = Path.Combine(Shared.Repository, "src");
    private static readonly string Architecture = Read("docs", "architecture.md");

    [Fact]
    public void Rooms_reference_each_other_as_drawn()
    {
        var drawn = Arrows(Drawings().First()).ToHashSet();
        var referenced = Rooms().SelectMany(room => References(room).Select(other => (room, other))).ToHashSet();
        // Only references in the project file are drawn, not those through a third project.
        Assert.Equal(referenced.Order(), drawn.Order());
        Assert.Empty(EdgesOnCycles(referenced));
    }

    [Theory]
    [InlineData("Inference", "Export", "Training", "Quantization")]
    [InlineData("Quantization", "Export", "Training", "Inference")]
    [InlineData("Export", "Training", "Inference", "Quantization")]
    [InlineData("Serving", "Export", "Training", "Quantization")]
    [InlineData("Scale", "Export", "Training", "Inference", "Quantization", "Serving")]
    [InlineData("Onnx", "Export", "Training", "Inference", "Quantization", "Serving", "Scale")]
    public void A_room_knows_nothing_of_what_stands_above_it(string room, params string[] unknown)
    {
        var known = References(room).ToHashSet();
        for (var before = -1; before != known.Count; )
        {
            before = known.Count;
            known.UnionWith(known.ToArray().SelectMany(References));
        }

        Assert.Empty(known.Intersect(unknown));
        var texts = Files(room).Select(File.ReadAllText).ToArray();
        Assert.NotEmpty(texts);
        Assert.All(unknown, other =>
            Assert.All(texts, text =>
                Assert.DoesNotContain($"using TorchBridge.{other}", text, StringComparison.Ordinal)
            )
        );
    }

    /// <summary>A program that only serves or quantizes must not load libtorch: checks the references of the
    /// assemblies.</summary>
    [Fact]
    public void Serving_and_quantizing_load_no_TorchSharp()
    {
        foreach (var assembly in (Type[])[typeof(ImageClassifier), typeof(OnnxQuantizer)])
        {
            var names = assembly.Assembly.GetReferencedAssemblies().Select(name => name.Name).ToArray();
            Assert.Contains("TorchBridge.Onnx", names);
            Assert.DoesNotContain("TorchSharp", names);
            Assert.DoesNotContain("TorchBridge.Export", names);
            Assert.DoesNotContain("TorchBridge.Training", names);
        }

        Assert.Contains(
            "TorchSharp",
            typeof(OnnxExporter).Assembly.GetReferencedAssemblies().Select(name => name.Name)
        );
    }

    [Fact]
    public void Folders_have_no_cycle()
    {
        var cycles = Rooms()
            .SelectMany(room => EdgesOnCycles(FolderEdges(room)).Select(edge => $"{room}: {edge.From} -> {edge.To}"));
        Assert.Equal([], cycles);
    }

    /// <summary>Some things must be done in one place only: creating the options of ONNX Runtime sessions, replacing
    /// a file, and compiling ONNX's protobuf messages.</summary>
    [Theory]
    [InlineData("cs", @"new SessionOptions\b", "src/Onnx/Runtime/OrtSession.cs")]
    [InlineData("cs", @"\bFile\.(Move\([^;]*overwrite: true|Replace\()|\.MoveTo\(", "src/Onnx/Files/AtomicFile.cs")]
    [InlineData("csproj", @"onnx\.proto", "src/Onnx/Onnx.csproj")]
    public void One_place_does_it(string ending, string pattern, string place)
    {
        var found = Rooms()
            .SelectMany(room =>
                Directory.EnumerateFiles(Path.Combine(Source, room), $"*.{ending}", SearchOption.AllDirectories)
            )
            .Where(file =>
                !file.Contains(
                    $"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}",
                    StringComparison.Ordinal
                )
            )
            .Where(file => Regex.IsMatch(File.ReadAllText(file), pattern))
            .Select(file => Path.GetRelativePath(Shared.Repository, file).Replace('\\', '/'));
        Assert.Equal([place], found);
    }

    /// <summary>The properties and README that people see in a list of packages, also for packages that
    /// <see cref="PackageTests"/> does not pack.</summary>
    [Fact]
    public void Every_package_says_what_it_is()
    {
        foreach (var room in Rooms())
        {
            var project = File.ReadAllText(Path.Combine(Source, room, $"{room}.csproj"));
            foreach (var property in (string[])["PackageId", "PackageTags", "Description", "IsPackable"])
                Assert.Contains($"<{property}>", project, StringComparison.Ordinal);
            Assert.StartsWith(
                $"# TorchBridge.{room}",
                File.ReadAllText(Path.Combine(Source, room, "README.md")),
                StringComparison.Ordinal
            );
        }
    }

    /// <summary>Every arrow in the drawings of the folders is a dependency that exists in the source.</summary>
    [Fact]
    public void Drawn_folders_depend_on_each_other()
    {
        var drawings = Drawings().Skip(1).ToArray();
        Assert.Equal(Rooms().Order(), drawings.Select(drawing => Subgraph().Match(drawing).Groups[1].Value).Order());
        foreach (var drawing in drawings)
        {
            var room = Subgraph().Match(drawing).Groups[1].Value;
            // A folder with the name of a project has another name in the drawing: ExportOnnx.
            var arrows = Arrows(drawing).Select(edge => (Folder(room, edge.From), Folder(room, edge.To))).ToArray();
            Assert.Empty(arrows.Except(FolderEdges(room)));
        }

        static string Folder(string room, string name) => name == $"{room}Onnx" ? "Onnx" : name;
    }

    [Fact]
    public void Every_file_of_the_walks_is_there()
    {
        var walks = Walk().Matches(Architecture).Select(match => match.Groups[1].Value).ToArray();
        Assert.Equal(2, walks.Length);
        Assert.All(walks, walk => Assert.True(FileNames().Count(walk) >= 12));
        AssertFilesExist(Architecture);
    }

    [Fact]
    public void Every_file_that_CONTRIBUTING_names_is_there()
    {
        var text = Read("CONTRIBUTING.md");
        foreach (var recipe in (string[])["an operation", "a lab topic", "a backbone"])
        {
            var start = text.IndexOf($"## Adding {recipe}\n", StringComparison.Ordinal);
            Assert.True(start >= 0, recipe);
            var end = text.IndexOf("\n## ", start + 1, StringComparison.Ordinal);
            Assert.True(FileNames().Count(text[start..end]) >= 3, recipe);
        }

        AssertFilesExist(text);
    }

    private static void AssertFilesExist(string text)
    {
        var names = FileNames().Matches(text).Select(match => match.Value).Distinct().ToArray();
        Assert.NotEmpty(names);
        Assert.All(names, name => Assert.True(Path.Exists(Path.Combine(Shared.Repository, name)), name));
    }

    private static string Read(params string[] path) =>
        File.ReadAllText(Path.Combine([Shared.Repository, .. path])).ReplaceLineEndings("\n");

    private static IEnumerable<string> Rooms() =>
        Directory.GetDirectories(Source).Select(path => Path.GetFileName(path));

    private static IEnumerable<string> References(string room) =>
        Reference()
            .Matches(File.ReadAllText(Path.Combine(Source, room, $"{room}.csproj")))
            .Select(match => match.Groups[1].Value);

    private static IEnumerable<string> Files(string room) =>
        Directory
            .EnumerateFiles(Path.Combine(Source, room), "*.cs", SearchOption.AllDirectories)
            .Where(file => !Path.GetRelativePath(Source, file).Split(Path.DirectorySeparatorChar).Any(IsOutput));

    private static bool IsOutput(string folder) => folder is "bin" or "obj" or "buildTransitive";

    private static IEnumerable<string> Drawings() =>
        Drawing().Matches(Architecture).Select(match => match.Groups[1].Value);

    private static IEnumerable<(string From, string To)> Arrows(string drawing) =>
        Arrow().Matches(drawing).Select(match => (match.Groups[1].Value, match.Groups[2].Value));

    /// <summary>
    /// Which folders of a project use types of which others. Files directly in the project's folder are its public
    /// API, which uses the folders and is used by them; they are left out. So are type names that two folders
    /// declare.
    /// </summary>
    private static HashSet<(string From, string To)> FolderEdges(string room)
    {
        var files = Files(room).Select(path => (Folder: FolderOf(room, path), Text: Code(path))).ToArray();
        var folderOfType = files
            .SelectMany(file => Declaration().Matches(file.Text).Select(match => (match.Groups[1].Value, file.Folder)))
            .Distinct()
            .GroupBy(pair => pair.Value, pair => pair.Folder)
            .Where(group => group.Count() == 1)
            .ToDictionary(group => group.Key, group => group.Single());
        return
        [
            .. from file in files
            where file.Folder.Length > 0
            from name in Name().Matches(file.Text).Select(match => match.Value).Distinct()
            // An attribute is used without the ending of its type name.
            let folder = folderOfType.GetValueOrDefault(name) ?? folderOfType.GetValueOrDefault($"{name}Attribute", "")
            where folder.Length > 0 && folder != file.Folder
            select (file.Folder, folder),
        ];
    }

    private static string FolderOf(string room, string path) =>
        Path.GetRelativePath(Path.Combine(Source, room), path).Split(Path.DirectorySeparatorChar) is [var folder, _, ..]
            ? folder
            : "";

    /// <summary>The text of a file without comments and one-line strings, which may name anything.</summary>
    private static string Code(string path) =>
        Text().Replace(Comment().Replace(File.ReadAllText(path).ReplaceLineEndings("\n"), ""), "\"\"");

    /// <summary>The edges that are part of a cycle.</summary>
    private static List<(string From, string To)> EdgesOnCycles(HashSet<(string From, string To)> edges)
    {
        var next = edges.ToLookup(edge => edge.From, edge => edge.To);
        return [.. edges.Where(edge => Reached(edge.To).Contains(edge.From))];

        HashSet<string> Reached(string start)
        {
            var seen = new HashSet<string>();
            var open = new Stack<string>([start]);
            while (open.TryPop(out var folder))
            {
                foreach (var other in next[folder].Where(seen.Add))
                    open.Push(other);
            }

            return seen;
        }
    }

    [GeneratedRegex(@"```mermaid\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Drawing();

    [GeneratedRegex(@"subgraph (\w+)")]
    private static partial Regex Subgraph();

    [GeneratedRegex(@"(\w+)(?:\[[^\]]*\])? --> (\w+)")]
    private static partial Regex Arrow();

    [GeneratedRegex(@"<!-- walk -->\n(.*?)<!-- /walk -->", RegexOptions.Singleline)]
    private static partial Regex Walk();

    [GeneratedRegex(@"\b(src|tests|docs|samples|benchmarks)/[\w/.]*\w")]
    private static partial Regex FileNames();

    [GeneratedRegex(@"ProjectReference Include=""\.\./(\w+)/")]
    private static partial Regex Reference();

    [GeneratedRegex(
        @"^(?:(?:public|internal|file|sealed|static|abstract|partial|readonly|unsafe|ref) )*"
            + @"(?:class|record struct|record|struct|interface|enum|delegate \S+) (\w+)",
        RegexOptions.Multiline
    )]
    private static partial Regex Declaration();

    [GeneratedRegex(@"\b[A-Z]\w*\b")]
    private static partial Regex Name();

    [GeneratedRegex("//[^\n]*")]
    private static partial Regex Comment();

    [GeneratedRegex(@"""(?:[^""\\\n]|\\.)*""")]
    private static partial Regex Text();
}
