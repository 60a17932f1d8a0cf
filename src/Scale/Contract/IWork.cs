namespace TorchBridge.Scale.Contract;

/// <summary>What a job computes: which item has which index, and how an item's result is computed. Everything is read
/// from the job's folder, so any process on any machine that can read the folder can process any item.</summary>
internal interface IWork : IDisposable
{
    /// <summary>Number of items.</summary>
    int Count { get; }

    /// <summary>The item with an index; the same item for the same index, always.</summary>
    WorkItem Item(int index);

    /// <summary>Processes an item, and writes its result to a stream. The bytes depend on the item alone, not on the
    /// process and not on the number of attempts.</summary>
    /// <param name="item">The item.</param>
    /// <param name="output">Receives the result.</param>
    /// <param name="stop">Cancels the work.</param>
    /// <returns>Facts about the result for its receipt.</returns>
    ResultFacts Do(WorkItem item, Stream output, CancellationToken stop);

    /// <summary>Whether an item changes the state of its process in a way that would affect another item, so that
    /// each item needs a new process.</summary>
    bool NeedsFreshProcess => false;

    /// <summary>Removes an item's intermediate files, such as checkpoints, once its result is published.</summary>
    void Forget(WorkItem item) { }
}

/// <summary>What a receipt says about a result, apart from its digest.</summary>
/// <param name="Rows">Number of rows, or 1 where the result has no rows.</param>
/// <param name="Errors">Number of rows that contain an error.</param>
internal sealed record ResultFacts(long Rows, long Errors);
