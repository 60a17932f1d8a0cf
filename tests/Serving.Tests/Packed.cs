using System.IO.Compression;

namespace TorchBridge.Serving.Tests;

/// <summary>Packs bodies as Content-Encoding says.</summary>
internal static class Packed
{
    public static ByteArrayContent Content(byte[] bytes, string encoding)
    {
        using var target = new MemoryStream();
        using (
            Stream packer = encoding switch
            {
                "gzip" => new GZipStream(target, CompressionLevel.Optimal, leaveOpen: true),
                "br" => new BrotliStream(target, CompressionLevel.Fastest, leaveOpen: true),
                _ => new ZLibStream(target, CompressionLevel.Optimal, leaveOpen: true),
            }
        )
            packer.Write(bytes);
        var content = new ByteArrayContent(target.ToArray());
        content.Headers.ContentEncoding.Add(encoding);
        return content;
    }
}
