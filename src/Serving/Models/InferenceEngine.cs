using System.Diagnostics;
using TorchBridge.Serving.Batching;
using TorchBridge.Serving.Operation;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Models;

/// <summary>Answers requests: the one road that REST, gRPC, the page and <c>/classify</c> take.</summary>
internal sealed class InferenceEngine(
    ModelServerOptions options,
    PictureDoor pictures,
    TimeProvider clock,
    ILogger<InferenceEngine> log
)
{
    /// <summary>Parameters that speak to the server, and are not given back.</summary>
    private static readonly string[] OwnParameters = ["binary_data_output", "timeout"];

    /// <summary>Answers a request.</summary>
    /// <param name="model">The version that answers; the caller keeps it until this is done.</param>
    /// <param name="request">The request. Its memory is read until this is done, also when it is cancelled.</param>
    /// <param name="stop">The client has gone.</param>
    /// <returns>The reply, the tensors that were run, and what took how long.</returns>
    /// <exception cref="RequestRefusedException">It is not answered, and why.</exception>
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

    /// <summary>Refuses a request whose model has as many waiting as it may. Asked before a body is read, the answer comes
    /// at once, and costs next to nothing of what the waiting ones need.</summary>
    /// <param name="model">The version that would answer.</param>
    /// <exception cref="RequestRefusedException">Its queue is full.</exception>
    public static void RefuseIfFull(ModelVersion model)
    {
        if (model.Queue.IsFull)
            throw Full(model);
    }

    /// <summary>The refusal of a full queue.</summary>
    /// <param name="model">Whose queue it is.</param>
    private static RequestRefusedException Full(ModelVersion model) =>
        new(
            RefusalKind.Unavailable,
            $"model '{model.Identity.Model}' has {model.Settings.Capacity} requests waiting; try again"
        );

    /// <summary>How long a request may take: the shortest of the server's, the model's and its own.</summary>
    /// <param name="request">May have a timeout of its own.</param>
    /// <param name="model">May have one in its configuration.</param>
    private TimeSpan TimeoutOf(InferenceRequest request, ModelVersion model)
    {
        var most = TimeSpan.FromMilliseconds(options.RequestTimeoutMilliseconds);
        if (model.Identity.Timeout is { } own && own < most)
            most = own;
        if (!request.Parameters.TryGetValue("timeout", out var asked))
            return most;
        if (asked is not (long and >= 0))
            throw RequestRefusedException.Invalid("the parameter timeout is not a number of microseconds");
        return (long)asked > 0 && (long)asked < most.TotalMicroseconds ? TimeSpan.FromMicroseconds((long)asked) : most;
    }

    /// <summary>
    /// Decodes encoded pictures to pixels where a classifier of ours gets them; else the request as it is.
    /// </summary>
    /// <param name="model">Says whether it takes pictures, and of what size.</param>
    /// <param name="request">As it came.</param>
    /// <param name="stop">Ends the wait for a free core.</param>
    /// <returns>The request to run, and what decoding took: zero where there was nothing to decode.</returns>
    /// <exception cref="RequestRefusedException">A picture is too large, damaged or none.</exception>
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
        RefuseIfFull(model); // decoding is most of the work, and would be for nothing
        var started = clock.GetTimestamp();
        var read = await pictures.ReadAsync(tensor, model, stop).ConfigureAwait(false);
        return (request with { Inputs = [read] }, clock.GetElapsedTime(started));
    }

    /// <summary>
    /// Waits for the run; a request that expires or is cancelled leaves the queue at once, unless it runs already.
    /// </summary>
    /// <param name="model">Where it is queued.</param>
    /// <param name="pending">The queued request.</param>
    /// <param name="stop">Where the client goes away: what has not begun is taken out of the queue.</param>
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
                // Its place in the queue is free at once.
                if (error is OperationCanceledException)
                    throw;
                throw new RequestRefusedException(
                    RefusalKind.Expired,
                    "the request has waited longer than it may; the server is busy"
                );
            }

            // It runs, and its memory is read: that is waited for, whoever else still waits.
            var computed = await FinishAsync(model, pending).ConfigureAwait(false);
            stop.ThrowIfCancellationRequested();
            return computed;
        }
        catch (Runtime.ModelRunException error)
        {
            throw Refusal(model, error);
        }
    }

    /// <summary>Waits for a run that cannot be stopped any more.</summary>
    /// <param name="model">Where it was queued.</param>
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

    /// <summary>What a client learns of a failed run; the log has the runtime's own words.</summary>
    /// <param name="model">The model whose run failed.</param>
    /// <param name="error">What it threw.</param>
    private RequestRefusedException Refusal(ModelVersion model, Exception error)
    {
        // ONNX Runtime's own text names its source files; what the client may know is that its inputs do not fit each
        // other.
        ServingLog.RunFailed(log, model.Identity.Model, model.Identity.Version, error.Message);
        return new RequestRefusedException(
            RefusalKind.Invalid,
            $"model '{model.Identity.Model}' does not run over these inputs; the server's log says where it stopped",
            error
        );
    }

    /// <summary>
    /// Puts the reply together: outputs or their classes, binary or not, and the parameters that are given back.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="request">Which outputs are asked for, and how.</param>
    /// <param name="computed">All that was computed.</param>
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
