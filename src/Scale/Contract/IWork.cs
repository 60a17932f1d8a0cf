namespace TorchBridge.Scale.Contract;

/// <summary>A job as its payload knows it: a pure function from an index to an item, and the doing of it. Everything is
/// read from the job's folder, so that any process of any machine that sees the folder can do any item.</summary>
internal interface IWork : IDisposable
{
    /// <summary>Number of items.</summary>
    int Count { get; }

    /// <summary>Which item stands at an index.</summary>
    WorkItem Item(int index);

    /// <summary>Does an item, and writes its result to a stream. The bytes depend on the item alone: neither on the
    /// process, nor on how often it was tried.</summary>
    /// <param name="item">The item.</param>
    /// <param name="output">Where the result goes.</param>
    /// <param name="stop">Ends the work.</param>
    /// <returns>Facts of the result for its receipt.</returns>
    ResultFacts Do(WorkItem item, Stream output, CancellationToken stop);

    /// <summary>Whether an item leaves traces in its process that another one must not find.</summary>
    bool NeedsFreshProcess => false;

    /// <summary>Removes what an item needed on its way, once its result is published.</summary>
    void Forget(WorkItem item) { }
}

/// <summary>What a receipt says of a result beside its digest.</summary>
/// <param name="Rows">Rows, or 1 where the result has none.</param>
/// <param name="Errors">Rows that hold an error.</param>
internal sealed record ResultFacts(long Rows, long Errors);
