using Google.Protobuf;

namespace TorchBridge.Export.Onnx;

/// <summary>Writes files that are on the disk before anybody may rename them.</summary>
internal static class AtomicFile
{
    /// <summary>Writes a message and flushes it to the disk.</summary>
    public static void Write(string path, IMessage message) => Write(path, message, FileMode.Create);

    /// <summary>Adds the fields of a message to the one in a file.</summary>
    public static void Append(string path, IMessage message) => Write(path, message, FileMode.Append);

    private static void Write(string path, IMessage message, FileMode mode)
    {
        using var stream = new FileStream(path, mode, FileAccess.Write, FileShare.None, 1 << 16);
        message.WriteTo(stream);
        stream.Flush(flushToDisk: true);
    }
}
