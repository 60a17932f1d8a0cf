using System.Text.RegularExpressions;
using TorchBridge.Testing;

namespace TorchBridge.Pipeline.Tests;

public partial class DocumentTests
{
    [Fact]
    public void Samples_in_the_documents_are_the_samples()
    {
        var embedded = Directory
            .EnumerateFiles(Path.Combine(Shared.Repository, "docs"), "*.md")
            .SelectMany(file => Embedded().Matches(File.ReadAllText(file).ReplaceLineEndings("\n")))
            .ToArray();
        Assert.Equal(4, embedded.Length);
        foreach (var match in embedded)
            Assert.Equal(
                File.ReadAllText(Path.Combine(Shared.Repository, match.Groups[1].Value))
                    .ReplaceLineEndings("\n")
                    .Trim(),
                match.Groups[2].Value.Trim()
            );
    }

    [Fact]
    public void Links_between_documents_lead_somewhere()
    {
        var files = Directory
            .EnumerateFiles(Path.Combine(Shared.Repository, "docs"), "*.md")
            .Append(Path.Combine(Shared.Repository, "README.md"))
            .ToArray();
        var links = files
            .SelectMany(file =>
                Links().Matches(File.ReadAllText(file)).Select(match => (file, target: match.Groups[1].Value))
            )
            .ToArray();
        Assert.NotEmpty(links);
        Assert.All(links, link =>
            Assert.True(
                Path.Exists(Path.Combine(Path.GetDirectoryName(link.file)!, link.target)),
                $"{link.file}: {link.target}"
            )
        );
    }

    [GeneratedRegex("<!-- (samples/\\S+) -->\n```csharp\n(.*?)\n```", RegexOptions.Singleline)]
    private static partial Regex Embedded();

    [GeneratedRegex(@"\]\(([^)#:]+)(#[^)]*)?\)")]
    private static partial Regex Links();
}
