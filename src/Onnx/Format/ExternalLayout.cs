using System.Buffers;
using System.Security.Cryptography;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Format;

/// <summary>
/// The layout of a data file that holds a model's large tensors. The file is named after a hash of its content,
/// <c>model.onnx.0123456789abcdef.data</c>. New content gets a new name, so an existing model keeps its own data
/// until the model itself is replaced.
/// </summary>
internal sealed class ExternalLayout
{
    /// <summary>
    /// Smaller tensors stay in the model, because shape inference needs the values of shapes and axes and does not
    /// read data files.
    /// </summary>
    private const int LeastBytes = 1024;

    private const int HashDigits = 16;
    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdef");
    private readonly Dictionary<string, (long Offset, int Length)> places = new(StringComparer.Ordinal);

    /// <summary>Places the tensors one after another, and names the file after their SHA-256.</summary>
    private ExternalLayout(string modelName, IEnumerable<Initializer> tensors)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long offset = 0;
        foreach (var tensor in tensors)
        {
            places.Add(tensor.Name, (offset, tensor.Data.Length));
            offset += tensor.Data.Length;
            hash.AppendData(tensor.Data.Span);
        }

        FileName = $"{modelName}.{Convert.ToHexStringLower(hash.GetHashAndReset())[..HashDigits]}.data";
    }

    /// <summary>The data file's name.</summary>
    public string FileName { get; }

    /// <summary>Writes a graph's large tensors into a folder.</summary>
    /// <param name="graph">The graph; its tensors of less than 1 KiB stay in the model's message.</param>
    /// <param name="folder">The folder in which to create the data file; the caller moves it to the model's
    /// folder.</param>
    /// <param name="modelName">Name of the model's file, with which the data file's name begins.</param>
    /// <returns>The position of each tensor, for the messages that refer to the data file.</returns>
    public static ExternalLayout Write(OnnxGraph graph, string folder, string modelName)
    {
        var large = graph.Initializers.Values.Where(IsLarge).ToArray();
        var layout = new ExternalLayout(modelName, large);
        using var stream = new FileStream(
            Path.Combine(folder, layout.FileName),
            FileMode.Create,
            FileAccess.Write,
            FileShare.None,
            1 << 16
        );
        foreach (var tensor in large)
            stream.Write(tensor.Data.Span);
        return layout;
    }

    /// <summary>
    /// Whether a file has the name of one of a model's data files: the model's name, a dot, 16 hexadecimal digits,
    /// and <c>.data</c>. Files of other tools are not named like this, and are never touched.
    /// </summary>
    /// <param name="modelName">Name of the model's file.</param>
    /// <param name="fileName">Name of the file in question.</param>
    public static bool IsDataFileOf(string modelName, string fileName) =>
        fileName.Length == modelName.Length + HashDigits + ".".Length + ".data".Length
        && fileName.StartsWith($"{modelName}.", StringComparison.Ordinal)
        && fileName.EndsWith(".data", StringComparison.Ordinal)
        && fileName.AsSpan(modelName.Length + 1, HashDigits).IndexOfAnyExcept(HexDigits) < 0;

    /// <summary>Whether a tensor is in the data file.</summary>
    /// <param name="tensor">A tensor of the graph that was written.</param>
    public bool Holds(Initializer tensor) => places.ContainsKey(tensor.Name);

    /// <summary>
    /// A tensor's message: its name, type, shape, and the position of its elements in the data file.
    /// </summary>
    /// <param name="tensor">A tensor for which <see cref="Holds"/> is true.</param>
    public TensorProto Describe(Initializer tensor)
    {
        var proto = new TensorProto
        {
            Name = tensor.Name,
            DataType = (int)tensor.Type,
            Dims = { tensor.Dims },
        };
        ExternalData.Describe(proto, FileName, places[tensor.Name].Offset, places[tensor.Name].Length);
        return proto;
    }

    /// <summary>Whether a tensor goes into the data file: it holds numbers, and is at least 1 KiB.</summary>
    /// <param name="tensor">Any tensor of a graph.</param>
    public static bool IsLarge(Initializer tensor) =>
        ElementTypes.SizeOf(tensor.Type) is not null && tensor.Data.Length >= LeastBytes;
}
