// Walks through the messages of an ONNX file without building them, and collects the metadata and the names of files
// that hold external tensors. The field numbers are those of onnx.proto in the ONNX specification.
using System.Text;

namespace TorchBridge.Serving.Runtime;

/// <summary>Metadata and external files of an ONNX model, read before the model is loaded.</summary>
/// <param name="Metadata">The metadata; the last value of a repeated key counts, as in protobuf maps.</param>
/// <param name="ExternalFiles">Names of other files that hold the model's tensors.</param>
/// <param name="Opset">Version of the standard operators.</param>
internal sealed record OnnxScan(
    IReadOnlyDictionary<string, string> Metadata,
    IReadOnlySet<string> ExternalFiles,
    long Opset
)
{
    /// <summary>Maximum nesting depth of messages.</summary>
    private const int MostLevels = 64;

    /// <summary>For each kind of message, the fields that hold other messages.</summary>
    private static readonly Dictionary<Message, Dictionary<int, Message>> Fields = new()
    {
        [Message.Model] = new()
        {
            [7] = Message.Graph,
            [8] = Message.OperatorSet,
            [14] = Message.Entry,
            [20] = Message.Training,
            [25] = Message.Function,
        },
        [Message.Training] = new() { [1] = Message.Graph, [2] = Message.Graph },
        [Message.Function] = new() { [7] = Message.Node },
        [Message.Graph] = new()
        {
            [1] = Message.Node,
            [5] = Message.Tensor,
            [15] = Message.SparseTensor,
        },
        [Message.Node] = new() { [5] = Message.Attribute },
        [Message.Attribute] = new()
        {
            [5] = Message.Tensor,
            [6] = Message.Graph,
            [10] = Message.Tensor,
            [11] = Message.Graph,
            [22] = Message.SparseTensor,
            [23] = Message.SparseTensor,
        },
        [Message.SparseTensor] = new() { [1] = Message.Tensor, [2] = Message.Tensor },
        [Message.Tensor] = new() { [13] = Message.ExternalEntry },
    };

    private enum Message
    {
        Model,
        Training,
        Function,
        Graph,
        Node,
        Attribute,
        SparseTensor,
        Tensor,
        OperatorSet,
        Entry,
        ExternalEntry,
    }

    /// <summary>Scans a model.</summary>
    /// <param name="onnx">The file's bytes.</param>
    /// <param name="name">The model's name in error messages.</param>
    /// <exception cref="ModelLoadException">The bytes are not an ONNX file.</exception>
    public static OnnxScan Of(byte[] onnx, string name)
    {
        var found = new Found();
        try
        {
            Walk(onnx, Message.Model, found, 0);
        }
        catch (FormatException error)
        {
            throw new ModelLoadException($"{name} is not an ONNX file: {error.Message}", error);
        }

        return new OnnxScan(found.Metadata, found.Files, found.Opset);
    }

    /// <summary>
    /// Refuses external tensors unless their files are in the model's own folder: the name must not contain a path,
    /// and a link must not lead to another folder.
    /// </summary>
    /// <param name="path">The model's file.</param>
    /// <exception cref="ModelLoadException">A file is missing or is in another folder.</exception>
    public void CheckExternalFiles(string path)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        foreach (var file in ExternalFiles)
        {
            if (file.Length == 0 || file is "." or ".." || file.AsSpan().IndexOfAny("/\\:\0") >= 0)
                throw new ModelLoadException(
                    $"{path} keeps tensors in '{file}'; only a file in the model's own folder is allowed"
                );
            var info = new FileInfo(Path.Combine(folder, file));
            if (!info.Exists)
                throw new ModelLoadException($"{path} keeps tensors in '{file}', which is not in the model's folder");
            if (
                info.LinkTarget is { } target
                && Path.GetDirectoryName(info.ResolveLinkTarget(true)!.FullName)
                    != Path.GetDirectoryName(ResolvedPath(path))
            )
                throw new ModelLoadException(
                    $"{path} keeps tensors in '{file}', which is a link to '{target}'; links to other folders are not followed"
                );
        }
    }

    /// <summary>The path of a file with all links resolved.</summary>
    /// <param name="path">A file, or a link to one.</param>
    private static string ResolvedPath(string path) =>
        new FileInfo(path).ResolveLinkTarget(true)?.FullName ?? Path.GetFullPath(path);

    /// <summary>
    /// Walks through a message and the messages nested in it that can hold tensors, metadata or operator sets.
    /// </summary>
    /// <param name="bytes">The message.</param>
    /// <param name="message">Kind of the message.</param>
    /// <param name="found">Receives the results.</param>
    /// <param name="level">Nesting depth of the message.</param>
    private static void Walk(ReadOnlySpan<byte> bytes, Message message, Found found, int level)
    {
        if (level > MostLevels)
            throw new FormatException($"its messages are nested more than {MostLevels} levels deep");
        var reader = new WireReader(bytes);
        var (key, value, opset) = ("", "", 0L);
        while (reader.Next())
        {
            if (message == Message.OperatorSet && reader.Field == 2)
                opset = (long)reader.Number;
            if (!reader.HasLength)
                continue;
            if (Fields.TryGetValue(message, out var fields) && fields.TryGetValue(reader.Field, out var next))
                Walk(reader.Bytes, next, found, level + 1);
            else if ((message is Message.Entry or Message.ExternalEntry or Message.OperatorSet) && reader.Field == 1)
                key = Encoding.UTF8.GetString(reader.Bytes);
            else if ((message is Message.Entry or Message.ExternalEntry) && reader.Field == 2)
                value = Encoding.UTF8.GetString(reader.Bytes);
        }

        if (message == Message.OperatorSet && key.Length == 0)
            found.Opset = opset; // an empty domain means the standard operators
        if (message == Message.Entry)
            found.Metadata[key] = value;
        if (message == Message.ExternalEntry && key == "location")
            found.Files.Add(value);
    }

    private sealed class Found
    {
        /// <summary>The metadata, by key.</summary>
        public Dictionary<string, string> Metadata { get; } = new(StringComparer.Ordinal);

        /// <summary>Names of the files that hold external tensors.</summary>
        public HashSet<string> Files { get; } = new(StringComparer.Ordinal);

        /// <summary>Version of the standard operators.</summary>
        public long Opset { get; set; }
    }
}
