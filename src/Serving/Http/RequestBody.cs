using System.Buffers;
using System.IO.Compression;
using Microsoft.AspNetCore.Http.Features;
using TorchBridge.Serving.Operation;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>A body in memory. Memory is taken as bytes come, never for what a header claims.</summary>
internal sealed class RequestBody : IDisposable
{
    /// <summary>
    /// What is taken at first where nobody says how much comes, and the most that a header is believed.
    /// </summary>
    private const int FirstBytes = 16 << 10,
        TrustedBytes = 1 << 20;
    private readonly RequestGate gate;

    /// <summary>Rented; given back when the body is disposed.</summary>
    private byte[] buffer;

    /// <summary>How much of it is filled.</summary>
    private int length;

    /// <summary>Takes memory for what is announced.</summary>
    /// <param name="gate">Counts the bytes of all requests.</param>
    /// <param name="firstBytes">As many as the length that was told, or a first piece where none was.</param>
    private RequestBody(RequestGate gate, int firstBytes)
    {
        this.gate = gate;
        gate.Take(firstBytes);
        buffer = ArrayPool<byte>.Shared.Rent(firstBytes);
        Reserved = firstBytes;
    }

    /// <summary>What it holds.</summary>
    public ReadOnlyMemory<byte> Bytes => buffer.AsMemory(0, length);

    /// <summary>Bytes that this body holds of the server's room.</summary>
    private long Reserved { get; set; }

    /// <summary>Reads a request's body to its end, unpacked where it is packed.</summary>
    /// <param name="context">The request.</param>
    /// <param name="gate">Bounds the memory of all bodies together.</param>
    /// <param name="options">Limits of size and time.</param>
    /// <returns>The body; the caller disposes it when nothing refers to its bytes any more.</returns>
    /// <exception cref="RequestRefusedException">It is too large, comes too slowly, or is packed in an unknown
    /// way.</exception>
    public static async Task<RequestBody> ReadAsync(HttpContext context, RequestGate gate, ModelServerOptions options)
    {
        SetLimits(context, options);
        if (context.Request.ContentLength > options.MaxRequestBytes)
            throw TooLarge(options);
        var expected = (int)Math.Clamp(context.Request.ContentLength ?? FirstBytes, 1, TrustedBytes);
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        timeout.CancelAfter(options.RequestTimeoutMilliseconds);
        await using var source = Unpack(context.Request);
        var body = new RequestBody(gate, expected);
        try
        {
            await body.FillAsync(source, options, timeout.Token).ConfigureAwait(false);
            return body;
        }
        catch (OperationCanceledException error) when (!context.RequestAborted.IsCancellationRequested)
        {
            body.Dispose();
            throw new RequestRefusedException(
                RefusalKind.TooSlow,
                $"the body did not arrive within {options.RequestTimeoutMilliseconds} ms",
                error
            );
        }
        catch (Exception error)
            when (error is InvalidDataException
                || (
                    error is IOException and not BadHttpRequestException
                    && !context.RequestAborted.IsCancellationRequested
                )
            )
        {
            // Not packed as it says, or a chunk that is none.
            body.Dispose();
            throw new RequestRefusedException(
                RefusalKind.Invalid,
                "the body cannot be read: it is not packed or framed as its headers say",
                error
            );
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (buffer.Length == 0)
            return;
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = [];
        gate.Give(Reserved);
    }

    /// <summary>Reads until the stream ends or the body is too large.</summary>
    /// <param name="source">The body, unpacked.</param>
    /// <param name="options">What is allowed.</param>
    /// <param name="stop">Where the client goes away.</param>
    private async Task FillAsync(Stream source, ModelServerOptions options, CancellationToken stop)
    {
        while (true)
        {
            if (length == buffer.Length)
                Grow();
            var read = await source.ReadAsync(buffer.AsMemory(length), stop).ConfigureAwait(false);
            if (read == 0)
                return;
            length += read;
            if (length > options.MaxRequestBytes)
                throw TooLarge(options);
        }
    }

    /// <summary>Doubles the buffer, once the gate has room for it.</summary>
    private void Grow()
    {
        var more = (long)buffer.Length;
        gate.Take(more);
        Reserved += more;
        var larger = ArrayPool<byte>.Shared.Rent((int)Math.Min(2L * buffer.Length, Array.MaxLength));
        buffer.AsSpan(0, length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = larger;
    }

    /// <summary>Puts our limits in place of the web server's own, for this request.</summary>
    /// <param name="context">The request.</param>
    /// <param name="options">What is allowed.</param>
    private static void SetLimits(HttpContext context, ModelServerOptions options)
    {
        // Our own count answers in the protocol's words; the web server's limit would be its 30 MB.
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
            size.MaxRequestBodySize = null;
        if (
            context.Features.Get<Microsoft.AspNetCore.Server.Kestrel.Core.Features.IHttpMinRequestBodyDataRateFeature>() is
            { } rate
        )
            rate.MinDataRate =
                options.MinBytesPerSecond == 0 ? null : new(options.MinBytesPerSecond, TimeSpan.FromSeconds(5));
    }

    /// <summary>The body's stream, unpacked as its header says.</summary>
    /// <param name="request">Its Content-Encoding says how it is packed.</param>
    private static Stream Unpack(HttpRequest request)
    {
        var encodings = request.Headers.ContentEncoding;
        if (encodings.Count > 1)
            throw new RequestRefusedException(RefusalKind.Unsupported, "a body packed more than once is not read");
        return encodings.ToString().Trim().ToUpperInvariant() switch
        {
            "" or "IDENTITY" => request.Body,
            "GZIP" or "X-GZIP" => new GZipStream(request.Body, CompressionMode.Decompress, leaveOpen: true),
            "DEFLATE" => new ZLibStream(request.Body, CompressionMode.Decompress, leaveOpen: true),
            "BR" => new BrotliStream(request.Body, CompressionMode.Decompress, leaveOpen: true),
            _ => throw new RequestRefusedException(
                RefusalKind.Unsupported,
                "the Content-Encoding is not supported; gzip, deflate and br are"
            ),
        };
    }

    /// <summary>A refusal that names the limit.</summary>
    /// <param name="options">What is allowed.</param>
    private static RequestRefusedException TooLarge(ModelServerOptions options) =>
        new(RefusalKind.TooLarge, $"the body is larger than {options.MaxRequestBytes} bytes");
}
