using System.Diagnostics;
using TorchBridge.Serving.Batching;
using TorchBridge.Serving.Operation;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Models;

/// <summary>Answers inference requests; REST, gRPC, the page and <c>/classify</c> all use it.</summary>
internal sealed class InferenceEngine(
    ModelServerOptions options,
    PictureDoor pictures,
    TimeProvider clock,
    ILogger<InferenceEngine> log
)
{
    /// <summary>Request parameters that are meant for the server and are not returned in the reply.</summary>
    private static readonly string[] OwnParameters = ["binary_data_output", "timeout"];

    /// <summary>Runs a request.</summary>
    /// <param name="model">The model version to run; the caller holds it until the task has ended.</param>
    /// <param name="request">The request. Its memory must stay valid until the task has ended, even after
    /// cancellation.</param>
    /// <param name="stop">Cancelled when the client has disconnected.</param>
    /// <returns>The reply, the input tensors, and how long each step took.</returns>
    /// <exception cref="RequestRefusedException">The request is refused; the message says why.</exception>
    public async Task<InferenceResult> RunAsync(ModelVersion model, InferenceRequest request, CancellationToken stop)
    {
        using var activity = ServingMetrics.Activities.StartActivity("infer", ActivityKind.Server);
        activity?.SetTag("model", model.Identity.Model).SetTag("version", model.Identity.Version);
        var started = clock.GetTimestamp();
        var deadline = started + (long)(TimeoutOf(request, model).TotalSeconds * clock.TimestampFrequency);
        var (read, decode) = await ReadPicturesAsync(model, request, stop).ConfigureAwait(false);
        var pending = RequestBinder.Bind(read, model, deadline);
        if (!model.Queue.TryAdd(pending))
            throw Full(model);
        var computed = await WaitAsync(model, pending, stop).ConfigureAwait(false);
        activity
            ?.SetTag("queue_ms", computed.Queued.TotalMilliseconds)
            .SetTag("run_ms", computed.Run.TotalMilliseconds)
            .SetTag("batch_rows", computed.BatchRows);
        return new InferenceResult(
            Reply(model, request, computed),
            read.Inputs,
            new InferenceTimes(decode, computed.Queued, computed.Run),
            computed.BatchRows
        );
    }

    /// <summary>
    /// Refuses a request whose model has a full queue. Called before the body is read, so that refusing costs almost
    /// nothing.
    /// </summary>
    /// <param name="model">The model version that would run the request.</param>
    /// <exception cref="RequestRefusedException">The queue is full.</exception>
    public static void RefuseIfFull(ModelVersion model)
    {
        if (model.Queue.IsFull)
            throw Full(model);
    }

    /// <summary>The exception for a full queue.</summary>
    /// <param name="model">The model version with the full queue.</param>
    private static RequestRefusedException Full(ModelVersion model) =>
        new(
            RefusalKind.Unavailable,
            $"model '{model.Identity.Model}' has {model.Settings.Capacity} requests waiting, its maximum; try again later"
        );

    /// <summary>How long a request may take: the shortest timeout of the server, the model and the request.</summary>
    /// <param name="request">The request, which may have a timeout of its own.</param>
    /// <param name="model">The model version, whose configuration may set a timeout.</param>
    private TimeSpan TimeoutOf(InferenceRequest request, ModelVersion model)
    {
        var most = TimeSpan.FromMilliseconds(options.RequestTimeoutMilliseconds);
        if (model.Identity.Timeout is { } own && own < most)
            most = own;
        if (!request.Parameters.TryGetValue("timeout", out var asked))
            return most;
        if (asked is not (long and >= 0))
            throw RequestRefusedException.Invalid("the parameter timeout must be a number of microseconds, 0 or more");
        return (long)asked > 0 && (long)asked < most.TotalMicroseconds ? TimeSpan.FromMicroseconds((long)asked) : most;
    }

    /// <summary>
    /// Decodes the pictures of a request to a TorchBridge classifier; any other request is returned unchanged.
    /// </summary>
    /// <param name="model">The model version, which says whether pictures are accepted, and of what size.</param>
    /// <param name="request">The request as received.</param>
    /// <param name="stop">Cancels waiting for a free core.</param>
    /// <returns>The request to run, and the time that decoding took, which is zero if there was nothing to
    /// decode.</returns>
    /// <exception cref="RequestRefusedException">A picture is too large or damaged, or an element is not a
    /// picture.</exception>
    private async Task<(InferenceRequest Request, TimeSpan Time)> ReadPicturesAsync(
        ModelVersion model,
        InferenceRequest request,
        CancellationToken stop
    )
    {
        if (
            model.PixelInput is not { } pixels
            || request.Inputs is not [{ Name: RequestBinder.PictureInput, Type: TensorType.Bytes } tensor]
            || pixels.Name == RequestBinder.PictureInput
        )
            return (request, TimeSpan.Zero);
        RefuseIfFull(model); // before decoding, which is most of the work
        var started = clock.GetTimestamp();
        var read = await pictures.ReadAsync(tensor, model, stop).ConfigureAwait(false);
        return (request with { Inputs = [read] }, clock.GetElapsedTime(started));
    }

    /// <summary>
    /// Waits for the run. A request that expires or is cancelled is removed from the queue at once, unless it is
    /// already running.
    /// </summary>
    /// <param name="model">The model version in whose queue the request is.</param>
    /// <param name="pending">The queued request.</param>
    /// <param name="stop">Cancelled when the client has disconnected; a request that has not started is then removed
    /// from the queue.</param>
    private async Task<ComputedOutputs> WaitAsync(ModelVersion model, PendingRequest pending, CancellationToken stop)
    {
        var left = TimeSpan.FromSeconds((double)(pending.Deadline - clock.GetTimestamp()) / clock.TimestampFrequency);
        try
        {
            return await pending
                .Completion.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, clock, stop)
                .ConfigureAwait(false);
        }
        catch (Exception error) when (error is TimeoutException or OperationCanceledException)
        {
            if (model.Queue.Remove(pending))
            {
                if (error is OperationCanceledException)
                    throw;
                throw RequestRefusedException.Expired();
            }

            // It is running and its memory is being read, so its end must be awaited in any case.
            var computed = await FinishAsync(model, pending).ConfigureAwait(false);
            stop.ThrowIfCancellationRequested();
            return computed;
        }
        catch (Runtime.ModelRunException error)
        {
            throw Refusal(model, error);
        }
    }

    /// <summary>Waits for a run that cannot be cancelled any more.</summary>
    /// <param name="model">The model version that runs the request.</param>
    /// <param name="pending">The request.</param>
    private async Task<ComputedOutputs> FinishAsync(ModelVersion model, PendingRequest pending)
    {
        try
        {
            return await pending.Completion.ConfigureAwait(false);
        }
        catch (Runtime.ModelRunException error)
        {
            throw Refusal(model, error);
        }
    }

    /// <summary>
    /// The exception that tells the client of a failed run; ONNX Runtime's own message goes to the log.
    /// </summary>
    /// <param name="model">The model whose run failed.</param>
    /// <param name="error">The exception that the run threw.</param>
    private RequestRefusedException Refusal(ModelVersion model, Exception error)
    {
        // ONNX Runtime's message contains paths of its source files, which the client should not see.
        ServingLog.RunFailed(log, model.Identity.Model, model.Identity.Version, error.Message);
        return new RequestRefusedException(
            RefusalKind.Invalid,
            $"model '{model.Identity.Model}' failed on these inputs; the server's log says why",
            error
        );
    }

    /// <summary>
    /// Creates the reply: outputs or their classes, as binary data or not, and the parameters that are returned.
    /// </summary>
    /// <param name="model">The model version that ran the request.</param>
    /// <param name="request">The request, which says which outputs to return and how.</param>
    /// <param name="computed">The computed outputs.</param>
    private static InferenceReply Reply(ModelVersion model, InferenceRequest request, ComputedOutputs computed)
    {
        var outputs = new (Tensor, bool)[computed.Outputs.Count];
        for (var position = 0; position < outputs.Length; position++)
        {
            var asked = request.Outputs.Count == 0 ? null : request.Outputs[position];
            var tensor = computed.Outputs[position];
            if (asked?.Classes is { } classes)
                tensor = Classification.Of(tensor, classes, model.LabelsOf(tensor.Name), model.IsBatched);
            outputs[position] = (tensor, asked?.Binary ?? request.BinaryByDefault);
        }

        var given = request
            .Parameters.Where(pair => !OwnParameters.Contains(pair.Key))
            .ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.Ordinal);
        return new InferenceReply(model.Identity.Model, model.Identity.VersionText, request.Id, given, outputs);
    }
}
