using Microsoft.AspNetCore.Http.Features;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>Reads the picture of a request: its body, or the file of a form. Nothing is written to disk.</summary>
internal static class UploadedPictures
{
    /// <summary>Name of the form's file field.</summary>
    public const string FileField = "picture";

    /// <summary>The picture of a request; empty where it has none. A form is the request's form afterwards.</summary>
    /// <param name="context">The request that holds it.</param>
    /// <param name="body">Its body, read already.</param>
    /// <exception cref="RequestRefusedException">A form that is none.</exception>
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpContext context, RequestBody body) =>
        IsForm(context.Request) ? await FromFormAsync(context, body).ConfigureAwait(false) : body.Bytes;

    /// <summary>
    /// Whether the body is a form with files. What curl calls a form where nobody says otherwise is a body.
    /// </summary>
    /// <param name="request">The request, by its content type.</param>
    public static bool IsForm(HttpRequest request) =>
        request.ContentType?.StartsWith("multipart/form-data", StringComparison.OrdinalIgnoreCase) == true;

    /// <summary>The file of a form; empty where the form has none, or an empty one.</summary>
    /// <param name="context">The request.</param>
    /// <param name="body">A multipart form.</param>
    private static async Task<ReadOnlyMemory<byte>> FromFormAsync(HttpContext context, RequestBody body)
    {
        // The form is read from the bytes at hand: limits are kept already, and no temporary file is made.
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
            throw new RequestRefusedException(RefusalKind.Invalid, "the form cannot be read", error);
        }
    }
}
