using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace TorchBridge.Testing;

/// <summary>Checks what holds for every page that the programs write. Fails at the first violation.</summary>
public static partial class PageCheck
{
    /// <summary>Checks that the page is well-formed, has no script and nothing external, that no id occurs twice, and
    /// that every reference leads to an id.</summary>
    /// <returns>Number of pictures on the page.</returns>
    public static int StandsAlone(string html)
    {
        var page = XDocument.Parse(html);
        // A namespace looks like an address, but is only a name.
        var attributes = page.Descendants()
            .Attributes()
            .Where(attribute => !attribute.IsNamespaceDeclaration)
            .ToArray();
        var ids = attributes.Where(attribute => attribute.Name == "id").Select(attribute => attribute.Value).ToArray();
        Fail(
            "ids that stand twice",
            ids.GroupBy(id => id).Where(group => group.Count() > 1).Select(group => group.Key)
        );
        Fail("references to nothing", attributes.SelectMany(References).Except(ids));
        Fail(
            "scripts and links",
            page.Descendants()
                .Select(element => element.Name.LocalName)
                .Where(name => name is "script" or "link" or "iframe" or "object")
        );
        Fail(
            "external addresses",
            attributes
                .Where(attribute =>
                    attribute.Name.LocalName is "href" or "src"
                    && !attribute.Value.StartsWith('#')
                    && !attribute.Value.StartsWith("data:", StringComparison.Ordinal)
                )
                .Select(attribute => attribute.Value)
        );
        Fail(
            "imports",
            page.Descendants()
                .Where(element =>
                    element.Name.LocalName == "style" && element.Value.Contains("@import", StringComparison.Ordinal)
                )
                .Select(element => element.Value)
        );
        return page.Descendants().Count(element => element.Name.LocalName == "svg");
    }

    private static IEnumerable<string> References(XAttribute attribute) =>
        attribute.Name.LocalName == "href" && attribute.Value.StartsWith('#') ? [attribute.Value[1..]]
        : attribute.Name.LocalName is "aria-labelledby" or "aria-describedby" ? attribute.Value.Split(' ')
        : Url().Matches(attribute.Value).Select(match => match.Groups[1].Value);

    private static void Fail(string what, IEnumerable<string> found)
    {
        var all = found.ToArray();
        if (all.Length > 0)
            throw new InvalidOperationException($"{what}: {string.Join(", ", all.Take(10))}");
    }

    [GeneratedRegex("""url\(\s*["']?#([^"')]+)""")]
    private static partial Regex Url();
}
