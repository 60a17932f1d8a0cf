using Google.Protobuf;

namespace TorchBridge.Export.Onnx;

/// <summary>Writes files that are on the disk before anybody may rename them.</summary>
internal static class AtomicFile
{
    /// <summary>Writes a message and flushes it to the disk.</summary>
    public static void Write(string path, IMessage message)
    {
        using var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16);
        message.WriteTo(stream);
        stream.Flush(flushToDisk: true);
    }
}
