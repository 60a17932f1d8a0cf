using Microsoft.AspNetCore.Http.Features;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>
/// Reads the picture of a request, which is its body or the file of a form. Nothing is written to disk.
/// </summary>
internal static class UploadedPictures
{
    /// <summary>Name of the form's file field.</summary>
    public const string FileField = "picture";

    /// <summary>
    /// Reads the picture of a request; empty if there is none. If the body is a form, the request's <c>Form</c> is
    /// set, too.
    /// </summary>
    /// <param name="context">The request.</param>
    /// <param name="body">The request's body, which has been read already.</param>
    /// <exception cref="RequestRefusedException">The body is not a valid form.</exception>
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpContext context, RequestBody body) =>
        IsForm(context.Request) ? await FromFormAsync(context, body).ConfigureAwait(false) : body.Bytes;

    /// <summary>
    /// Whether the body is a form with files. A URL-encoded form, which curl declares by default, is treated as a
    /// plain body.
    /// </summary>
    /// <param name="request">The request, whose content type decides.</param>
    public static bool IsForm(HttpRequest request) =>
        request.ContentType?.StartsWith("multipart/form-data", StringComparison.OrdinalIgnoreCase) == true;

    /// <summary>Reads the file of a form; empty if the form has none or it is empty.</summary>
    /// <param name="context">The request.</param>
    /// <param name="body">A multipart form.</param>
    private static async Task<ReadOnlyMemory<byte>> FromFormAsync(HttpContext context, RequestBody body)
    {
        // The form is parsed from the body in memory: it is within the limits already, and no temporary file is made.
        context.Request.Body = new MemoryStream(body.Bytes.ToArray(), writable: false);
        var feature = new FormFeature(
            context.Request,
            new FormOptions
            {
                BufferBody = false,
                MemoryBufferThreshold = int.MaxValue,
                MultipartBodyLengthLimit = body.Bytes.Length + 1L,
                ValueCountLimit = 16,
            }
        );
        try
        {
            var form = await feature.ReadFormAsync(context.RequestAborted).ConfigureAwait(false);
            context.Features.Set<IFormFeature>(feature);
            if (form.Files.GetFile(FileField) is not { Length: > 0 } file)
                return default;
            var bytes = new byte[file.Length];
            await using var stream = file.OpenReadStream();
            await stream.ReadExactlyAsync(bytes, context.RequestAborted).ConfigureAwait(false);
            return bytes;
        }
        catch (Exception error) when (error is InvalidDataException or IOException)
        {
            throw new RequestRefusedException(RefusalKind.Invalid, "the body is not a valid multipart form", error);
        }
    }
}
