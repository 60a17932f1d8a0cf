// A web service: POST /classify with a picture as the body, and GET /health. The model is reloaded when its file
// changes. The file may also be created after the program has started; until then the service answers 503.
// Usage: WebClassifier --model MODEL.onnx [--urls http://127.0.0.1:5000]
//        curl --data-binary @cat.jpg http://127.0.0.1:5000/classify
using TorchBridge.Inference.Hosting;
using TorchBridge.Inference.Pictures;

var builder = WebApplication.CreateBuilder(args);
if (builder.Configuration["model"] is not { } model)
{
    Console.Error.WriteLine("Usage: WebClassifier --model MODEL.onnx [--urls http://127.0.0.1:5000]");
    return 2;
}

builder.Services.AddImageClassifier(model);
var app = builder.Build();
app.MapHealthChecks("/health");
app.MapPost("/classify", async (HttpRequest request, ImageClassifierService classifier, CancellationToken stop) =>
{
    using var body = new MemoryStream();
    await request.Body.CopyToAsync(body, stop);
    body.Position = 0;
    try
    {
        var prediction = classifier.Classify(body, "the request's body");
        return Results.Ok(new { prediction.Label, Probability = prediction.Probabilities.Max() });
    }
    catch (InvalidPictureException error)
    {
        return Results.BadRequest(new { Error = error.Message });
    }
    catch (ModelUnavailableException error)
    {
        return Results.Json(new { Error = error.Message }, statusCode: StatusCodes.Status503ServiceUnavailable);
    }
});
await app.RunAsync();
return 0;
