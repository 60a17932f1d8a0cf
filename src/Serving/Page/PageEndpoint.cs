using System.Globalization;
using TorchBridge.Serving.Http;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Page;

/// <summary>
/// GET /: the page. POST /: the page with a result, for browsers without JavaScript. GET /examples/M/I: a test
/// picture of a model.
/// </summary>
internal sealed class PageEndpoint(ModelRegistry registry, ClassifyEndpoint classify, ModelServerOptions options)
{
    private readonly PageTemplate template = new(options.MaxRequestBytes);

    /// <summary>Sends the page with the models and their test pictures.</summary>
    /// <param name="context">The request.</param>
    public Task Get(HttpContext context) => SendAsync(context, "", "", "");

    /// <summary>
    /// Sends the page with the result of a submitted form, which holds a file or the number of a test picture.
    /// </summary>
    /// <param name="context">The request, with a form.</param>
    public async Task Post(HttpContext context)
    {
        try
        {
            var answer = await classify
                .AnswerAsync(context, "", ClassifyEndpoint.DefaultTop, details: true)
                .ConfigureAwait(false);
            await SendAsync(context, answer.Model, PageHtml.Result(answer), "").ConfigureAwait(false);
        }
        catch (RequestRefusedException refusal)
        {
            context.Response.StatusCode = ErrorReply.StatusOf(refusal.Kind);
            await SendAsync(context, "", "", refusal.Message).ConfigureAwait(false);
        }
    }

    /// <summary>Sends a test picture of a model as PNG.</summary>
    /// <param name="context">The request; its route names the model and the picture's number.</param>
    public Task Example(HttpContext context)
    {
        using var lease = registry.Acquire(MetadataEndpoints.RouteOf(context, "model"), null);
        var index = int.Parse(MetadataEndpoints.RouteOf(context, "index"), CultureInfo.InvariantCulture);
        if (
            lease.Version.Identity is not { Card: { } card, Pictures: { } pictures }
            || index < 0
            || index >= pictures.Count
        )
            throw new RequestRefusedException(RefusalKind.NotFound, "the model has no such test picture");
        var png = SeenPicture.ToPng(pictures.Plane(index, card), card.Width, card.Height);
        context.Response.ContentType = "image/png";
        context.Response.ContentLength = png.Length;
        return context.Response.Body.WriteAsync(png, context.RequestAborted).AsTask();
    }

    /// <summary>Sends the page, with headers that keep other scripts from running in it.</summary>
    /// <param name="context">The request.</param>
    /// <param name="selected">Name of the selected model; empty for the first one.</param>
    /// <param name="result">HTML of the result; empty for none.</param>
    /// <param name="problem">Error message; empty for none.</param>
    private Task SendAsync(HttpContext context, string selected, string result, string problem)
    {
        ModelVersion[] classifiers =
        [
            .. registry
                .Models.Select(model => model.Latest)
                .OfType<ModelVersion>()
                .Where(version => version.PixelInput is not null),
        ];
        if (selected.Length == 0 && classifiers.Length > 0)
            selected = classifiers[0].Identity.Model;
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = template.ContentSecurityPolicy;
        headers.CacheControl = "no-store";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Permissions-Policy"] = "camera=(self), microphone=(), geolocation=()";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        context.Response.ContentType = "text/html; charset=utf-8";
        var pathBase = context.Request.PathBase.ToUriComponent();
        return context.Response.WriteAsync(
            template.Render(
                new Dictionary<string, string>(StringComparer.Ordinal)
                {
                    ["base"] = PageTemplate.Encode(pathBase),
                    ["models"] = PageHtml.Models(classifiers, selected),
                    ["examples"] = PageHtml.ExamplesOf(classifiers, selected, pathBase),
                    ["result"] = result,
                    ["problem"] = PageTemplate.Encode(problem),
                    ["version"] = ProtocolDescription.Version,
                }
            )
        );
    }
}
