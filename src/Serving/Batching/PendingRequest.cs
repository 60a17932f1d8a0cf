using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Batching;

/// <summary>A request that waits for its run.</summary>
/// <param name="inputs">Its tensors, in the order of the model's inputs.</param>
/// <param name="outputs">Positions of the outputs that it wants.</param>
/// <param name="rows">Rows that it takes of a batch.</param>
/// <param name="deadline">Timestamp after which nobody waits for it any more.</param>
internal sealed class PendingRequest(IReadOnlyList<Tensor> inputs, IReadOnlyList<int> outputs, int rows, long deadline)
{
    // Continuations run on the pool: the worker goes on to the next batch.
    private readonly TaskCompletionSource<ComputedOutputs> completion = new(
        TaskCreationOptions.RunContinuationsAsynchronously
    );

    /// <summary>Its tensors, in the order of the model's inputs.</summary>
    public IReadOnlyList<Tensor> Inputs => inputs;

    /// <summary>Positions of the outputs that it wants.</summary>
    public IReadOnlyList<int> Outputs => outputs;

    /// <summary>Rows that it takes of a batch.</summary>
    public int Rows => rows;

    /// <summary>Timestamp after which nobody waits for it any more.</summary>
    public long Deadline => deadline;

    /// <summary>When it came into the queue: a timestamp of the queue's clock.</summary>
    public long EnqueuedAt { get; set; }

    /// <summary>Requests of the same key may run together: all their axes but the first agree.</summary>
    public string Key { get; } = string.Join(';', inputs.Select(input => string.Join(',', input.Shape.Skip(1))));

    /// <summary>Ends when it was computed, refused or cancelled.</summary>
    public Task<ComputedOutputs> Completion => completion.Task;

    /// <summary>Gives it its outputs.</summary>
    /// <param name="result">Its outputs, and what the run took.</param>
    public void Complete(ComputedOutputs result) => completion.TrySetResult(result);

    /// <summary>Ends it with an error.</summary>
    /// <param name="error">What its caller gets.</param>
    public void Fail(Exception error) => completion.TrySetException(error);

    /// <summary>Ends it because nobody waits for it.</summary>
    /// <param name="stop">Whose cancellation it was.</param>
    public void Cancel(CancellationToken stop) => completion.TrySetCanceled(stop);
}
