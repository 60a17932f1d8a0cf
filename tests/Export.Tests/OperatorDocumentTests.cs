using TorchBridge.Export.Lowering;

namespace TorchBridge.Export.Tests;

public class OperatorDocumentTests
{
    [Fact]
    public void The_document_is_what_the_table_says() =>
        Assert.Equal(
            OperatorDocument.Markdown(OperatorTable.Default),
            File.ReadAllText(Path.Combine(Shared.Repository, "docs", "operators.md")).ReplaceLineEndings("\n")
        );

    /// <summary>The long list of names is at the beginning of the document, and not in the README.</summary>
    [Fact]
    public void The_names_stand_in_the_document_and_not_in_the_README()
    {
        var names = $"<!-- operators -->\n{OperatorDocument.Names(OperatorTable.Default)}<!-- /operators -->";
        Assert.Contains(names, Text("docs", "operators.md"), StringComparison.Ordinal);
        Assert.DoesNotContain("<!-- operators -->", Text("README.md"), StringComparison.Ordinal);
        Assert.Contains("(docs/operators.md)", Text("README.md"), StringComparison.Ordinal);
    }

    private static string Text(params string[] path) =>
        File.ReadAllText(Path.Combine([Shared.Repository, .. path])).ReplaceLineEndings("\n");
}
