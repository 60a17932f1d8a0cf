using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;

namespace TorchBridge.Serving.Page;

/// <summary>
/// The page's template: one HTML document that contains its style and script and loads nothing from elsewhere.
/// </summary>
internal sealed class PageTemplate
{
    private readonly string html;

    /// <summary>Assembles the template from the assembly's resources.</summary>
    /// <param name="mostBytes">Maximum size of a picture in bytes.</param>
    public PageTemplate(long mostBytes)
    {
        var style = Resource("page.css");
        var script = Resource("page.js")
            .Replace("{{bytes}}", mostBytes.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
        html = Resource("page.html")
            .Replace("{{style}}", style, StringComparison.Ordinal)
            .Replace("{{script}}", script, StringComparison.Ordinal)
            .Replace(
                "{{megabytes}}",
                (mostBytes >> 20).ToString(CultureInfo.InvariantCulture),
                StringComparison.Ordinal
            );
        // Only this style and this script may run. Anything else that gets into the page, such as a class named
        // <script>, does not run.
        ContentSecurityPolicy =
            $"default-src 'none'; script-src '{HashOf(script)}'; style-src '{HashOf(style)}'; img-src "
            + "'self' blob: data:; connect-src 'self'; "
            + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    }

    /// <summary>
    /// Value of the Content-Security-Policy header. It contains the hashes of the style and the script, so that
    /// nothing else can run.
    /// </summary>
    public string ContentSecurityPolicy { get; }

    /// <summary>Fills the template.</summary>
    /// <param name="parts">The HTML that replaces each <c>{{name}}</c>, by name.</param>
    public string Render(IReadOnlyDictionary<string, string> parts)
    {
        var text = new StringBuilder(html.Length);
        var rest = html.AsSpan();
        while (
            rest.IndexOf("{{", StringComparison.Ordinal) is >= 0 and var open
            && rest[open..].IndexOf("}}", StringComparison.Ordinal) is > 0 and var close
        )
        {
            // A single pass, so that {{name}} inside a filled-in part is not replaced.
            text.Append(rest[..open]);
            var name = rest[(open + 2)..(open + close)].ToString();
            text.Append(parts.TryGetValue(name, out var part) ? part : $"{{{{{name}}}}}");
            rest = rest[(open + close + 2)..];
        }

        return text.Append(rest).ToString();
    }

    /// <summary>Encodes a text for HTML.</summary>
    /// <param name="text">Any text.</param>
    public static string Encode(string text) => WebUtility.HtmlEncode(text);

    /// <summary>The hash of a script or style in the form that the header requires.</summary>
    /// <param name="text">A script or style exactly as it stands between its tags.</param>
    private static string HashOf(string text) =>
        $"sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)))}";

    /// <summary>Reads a part of the page from the assembly's resources.</summary>
    /// <param name="name">Name of the resource.</param>
    private static string Resource(string name)
    {
        using var stream = typeof(PageTemplate).Assembly.GetManifestResourceStream(name)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }
}
