using Google.Protobuf;
using TorchBridge.Onnx.Files;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Onnx.Format;

/// <summary>
/// A model's file, with its data file where the tensors are too large for one, in a folder of its own beside the
/// final place; gone when it is disposed, unless it was committed. The model is renamed last, and its data file is
/// named by its content: a model that is there is whole, the old one or the new one.
/// </summary>
internal sealed class StagedModel : IDisposable
{
    private readonly string target;
    private readonly OnnxGraph graph;
    private readonly string name;
    private readonly bool isExternal;
    private readonly FileSet files;

    /// <summary>Keys of the metadata that the staged file has.</summary>
    private string[] keys = [];

    /// <summary>Name of the file of tensors beside it; null where it holds them itself.</summary>
    private string? dataFile;

    /// <summary>Begins a file.</summary>
    /// <param name="path">Its final place.</param>
    /// <param name="graph">What it will hold.</param>
    /// <param name="externalDataThreshold">Bytes of tensors above which the large ones go into a data file.</param>
    /// <exception cref="IOException">The folder is not there, or cannot be written.</exception>
    public StagedModel(string path, OnnxGraph graph, long externalDataThreshold)
    {
        this.graph = graph;
        name = Path.GetFileName(path);
        target = Path.GetDirectoryName(Path.GetFullPath(path))!;
        Bytes = graph.Initializers.Values.Sum(tensor => tensor.Stored?.CalculateSize() ?? (long)tensor.Data.Length);
        isExternal = Bytes > externalDataThreshold && graph.Initializers.Values.Any(ExternalLayout.IsLarge);
        files = FileSet.Stage(target);
    }

    /// <summary>Bytes of all tensors.</summary>
    public long Bytes { get; }

    /// <summary>Bytes of the files, once they are written.</summary>
    public long FileBytes { get; private set; }

    /// <summary>
    /// The model until it is committed: a whole file, under its final name in a folder of its own. Verification opens
    /// it there.
    /// </summary>
    public string ModelPath => files[name];

    /// <summary>
    /// Writes model and data file into the staging folder; nothing is visible yet.
    /// </summary>
    /// <param name="metadata">Key-value pairs; null for those that the graph was read with.</param>
    /// <exception cref="InvalidDataException">The message would be larger than 2 GB.</exception>
    /// <exception cref="IOException">The disk is full, or the place cannot be written.</exception>
    public void Write(IReadOnlyDictionary<string, string>? metadata = null)
    {
        metadata ??= graph.Metadata;
        keys = [.. metadata.Keys];
        var layout = isExternal ? ExternalLayout.Write(graph, files.Folder, name) : null;
        dataFile = layout?.FileName;
        using (var stream = new FileStream(ModelPath, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16))
            OnnxWriter.ToProto(graph, metadata, layout).WriteTo(stream);
        FileBytes = new FileInfo(ModelPath).Length + (dataFile is null ? 0 : new FileInfo(files[dataFile]).Length);
    }

    /// <summary>
    /// Forgets the tensors that the exporter computed (folded weights, constants): the file holds them now, and
    /// verification needs the memory. Those that are the module's own memory cost nothing, and stay.
    /// </summary>
    public void DropComputedTensors()
    {
        foreach (var tensor in graph.Initializers.Values.Where(tensor => tensor.Source is null).ToArray())
            graph.Initializers[tensor.Name] = tensor with { Data = default };
    }

    /// <summary>
    /// Puts the model where it belongs, with metadata that is known only now, and takes data files of older ones
    /// away.
    /// </summary>
    /// <param name="late">Replaces or joins what <see cref="Write"/> has written.</param>
    /// <exception cref="IOException">The model could not be put in place; the one that was there is as it was, or the
    /// set is completed at the next start.</exception>
    public void Commit(IEnumerable<KeyValuePair<string, string>>? late = null)
    {
        var added = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in late ?? [])
            added[key] = value;
        OnnxWriter.AddMetadata(ModelPath, keys, added);
        files.Publish(dataFile is null ? [name] : [dataFile, name]);
        foreach (var stale in StaleDataFiles())
        {
            try
            {
                File.Delete(Path.Combine(target, stale));
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // Somebody still reads the older model, on Windows: the next export takes the file away.
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => files.Dispose();

    /// <summary>
    /// Data files of models that had this one's name; none where a copy of such a model is still there, or another is
    /// being made.
    /// </summary>
    /// <returns>File names in the target folder.</returns>
    private IEnumerable<string> StaleDataFiles()
    {
        var stale = Directory
            .EnumerateFiles(target, $"{name}.*.data")
            .Select(file => Path.GetFileName(file)!)
            .Where(file => ExternalLayout.IsDataFileOf(name, file) && file != dataFile)
            .ToArray();
        if (stale.Length == 0 || !files.IsAlone)
            return [];
        var models = Directory.EnumerateFiles(target, "*.onnx").Append(Path.Combine(target, name));
        return stale.Except(models.SelectMany(DataFiles), StringComparer.Ordinal);

        IReadOnlySet<string> DataFiles(string model)
        {
            try
            {
                return OnnxReader.DataFiles(model);
            }
            catch (Exception error)
                when (error is IOException or UnauthorizedAccessException or InvalidProtocolBufferException)
            {
                return stale.ToHashSet(StringComparer.Ordinal); // perhaps a copy that is being written: all are left
            }
        }
    }
}
