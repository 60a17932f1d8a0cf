using System.Globalization;
using System.Text;
using TorchBridge.Serving.Http;
using TorchBridge.Serving.Models;
using static TorchBridge.Serving.Page.PageTemplate;

namespace TorchBridge.Serving.Page;

/// <summary>
/// Creates the parts of the page that depend on the models, and the result for browsers without JavaScript.
/// </summary>
internal static class PageHtml
{
    /// <summary>Maximum number of test pictures shown per model.</summary>
    public const int Examples = 8;

    /// <summary>The models as options of a select element.</summary>
    /// <param name="classifiers">The models that accept pictures.</param>
    /// <param name="selected">Name of the selected model.</param>
    public static string Models(IReadOnlyList<ModelVersion> classifiers, string selected)
    {
        if (classifiers.Count == 0)
            return "<option value=\"\">no picture classifier is loaded</option>";
        var text = new StringBuilder();
        foreach (var name in classifiers.Select(version => version.Identity.Model))
            text.Append(
                CultureInfo.InvariantCulture,
                $"<option value=\"{Encode(name)}\"{(name == selected ? " selected" : "")}>{Encode(name)}</option>"
            );
        return text.ToString();
    }

    /// <summary>The models' test pictures as buttons.</summary>
    /// <param name="classifiers">The models that accept pictures.</param>
    /// <param name="selected">Name of the selected model; the pictures of others are hidden.</param>
    /// <param name="pathBase">Base path of the application.</param>
    public static string ExamplesOf(IReadOnlyList<ModelVersion> classifiers, string selected, string pathBase)
    {
        var text = new StringBuilder();
        foreach (
            var identity in classifiers
                .Select(version => version.Identity)
                .Where(identity => identity.Pictures is not null)
        )
        {
            var isHidden = identity.Model != selected;
            var count = Math.Min(Examples, identity.Pictures!.Count);
            text.Append(
                CultureInfo.InvariantCulture,
                $"<fieldset class=\"examples\" "
                    + $"data-model=\"{Encode(identity.Model)}\"{(isHidden ? " hidden disabled" : "")}"
                    + $"><legend>Or one of the model's test pictures</legend><ul>"
            );
            for (var index = 0; index < count; index++)
            {
                text.Append(
                        CultureInfo.InvariantCulture,
                        $"<li><button type=\"submit\" name=\"example\" value=\"{index}\">"
                    )
                    .Append(
                        CultureInfo.InvariantCulture,
                        $"<img src=\"{Encode(pathBase)}/examples/{Encode(identity.Model)}/{index}\" "
                            + $"alt=\"Test picture {index + 1} of {count}\" width=\"56\" "
                            + $"height=\"56\"></button></li>"
                    );
            }

            text.Append("</ul></fieldset>");
        }

        return text.ToString();
    }

    /// <summary>A result for browsers without JavaScript: the same table as the script creates.</summary>
    /// <param name="answer">The classification, with details.</param>
    public static string Result(ClassifyAnswer answer)
    {
        var text = new StringBuilder()
            .Append(
                CultureInfo.InvariantCulture,
                $"<p class=\"answer\">{Encode(answer.Label)}, {Percent(answer.Probability)}</p>"
            )
            .Append(CultureInfo.InvariantCulture, $"<p>By {Encode(answer.Model)} version {Encode(answer.Version)}</p>");
        if (answer.Probability < 0.5)
            text.Append("<p>The network is not sure: no class reaches a probability of 50 %.</p>");
        text.Append(
                "<div class=\"columns\"><table><caption>Most probable classes</caption><thead><tr><th "
                    + "scope=\"col\" class=\"number\">Rank</th>"
            )
            .Append(
                "<th scope=\"col\">Class</th><th scope=\"col\" class=\"number\">Probability</th><th "
                    + "scope=\"col\">Bar</th></tr></thead><tbody>"
            );
        foreach (var item in answer.Top)
        {
            text.Append(
                    CultureInfo.InvariantCulture,
                    $"<tr><td class=\"number\">{item.Rank}</td><th "
                        + $"scope=\"row\">{Encode(item.Label)}</th><td "
                        + $"class=\"number\">{Percent(item.Probability)}</td>"
                )
                .Append(
                    "<td class=\"bar\"><svg class=\"bar\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
                )
                .Append(
                    CultureInfo.InvariantCulture,
                    $"<rect width=\"{100 * item.Probability:F2}\" height=\"8\"/></svg></td></tr>"
                );
        }

        return text.Append(
                "</tbody></table><figure class=\"seen\"><img alt=\"The picture as the network saw it\" src=\"data:image/png;base64,"
            )
            .Append(answer.Seen)
            .Append("\"><figcaption>As the network saw it</figcaption></figure></div>")
            .ToString();
    }

    /// <summary>A probability in percent, with one decimal.</summary>
    /// <param name="probability">Probability, 0 to 1.</param>
    private static string Percent(double probability) =>
        string.Create(CultureInfo.InvariantCulture, $"{100 * probability:F1} %");
}
