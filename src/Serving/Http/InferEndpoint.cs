using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Operation;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>
/// POST /v2/models/M[/versions/V]/infer: runs a model. The body is JSON, JSON followed by binary tensors, or one raw
/// tensor.
/// </summary>
internal sealed class InferEndpoint(
    ModelRegistry registry,
    InferenceEngine engine,
    RequestGate gate,
    ModelServerOptions options,
    ProtocolLimits limits,
    ServingMetrics metrics
)
{
    /// <summary>Handles a request.</summary>
    /// <param name="context">The request; its route names model and version.</param>
    public async Task Handle(HttpContext context)
    {
        var started = Stopwatch.GetTimestamp();
        ModelVersion? model = null;
        var outcome = "failed";
        try
        {
            using var lease = registry.Acquire(
                MetadataEndpoints.RouteOf(context, "model"),
                MetadataEndpoints.RouteOf(context, "version")
            );
            model = lease.Version;
            InferenceEngine.RefuseIfFull(model);
            using var body = await RequestBody.ReadAsync(context, gate, options).ConfigureAwait(false);
            var result = await engine
                .RunAsync(model, Parse(context, body.Bytes, model), context.RequestAborted)
                .ConfigureAwait(false);
            await SendAsync(context, result.Reply).ConfigureAwait(false);
            outcome = "ok";
        }
        catch (RequestRefusedException refusal)
        {
            outcome = refusal.Kind.ToString().ToLowerInvariant();
            throw;
        }
        catch (OperationCanceledException)
        {
            outcome = "cancelled";
            throw;
        }
        finally
        {
            metrics.AddRequest(model, outcome, Stopwatch.GetElapsedTime(started));
        }
    }

    /// <summary>
    /// Reads a body in the form given by its header: JSON, JSON followed by binary tensors, or one raw tensor.
    /// </summary>
    /// <param name="context">The request; its header gives the length of the JSON.</param>
    /// <param name="body">The whole body.</param>
    /// <param name="model">The model version to run.</param>
    private InferenceRequest Parse(HttpContext context, ReadOnlyMemory<byte> body, ModelVersion model)
    {
        var header = context.Request.Headers[BinaryBody.LengthHeader];
        return BinaryBody.ReadLength(header.ToArray(), body.Length) switch
        {
            null => JsonRequestReader.Read(body, default, limits),
            0 => BinaryBody.ReadRaw(body, model.Signature.Inputs, model.IsBatched, limits),
            { } length => JsonRequestReader.Read(body[..length], body[length..], limits),
        };
    }

    /// <summary>Sends the reply; if binary tensors follow the JSON, a header gives the length of the JSON.</summary>
    /// <param name="context">The request.</param>
    /// <param name="reply">The reply.</param>
    private static async Task SendAsync(HttpContext context, InferenceReply reply)
    {
        var target = new ArrayBufferWriter<byte>();
        var jsonLength = JsonReplyWriter.Write(reply, target);
        context.Response.ContentType = jsonLength is null ? "application/json" : "application/octet-stream";
        if (jsonLength is { } length)
            context.Response.Headers[BinaryBody.LengthHeader] = length.ToString(CultureInfo.InvariantCulture);
        context.Response.ContentLength = target.WrittenCount;
        await context.Response.Body.WriteAsync(target.WrittenMemory, context.RequestAborted).ConfigureAwait(false);
    }
}
