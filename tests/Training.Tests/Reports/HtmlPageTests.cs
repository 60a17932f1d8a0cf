using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Tests.Reports;

public class HtmlPageTests
{
    [Fact]
    public void Words_stand_left_figures_right_and_a_spread_stays_with_its_figure()
    {
        using var folder = new TempFolder();
        new HtmlPage("a page")
            .Table(
                "of two kinds",
                ["norm", "start", "accuracy"],
                [
                    ["Batch", "Kaiming <normal>", "39.0 ± 3.5 %"],
                    ["None", "LeCun", "-1.2"],
                ]
            )
            .Write(folder["page.html"]);
        var html = File.ReadAllText(folder["page.html"]);
        Assert.Contains("<th class=\"words\">start</th><th>accuracy</th>", html, StringComparison.Ordinal);
        Assert.Contains("<td class=\"words\">Kaiming &lt;normal&gt;</td>", html, StringComparison.Ordinal);
        Assert.Contains("<td>39.0&#160;&#177;&#160;3.5 %</td>", html, StringComparison.Ordinal);
        Assert.Contains("<td>-1.2</td>", html, StringComparison.Ordinal);
    }
}
