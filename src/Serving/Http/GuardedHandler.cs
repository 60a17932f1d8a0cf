using Microsoft.AspNetCore.Connections;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Operation;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>What every handler stands behind: the key, the room that is left, and the translation of what goes
/// wrong.</summary>
internal sealed class GuardedHandler(ApiKey key, RequestGate gate, ServerState state, ILogger<GuardedHandler> log)
{
    /// <summary>
    /// The status that proxies log where the client has gone; nobody receives it.
    /// </summary>
    private const int ClientClosedRequest = 499;

    /// <summary>Wraps a handler.</summary>
    /// <param name="handler">Does the work.</param>
    /// <param name="isOpen">Whether it needs no key and always has room: liveness and readiness.</param>
    /// <returns>The guarded handler: every exception becomes an answer in the protocol's words, and no trace leaves
    /// the server.</returns>
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
                            .WriteAsync(context, StatusCodes.Status401Unauthorized, "this server asks for a key")
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
                // The web server's own: chunks that are none, a body that ends early, a client that is too slow.
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
                    context.Response.StatusCode = ClientClosedRequest; // nobody reads it
            }
            catch (Exception error) when (error is not OutOfMemoryException)
            {
                ServingLog.RequestFailed(log, context.TraceIdentifier, error);
                await ErrorReply
                    .WriteAsync(
                        context,
                        StatusCodes.Status500InternalServerError,
                        $"the server failed; its log has more under request {context.TraceIdentifier}"
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
