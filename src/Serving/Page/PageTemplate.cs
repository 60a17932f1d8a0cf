using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;

namespace TorchBridge.Serving.Page;

/// <summary>The page's parts, from the assembly: one HTML with its style and script in it, and nothing from anywhere
/// else.</summary>
internal sealed class PageTemplate
{
    private readonly string html;

    /// <summary>Puts the parts together.</summary>
    /// <param name="mostBytes">Bytes of the largest picture.</param>
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
        // Only this very style and this very script may run: whatever else a page may be made to hold, a class named
        // <script> say, does not.
        ContentSecurityPolicy =
            $"default-src 'none'; script-src '{HashOf(script)}'; style-src '{HashOf(style)}'; img-src "
            + "'self' blob: data:; connect-src 'self'; "
            + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    }

    /// <summary>
    /// The header of that name: it names the hashes of this style and this script, and nothing else may run.
    /// </summary>
    public string ContentSecurityPolicy { get; }

    /// <summary>The page.</summary>
    /// <param name="parts">What stands where <c>{{name}}</c> does; HTML already.</param>
    public string Render(IReadOnlyDictionary<string, string> parts)
    {
        var text = new StringBuilder(html.Length);
        var rest = html.AsSpan();
        while (
            rest.IndexOf("{{", StringComparison.Ordinal) is >= 0 and var open
            && rest[open..].IndexOf("}}", StringComparison.Ordinal) is > 0 and var close
        )
        {
            // One pass: what is filled in is not looked at again.
            text.Append(rest[..open]);
            var name = rest[(open + 2)..(open + close)].ToString();
            text.Append(parts.TryGetValue(name, out var part) ? part : $"{{{{{name}}}}}");
            rest = rest[(open + close + 2)..];
        }

        return text.Append(rest).ToString();
    }

    /// <summary>A text as HTML.</summary>
    /// <param name="text">Any text.</param>
    public static string Encode(string text) => WebUtility.HtmlEncode(text);

    /// <summary>A hash as the header names it.</summary>
    /// <param name="text">A script or a style, as it stands between its tags.</param>
    private static string HashOf(string text) =>
        $"sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)))}";

    /// <summary>A part of the page from the assembly.</summary>
    /// <param name="name">Of a file in the assembly.</param>
    private static string Resource(string name)
    {
        using var stream = typeof(PageTemplate).Assembly.GetManifestResourceStream(name)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }
}
