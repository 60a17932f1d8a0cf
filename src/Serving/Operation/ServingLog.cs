namespace TorchBridge.Serving.Operation;

/// <summary>What is logged of requests: what became of them, never what they held.</summary>
internal static partial class ServingLog
{
    /// <summary>A run failed.</summary>
    [LoggerMessage(LogLevel.Warning, "{Model} version {Version} failed over a request's inputs: {Error}")]
    public static partial void RunFailed(ILogger log, string model, long version, string error);

    /// <summary>A request was not answered for a reason of the server's own.</summary>
    [LoggerMessage(LogLevel.Error, "request {RequestId} failed")]
    public static partial void RequestFailed(ILogger log, string requestId, Exception error);

    /// <summary>The server stops.</summary>
    [LoggerMessage(LogLevel.Information, "told to stop: not ready from now on; {Requests} requests are in the house")]
    public static partial void Draining(ILogger log, int requests);
}
