using System.Text.Encodings.Web;
using System.Text.Json;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>Answers <c>{"error": …}</c>, as the protocol wants every refusal.</summary>
internal static class ErrorReply
{
    /// <summary>When a client that met a full server should come again.</summary>
    private const string RetryAfterSeconds = "1";

    /// <summary>Quotes and letters as they are: it is JSON, and says so (nosniff).</summary>
    private static readonly JsonSerializerOptions Options = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The status of a refusal.</summary>
    /// <param name="kind">Why the request is not answered.</param>
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

    /// <summary>Writes a refusal; where the answer has begun already, the connection is cut.</summary>
    /// <param name="context">The request.</param>
    /// <param name="status">The HTTP status.</param>
    /// <param name="message">What is wrong, for the client.</param>
    public static async Task WriteAsync(HttpContext context, int status, string message)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }

        var allow = context.Response.Headers.Allow; // of a 405
        context.Response.Clear();
        if (allow.Count > 0)
            context.Response.Headers.Allow = allow;
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        if (status == StatusCodes.Status503ServiceUnavailable)
            context.Response.Headers.RetryAfter = RetryAfterSeconds;
        if (status == StatusCodes.Status401Unauthorized)
            context.Response.Headers.WWWAuthenticate = "Bearer, Basic realm=\"models\", charset=\"UTF-8\"";
        // A body that was not read to its end would be taken for the next request, or be drained first.
        if (status is StatusCodes.Status413PayloadTooLarge or StatusCodes.Status408RequestTimeout)
            context.Response.Headers.Connection = "close";
        var json = JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, string> { ["error"] = message }, Options);
        context.Response.ContentLength = json.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
            await context.Response.Body.WriteAsync(json).ConfigureAwait(false);
    }
}
