using System.Buffers;
using System.Security.Cryptography;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Format;

/// <summary>
/// A data file with a model's large tensors, named by its content: <c>model.onnx.0123456789abcdef.data</c>. Another
/// content has another name, so the model that is there keeps its own data until it is replaced itself.
/// </summary>
internal sealed class ExternalLayout
{
    /// <summary>Smaller tensors stay in the model: shape inference reads shapes and axes, and does not look into data
    /// files.</summary>
    private const int LeastBytes = 1024;

    private const int HashDigits = 16;
    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdef");
    private readonly Dictionary<string, (long Offset, int Length)> places = new(StringComparer.Ordinal);

    /// <summary>
    /// Lays the tensors out one after another, and names the file by their SHA-256.
    /// </summary>
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
    /// <param name="graph">Whose tensors; those below a kilobyte stay in the model's message.</param>
    /// <param name="folder">Where the data file is made; the caller moves it beside the model.</param>
    /// <param name="modelName">Name of the model's file, which the data file's name begins with.</param>
    /// <returns>Where each tensor stands, for the messages that refer to it.</returns>
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
    /// Whether a file is named as a data file of a model: <c>NAME.16 hexadecimal digits.data</c>. Files of other
    /// tools are not, and are never touched.
    /// </summary>
    /// <param name="modelName">Name of the model's file.</param>
    /// <param name="fileName">Name of the other file.</param>
    public static bool IsDataFileOf(string modelName, string fileName) =>
        fileName.Length == modelName.Length + HashDigits + ".".Length + ".data".Length
        && fileName.StartsWith($"{modelName}.", StringComparison.Ordinal)
        && fileName.EndsWith(".data", StringComparison.Ordinal)
        && fileName.AsSpan(modelName.Length + 1, HashDigits).IndexOfAnyExcept(HexDigits) < 0;

    /// <summary>Whether a tensor is in the data file.</summary>
    /// <param name="tensor">A tensor of the graph that was written.</param>
    public bool Holds(Initializer tensor) => places.ContainsKey(tensor.Name);

    /// <summary>
    /// A tensor's message: name, type, sizes, and where in the data file its elements are.
    /// </summary>
    /// <param name="tensor">One that <see cref="Holds"/> is true for.</param>
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

    /// <summary>
    /// Whether a tensor is worth a place in a data file: of numbers, and of a kilobyte or more.
    /// </summary>
    /// <param name="tensor">Any tensor of a graph.</param>
    public static bool IsLarge(Initializer tensor) =>
        ElementTypes.SizeOf(tensor.Type) is not null && tensor.Data.Length >= LeastBytes;
}
