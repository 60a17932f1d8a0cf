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

    [Fact]
    public void The_README_names_what_the_table_holds()
    {
        var readme = File.ReadAllText(Path.Combine(Shared.Repository, "README.md")).ReplaceLineEndings("\n");
        Assert.Contains(
            $"<!-- operators -->\n{OperatorDocument.Names(OperatorTable.Default)}<!-- /operators -->",
            readme,
            StringComparison.Ordinal
        );
    }
}
