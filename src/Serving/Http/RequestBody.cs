using System.Buffers;
using System.IO.Compression;
using Microsoft.AspNetCore.Http.Features;
using TorchBridge.Serving.Operation;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>
/// A request body in memory. Memory is allocated as bytes arrive, not for whatever length a header claims.
/// </summary>
internal sealed class RequestBody : IDisposable
{
    /// <summary>
    /// Bytes allocated first if the length is unknown, and the most that is allocated because of a header.
    /// </summary>
    private const int FirstBytes = 16 << 10,
        TrustedBytes = 1 << 20;
    private readonly RequestGate gate;

    /// <summary>The buffer, rented from the pool and returned when the body is disposed.</summary>
    private byte[] buffer;

    /// <summary>Number of bytes in the buffer.</summary>
    private int length;

    /// <summary>Allocates the first piece of memory.</summary>
    /// <param name="gate">Limits the memory of all bodies together.</param>
    /// <param name="firstBytes">Number of bytes to allocate first.</param>
    private RequestBody(RequestGate gate, int firstBytes)
    {
        this.gate = gate;
        gate.Take(firstBytes);
        buffer = ArrayPool<byte>.Shared.Rent(firstBytes);
        Reserved = firstBytes;
    }

    /// <summary>The bytes of the body.</summary>
    public ReadOnlyMemory<byte> Bytes => buffer.AsMemory(0, length);

    /// <summary>Number of bytes that this body has reserved at the gate.</summary>
    private long Reserved { get; set; }

    /// <summary>Reads a request's body to its end, and decompresses it if necessary.</summary>
    /// <param name="context">The request.</param>
    /// <param name="gate">Limits the memory of all bodies together.</param>
    /// <param name="options">Limits of size and time.</param>
    /// <returns>The body; the caller disposes it when nothing refers to its bytes any more.</returns>
    /// <exception cref="RequestRefusedException">The body is too large, arrives too slowly, or has an unknown
    /// Content-Encoding.</exception>
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
            // Not compressed as its header says, or an invalid chunk.
            body.Dispose();
            throw new RequestRefusedException(
                RefusalKind.Invalid,
                "the body cannot be read: it is not compressed or framed as its headers say",
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
    /// <param name="source">The decompressed body.</param>
    /// <param name="options">The server's limits.</param>
    /// <param name="stop">Cancelled when the client has disconnected or is too slow.</param>
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

    /// <summary>Doubles the buffer, after reserving the memory at the gate.</summary>
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

    /// <summary>Replaces Kestrel's limits by the server's own for this request.</summary>
    /// <param name="context">The request.</param>
    /// <param name="options">The server's limits.</param>
    private static void SetLimits(HttpContext context, ModelServerOptions options)
    {
        // FillAsync limits the size and answers with an error of the protocol; Kestrel's own limit is 30 MB.
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
            size.MaxRequestBodySize = null;
        if (
            context.Features.Get<Microsoft.AspNetCore.Server.Kestrel.Core.Features.IHttpMinRequestBodyDataRateFeature>() is
            { } rate
        )
            rate.MinDataRate =
                options.MinBytesPerSecond == 0 ? null : new(options.MinBytesPerSecond, TimeSpan.FromSeconds(5));
    }

    /// <summary>The body's stream, decompressed according to its header.</summary>
    /// <param name="request">The request; its Content-Encoding names the compression.</param>
    private static Stream Unpack(HttpRequest request)
    {
        var encodings = request.Headers.ContentEncoding;
        if (encodings.Count > 1)
            throw new RequestRefusedException(
                RefusalKind.Unsupported,
                "the body has more than one Content-Encoding; one is supported"
            );
        return encodings.ToString().Trim().ToUpperInvariant() switch
        {
            "" or "IDENTITY" => request.Body,
            "GZIP" or "X-GZIP" => new GZipStream(request.Body, CompressionMode.Decompress, leaveOpen: true),
            "DEFLATE" => new ZLibStream(request.Body, CompressionMode.Decompress, leaveOpen: true),
            "BR" => new BrotliStream(request.Body, CompressionMode.Decompress, leaveOpen: true),
            _ => throw new RequestRefusedException(
                RefusalKind.Unsupported,
                "the Content-Encoding is not supported; allowed are gzip, deflate and br"
            ),
        };
    }

    /// <summary>The exception for a body that is too large; it names the limit.</summary>
    /// <param name="options">The server's limits.</param>
    private static RequestRefusedException TooLarge(ModelServerOptions options) =>
        new(RefusalKind.TooLarge, $"the body is larger than {options.MaxRequestBytes} bytes, the limit");
}
