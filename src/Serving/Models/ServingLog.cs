namespace TorchBridge.Serving.Models;

/// <summary>What is logged of requests: what became of them, never what they held.</summary>
internal static partial class ServingLog
{
    /// <summary>A run failed.</summary>
    /// <param name="log">Where it goes.</param>
    /// <param name="model">The model's name.</param>
    /// <param name="version">Its number.</param>
    /// <param name="error">What the runtime said.</param>
    [LoggerMessage(LogLevel.Warning, "{Model} version {Version} failed over a request's inputs: {Error}")]
    public static partial void RunFailed(ILogger log, string model, long version, string error);

    /// <summary>A request was not answered for a reason of the server's own.</summary>
    /// <param name="log">Where it goes.</param>
    /// <param name="requestId">Told to the client too.</param>
    /// <param name="error">What was thrown; only the log has it.</param>
    [LoggerMessage(LogLevel.Error, "request {RequestId} failed")]
    public static partial void RequestFailed(ILogger log, string requestId, Exception error);

    /// <summary>The server stops.</summary>
    /// <param name="log">Where it goes.</param>
    /// <param name="requests">Those that are still answered.</param>
    [LoggerMessage(
        LogLevel.Information,
        "told to stop: not ready from now on; {Requests} requests are still in progress"
    )]
    public static partial void Draining(ILogger log, int requests);
}
