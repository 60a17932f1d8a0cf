using System.Buffers.Binary;
using System.IO.Compression;

namespace TorchBridge.Serving.Tests;

/// <summary>Pictures of a few bytes whose headers claim any size.</summary>
internal static class PictureBombs
{
    public static byte[] Png(int width, int height)
    {
        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9]) = (8, 2); // 8 bits, RGB
        return
        [
            0x89,
            .. "PNG\r\n\x1a\n"u8,
            .. Chunk("IHDR"u8, header),
            .. Chunk("IDAT"u8, [0x78, 0x9c, 3, 0, 0, 0, 0, 1]),
            .. Chunk("IEND"u8, []),
        ];
    }

    public static byte[] Bmp(int width, int height)
    {
        var file = new byte[54];
        (file[0], file[1], file[10], file[14], file[26], file[28]) = ((byte)'B', (byte)'M', 54, 40, 1, 24);
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(18), width);
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(22), height);
        return file;
    }

    /// <summary>A PNG of 16 bits a channel, of one colour; with frames, an animation that claims as many.</summary>
    public static byte[] Png16(int width, int height, uint? frames = null)
    {
        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9]) = (16, 2);
        var packed = new MemoryStream();
        using (var zlib = new ZLibStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            zlib.Write(new byte[height * (1 + (6 * width))]);
        var animation = new byte[8];
        BinaryPrimitives.WriteUInt32BigEndian(animation, frames ?? 0);
        byte[] control = frames is null ? [] : Chunk("acTL"u8, animation);
        return
        [
            0x89,
            .. "PNG\r\n\x1a\n"u8,
            .. Chunk("IHDR"u8, header),
            .. control,
            .. Chunk("IDAT"u8, packed.ToArray()),
            .. Chunk("IEND"u8, []),
        ];
    }

    /// <summary>A JPEG of 8 x 8 pixels in four colours (CMYK): every coefficient is zero, every code one bit
    /// long.</summary>
    public static byte[] CmykJpeg()
    {
        byte[] quantization = [0xFF, 0xDB, 0, 67, 0, .. Enumerable.Repeat((byte)1, 64)];
        byte[] frame = [0xFF, 0xC0, 0, 20, 8, 0, 8, 0, 8, 4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0];
        byte[] Codes(byte table) => [0xFF, 0xC4, 0, 20, table, 1, .. new byte[15], 0];
        byte[] scan = [0xFF, 0xDA, 0, 14, 4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0, 0];
        return [0xFF, 0xD8, .. quantization, .. frame, .. Codes(0), .. Codes(0x10), .. scan, 0xFF, 0xD9];
    }

    private static byte[] Chunk(ReadOnlySpan<byte> type, byte[] data)
    {
        var chunk = new byte[12 + data.Length];
        BinaryPrimitives.WriteInt32BigEndian(chunk, data.Length);
        type.CopyTo(chunk.AsSpan(4));
        data.CopyTo(chunk, 8);
        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(8 + data.Length), Crc(chunk.AsSpan(4, 4 + data.Length)));
        return chunk;
    }

    private static uint Crc(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var item in bytes)
        {
            crc ^= item;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc & 1) == 1 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
        }

        return ~crc;
    }
}
