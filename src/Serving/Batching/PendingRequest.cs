using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Batching;

/// <summary>A request that waits for its run.</summary>
/// <param name="inputs">The request's tensors, in the order of the model's inputs.</param>
/// <param name="outputs">Indices of the model outputs that the request asks for.</param>
/// <param name="rows">Number of rows that the request adds to a batch.</param>
/// <param name="deadline">Timestamp of the queue's clock after which the request is not run any more.</param>
internal sealed class PendingRequest(IReadOnlyList<Tensor> inputs, IReadOnlyList<int> outputs, int rows, long deadline)
{
    // Continuations run on the thread pool, so that the worker can go on to the next batch.
    private readonly TaskCompletionSource<ComputedOutputs> completion = new(
        TaskCreationOptions.RunContinuationsAsynchronously
    );

    /// <summary>The request's tensors, in the order of the model's inputs.</summary>
    public IReadOnlyList<Tensor> Inputs => inputs;

    /// <summary>Indices of the model outputs that the request asks for.</summary>
    public IReadOnlyList<int> Outputs => outputs;

    /// <summary>Number of rows that the request adds to a batch.</summary>
    public int Rows => rows;

    /// <summary>Timestamp of the queue's clock after which the request is not run any more.</summary>
    public long Deadline => deadline;

    /// <summary>Timestamp of the queue's clock at which the request was added.</summary>
    public long EnqueuedAt { get; set; }

    /// <summary>
    /// Requests with equal keys can run in one batch: all axes of their inputs except the first have equal sizes.
    /// </summary>
    public string Key { get; } = string.Join(';', inputs.Select(input => string.Join(',', input.Shape.Skip(1))));

    /// <summary>Completes when the request has been computed, refused or cancelled.</summary>
    public Task<ComputedOutputs> Completion => completion.Task;

    /// <summary>Completes the request with its outputs.</summary>
    /// <param name="result">The outputs, and how long the request waited and ran.</param>
    public void Complete(ComputedOutputs result) => completion.TrySetResult(result);

    /// <summary>Completes the request with an error.</summary>
    /// <param name="error">The exception that the caller gets.</param>
    public void Fail(Exception error) => completion.TrySetException(error);

    /// <summary>Completes the request because its caller has given up.</summary>
    /// <param name="stop">The token that was cancelled.</param>
    public void Cancel(CancellationToken stop) => completion.TrySetCanceled(stop);
}
