using System.Diagnostics;
using System.Globalization;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Operation;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>
/// POST /classify: a picture in (the body, or a form's file), its most probable classes out. <c>?model=</c> names the
/// model (else the only classifier, or the first by name), <c>?top=</c> how many classes, <c>?details=true</c> adds
/// times, what the network saw and its activation map.
/// </summary>
internal sealed class ClassifyEndpoint(
    ModelRegistry registry,
    InferenceEngine engine,
    RequestGate gate,
    ModelServerOptions options,
    ServingMetrics metrics
)
{
    /// <summary>Classes that are told where nobody says how many.</summary>
    public const int DefaultTop = 5;

    /// <summary>Most classes that a request may ask for.</summary>
    private const int MostTop = 1000;

    /// <summary>Answers a request.</summary>
    /// <param name="context">The request, whose query says model, number of classes and details.</param>
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
    /// <param name="context">The request, whose body or form holds a picture.</param>
    /// <param name="name">The model's name; empty for what the form says, or the first classifier.</param>
    /// <param name="top">How many classes.</param>
    /// <param name="details">Whether times, the seen picture and the activation map are added.</param>
    /// <exception cref="RequestRefusedException">There is no classifier, no picture, or no room.</exception>
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
    /// Keeps a classifier of ours for the request; others are refused with the address that takes them.
    /// </summary>
    /// <param name="name">As the request has it; empty for the first classifier that is served.</param>
    /// <exception cref="RequestRefusedException">There is none of the name, or it is no picture classifier of
    /// ours.</exception>
    private ModelLease AcquireClassifier(string name)
    {
        if (name.Length == 0)
        {
            name = registry.Models.FirstOrDefault(model => model.Latest?.PixelInput is not null)?.Name
                ?? throw new RequestRefusedException(
                    RefusalKind.NotFound,
                    "no picture classifier of TorchBridge is loaded"
                );
        }

        var lease = registry.Acquire(name, null);
        if (lease.Version.PixelInput is not null)
            return lease;
        lease.Dispose();
        throw RequestRefusedException.Invalid(
            $"model '{name}' is not a picture classifier of TorchBridge; POST /v2/models/{name}/infer takes its tensors"
        );
    }

    /// <summary>The model's own picture whose number a form names.</summary>
    /// <param name="context">The request.</param>
    /// <param name="model">The model, which brings example pictures.</param>
    private static Tensor ExampleOf(HttpContext context, ModelVersion model)
    {
        var text = UploadedPictures.IsForm(context.Request) ? context.Request.Form["example"].ToString() : "";
        if (text.Length == 0)
            throw RequestRefusedException.Invalid("there is no picture in the request");
        return
            model.Identity.Pictures is { } pictures
            && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var index)
            && index < pictures.Count
            ? pictures.Pixels(index, model.PixelInput!.Name, model.Identity.Card!)
            : throw RequestRefusedException.Invalid("the model has no such picture");
    }

    /// <summary>How many classes a query asks for; five where it does not say.</summary>
    /// <param name="text">The query's <c>top</c>.</param>
    private static int TopOf(string text)
    {
        if (text.Length == 0)
            return DefaultTop;
        return
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var top)
            && top is >= 1 and <= MostTop
            ? top
            : throw RequestRefusedException.Invalid($"`top` is a number of classes, 1 to {MostTop}");
    }
}
