using Microsoft.AspNetCore.Connections;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Operation;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>
/// Wraps every HTTP handler: checks the key, limits the number of requests, and converts exceptions to error
/// responses.
/// </summary>
internal sealed class GuardedHandler(ApiKey key, RequestGate gate, ServerState state, ILogger<GuardedHandler> log)
{
    /// <summary>The status that proxies log for a client that has disconnected; no one receives it.</summary>
    private const int ClientClosedRequest = 499;

    /// <summary>Wraps a handler.</summary>
    /// <param name="handler">The handler to wrap.</param>
    /// <param name="isOpen">Whether no key is needed and no limit applies, as for liveness and readiness.</param>
    /// <returns>The wrapped handler; every exception becomes an error of the protocol, without a stack
    /// trace.</returns>
    public RequestDelegate Guard(RequestDelegate handler, bool isOpen = false) =>
        async context =>
        {
            context.Response.OnStarting(() =>
            {
                if (state.IsDraining)
                    context.Response.Headers.Connection = "close";
                context.Response.Headers.XContentTypeOptions = "nosniff";
                return Task.CompletedTask;
            });
            var hasEntered = false;
            try
            {
                if (!isOpen)
                {
                    if (!key.Allows(context.Request.Headers.Authorization, context.Request.Headers["X-Api-Key"]))
                    {
                        await ErrorReply
                            .WriteAsync(context, StatusCodes.Status401Unauthorized, ApiKey.Missing)
                            .ConfigureAwait(false);
                        return;
                    }

                    gate.Enter();
                    hasEntered = true;
                }

                await handler(context).ConfigureAwait(false);
            }
            catch (RequestRefusedException refusal)
            {
                await ErrorReply
                    .WriteAsync(context, ErrorReply.StatusOf(refusal.Kind), refusal.Message)
                    .ConfigureAwait(false);
            }
            catch (BadHttpRequestException error)
            {
                // Thrown by Kestrel: invalid chunks, a body that ends early, a client that is too slow.
                await ErrorReply
                    .WriteAsync(context, error.StatusCode, "the request's body cannot be read")
                    .ConfigureAwait(false);
            }
            catch (Exception error)
                when (error is OperationCanceledException or ConnectionResetException or IOException
                    && context.RequestAborted.IsCancellationRequested
                )
            {
                if (!context.Response.HasStarted)
                    context.Response.StatusCode = ClientClosedRequest; // for the log only
            }
            catch (Exception error) when (error is not OutOfMemoryException)
            {
                ServingLog.RequestFailed(log, context.TraceIdentifier, error);
                await ErrorReply
                    .WriteAsync(
                        context,
                        StatusCodes.Status500InternalServerError,
                        $"the server failed; its log has details under request {context.TraceIdentifier}"
                    )
                    .ConfigureAwait(false);
            }
            finally
            {
                if (hasEntered)
                    gate.Leave();
            }
        };
}
