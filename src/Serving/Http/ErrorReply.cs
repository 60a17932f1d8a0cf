using System.Text.Encodings.Web;
using System.Text.Json;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>Writes errors as <c>{"error": …}</c>, as the protocol requires.</summary>
internal static class ErrorReply
{
    /// <summary>Value of Retry-After for clients of a busy server, in seconds.</summary>
    private const string RetryAfterSeconds = "1";

    /// <summary>
    /// Does not escape quotes and non-ASCII letters: browsers are told not to interpret the response as HTML
    /// (nosniff).
    /// </summary>
    private static readonly JsonSerializerOptions Options = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The HTTP status of a refusal.</summary>
    /// <param name="kind">The reason of the refusal.</param>
    public static int StatusOf(RefusalKind kind) =>
        kind switch
        {
            RefusalKind.Invalid => StatusCodes.Status400BadRequest,
            RefusalKind.NotFound => StatusCodes.Status404NotFound,
            RefusalKind.TooSlow => StatusCodes.Status408RequestTimeout,
            RefusalKind.TooLarge => StatusCodes.Status413PayloadTooLarge,
            RefusalKind.Unsupported => StatusCodes.Status415UnsupportedMediaType,
            RefusalKind.Unavailable or RefusalKind.Expired => StatusCodes.Status503ServiceUnavailable,
            _ => StatusCodes.Status500InternalServerError,
        };

    /// <summary>Writes an error; if the response has already started, the connection is aborted.</summary>
    /// <param name="context">The request.</param>
    /// <param name="status">The HTTP status.</param>
    /// <param name="message">Says what is wrong; sent to the client.</param>
    public static async Task WriteAsync(HttpContext context, int status, string message)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }

        var allow = context.Response.Headers.Allow; // set for status 405
        context.Response.Clear();
        if (allow.Count > 0)
            context.Response.Headers.Allow = allow;
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        if (status == StatusCodes.Status503ServiceUnavailable)
            context.Response.Headers.RetryAfter = RetryAfterSeconds;
        if (status == StatusCodes.Status401Unauthorized)
            context.Response.Headers.WWWAuthenticate = "Bearer, Basic realm=\"models\", charset=\"UTF-8\"";
        // The rest of the body has not been read, so the connection cannot be used for another request.
        if (status is StatusCodes.Status413PayloadTooLarge or StatusCodes.Status408RequestTimeout)
            context.Response.Headers.Connection = "close";
        var json = JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, string> { ["error"] = message }, Options);
        context.Response.ContentLength = json.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
            await context.Response.Body.WriteAsync(json).ConfigureAwait(false);
    }
}
