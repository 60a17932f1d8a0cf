using System.Text.RegularExpressions;
using TorchBridge.Serving.Page;

namespace TorchBridge.Serving.Tests.Page;

public class PageTemplateTests
{
    [Fact]
    public void What_is_filled_in_is_not_looked_at_again()
    {
        var template = new PageTemplate(3 << 20);
        var bare = template.Render(new Dictionary<string, string>());
        var name = Regex.Match(bare, @"\{\{(\w+)\}\}").Groups[1].Value;
        var filled = template.Render(new Dictionary<string, string> { [name] = "{{bytes}}" });
        Assert.Contains("{{bytes}}", filled, StringComparison.Ordinal);
        Assert.Contains(
            (3 << 20).ToString(System.Globalization.CultureInfo.InvariantCulture),
            bare,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Only_the_pages_own_script_may_run()
    {
        var policy = new PageTemplate(1 << 20).ContentSecurityPolicy;
        Assert.StartsWith("default-src 'none'; script-src 'sha256-", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        // The script holds the limit of bytes: another limit, another hash.
        Assert.NotEqual(policy, new PageTemplate(2 << 20).ContentSecurityPolicy);
    }

    [Fact]
    public void A_class_name_cannot_become_markup() =>
        Assert.Equal("&lt;b a=&quot;&amp;&quot;&gt;", PageTemplate.Encode("<b a=\"&\">"));
}
