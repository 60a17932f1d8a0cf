using System.Diagnostics;
using System.Globalization;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Operation;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>
/// POST /classify: receives a picture (as the body, or as the file of a form) and returns its most probable classes.
/// <c>?model=</c> names the model (by default the first TorchBridge classifier by name), <c>?top=</c> sets the number
/// of classes, and <c>?details=true</c> adds times, the network's pixels and the activation map.
/// </summary>
internal sealed class ClassifyEndpoint(
    ModelRegistry registry,
    InferenceEngine engine,
    RequestGate gate,
    ModelServerOptions options,
    ServingMetrics metrics
)
{
    /// <summary>Number of classes that are returned by default.</summary>
    public const int DefaultTop = 5;

    /// <summary>Maximum number of classes that a request may ask for.</summary>
    private const int MostTop = 1000;

    /// <summary>Handles a request.</summary>
    /// <param name="context">The request; its query sets model, number of classes and details.</param>
    public async Task Handle(HttpContext context)
    {
        var query = context.Request.Query;
        var answer = await AnswerAsync(
                context,
                query["model"].ToString(),
                TopOf(query["top"].ToString()),
                query["details"] == "true"
            )
            .ConfigureAwait(false);
        await context.Response.WriteAsJsonAsync(answer, ClassifyJson.Default.ClassifyAnswer).ConfigureAwait(false);
    }

    /// <summary>Classifies the picture of a request.</summary>
    /// <param name="context">The request; its body or form holds a picture.</param>
    /// <param name="name">The model's name; if it is empty, the form's field <c>model</c> or else the first
    /// classifier.</param>
    /// <param name="top">Number of classes to return.</param>
    /// <param name="details">Whether to add times, the network's pixels and the activation map.</param>
    /// <exception cref="RequestRefusedException">There is no such classifier, no valid picture, or the server is at a
    /// limit.</exception>
    public async Task<ClassifyAnswer> AnswerAsync(HttpContext context, string name, int top, bool details)
    {
        var started = Stopwatch.GetTimestamp();
        ModelVersion? model = null;
        var outcome = "failed";
        try
        {
            using var body = await RequestBody.ReadAsync(context, gate, options).ConfigureAwait(false);
            var picture = await UploadedPictures.ReadAsync(context, body).ConfigureAwait(false);
            if (name.Length == 0 && UploadedPictures.IsForm(context.Request))
                name = context.Request.Form["model"].ToString();
            using var lease = AcquireClassifier(name);
            model = lease.Version;
            var tensor = picture.IsEmpty
                ? ExampleOf(context, model)
                : Tensor.OfStrings(RequestBinder.PictureInput, [1], [picture]);
            var request = new InferenceRequest(null, InferenceRequest.NoParameters, [tensor], []);
            var result = await engine.RunAsync(model, request, context.RequestAborted).ConfigureAwait(false);
            outcome = "ok";
            return ClassifyAnswer.Of(model, result, top, details, Stopwatch.GetElapsedTime(started));
        }
        catch (RequestRefusedException refusal)
        {
            outcome = refusal.Kind.ToString().ToLowerInvariant();
            throw;
        }
        finally
        {
            metrics.AddRequest(model, outcome, Stopwatch.GetElapsedTime(started));
        }
    }

    /// <summary>
    /// Acquires a TorchBridge classifier for the request; for other models, the error names the address to use.
    /// </summary>
    /// <param name="name">The model's name; empty for the first classifier.</param>
    /// <exception cref="RequestRefusedException">There is no model of that name, or it is not a TorchBridge
    /// classifier.</exception>
    private ModelLease AcquireClassifier(string name)
    {
        if (name.Length == 0)
        {
            name = registry.Models.FirstOrDefault(model => model.Latest?.PixelInput is not null)?.Name
                ?? throw new RequestRefusedException(
                    RefusalKind.NotFound,
                    "no TorchBridge picture classifier is loaded"
                );
        }

        var lease = registry.Acquire(name, null);
        if (lease.Version.PixelInput is not null)
            return lease;
        lease.Dispose();
        throw RequestRefusedException.Invalid(
            $"model '{name}' is not a TorchBridge picture classifier; send its tensors to POST /v2/models/{name}/infer"
        );
    }

    /// <summary>The model's test picture whose number is in the form.</summary>
    /// <param name="context">The request.</param>
    /// <param name="model">The model.</param>
    private static Tensor ExampleOf(HttpContext context, ModelVersion model)
    {
        var text = UploadedPictures.IsForm(context.Request) ? context.Request.Form["example"].ToString() : "";
        if (text.Length == 0)
            throw RequestRefusedException.Invalid(
                $"there is no picture in the request; send one as the body, or as a form's file '{UploadedPictures.FileField}'"
            );
        return
            model.Identity.Pictures is { } pictures
            && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var index)
            && index < pictures.Count
            ? pictures.Pixels(index, model.PixelInput!.Name, model.Identity.Card!)
            : throw RequestRefusedException.Invalid("the model has no such test picture");
    }

    /// <summary>The number of classes that a query asks for; <see cref="DefaultTop"/> if it does not say.</summary>
    /// <param name="text">The query's <c>top</c>.</param>
    private static int TopOf(string text)
    {
        if (text.Length == 0)
            return DefaultTop;
        return
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var top)
            && top is >= 1 and <= MostTop
            ? top
            : throw RequestRefusedException.Invalid($"`top` must be a number of classes, 1 to {MostTop}");
    }
}
