namespace TorchBridge.Serving.Models;

/// <summary>Log messages about requests. They tell the outcome, never the content of a request.</summary>
internal static partial class ServingLog
{
    /// <summary>Logs that a run failed.</summary>
    /// <param name="log">The log.</param>
    /// <param name="model">The model's name.</param>
    /// <param name="version">The version number.</param>
    /// <param name="error">The error message of ONNX Runtime.</param>
    [LoggerMessage(LogLevel.Warning, "{Model} version {Version} failed on a request's inputs: {Error}")]
    public static partial void RunFailed(ILogger log, string model, long version, string error);

    /// <summary>Logs an internal error that made a request fail.</summary>
    /// <param name="log">The log.</param>
    /// <param name="requestId">Id of the request, which the client also gets.</param>
    /// <param name="error">The exception, which the client does not get.</param>
    [LoggerMessage(LogLevel.Error, "request {RequestId} failed")]
    public static partial void RequestFailed(ILogger log, string requestId, Exception error);

    /// <summary>Logs that the server is stopping.</summary>
    /// <param name="log">The log.</param>
    /// <param name="requests">Number of requests in progress, which are still answered.</param>
    [LoggerMessage(
        LogLevel.Information,
        "stopping: the server reports that it is not ready; {Requests} requests are still in progress"
    )]
    public static partial void Draining(ILogger log, int requests);
}
