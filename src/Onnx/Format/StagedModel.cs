using Google.Protobuf;
using TorchBridge.Onnx.Files;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Onnx.Format;

/// <summary>
/// A model that is written to a staging folder next to its final path, with a data file if its tensors are too large
/// for one file. Disposing it without committing discards it. On commit the model is renamed last, and its data file
/// is named after its content, so the visible model, old or new, is always complete.
/// </summary>
internal sealed class StagedModel : IDisposable
{
    private readonly string target;
    private readonly OnnxGraph graph;
    private readonly string name;
    private readonly bool isExternal;
    private readonly FileSet files;

    /// <summary>Metadata keys of the staged file.</summary>
    private string[] keys = [];

    /// <summary>Name of the data file; null if the model's file holds all tensors.</summary>
    private string? dataFile;

    /// <summary>Creates the staging folder; no file is written yet.</summary>
    /// <param name="path">The model's final path.</param>
    /// <param name="graph">The graph to write.</param>
    /// <param name="externalDataThreshold">Total size of the tensors, in bytes, above which the large ones go into a
    /// data file.</param>
    /// <exception cref="IOException">The folder does not exist or cannot be written.</exception>
    public StagedModel(string path, OnnxGraph graph, long externalDataThreshold)
    {
        this.graph = graph;
        name = Path.GetFileName(path);
        target = Path.GetDirectoryName(Path.GetFullPath(path))!;
        Bytes = graph.Initializers.Values.Sum(tensor => tensor.Stored?.CalculateSize() ?? (long)tensor.Data.Length);
        isExternal = Bytes > externalDataThreshold && graph.Initializers.Values.Any(ExternalLayout.IsLarge);
        files = FileSet.Stage(target);
    }

    /// <summary>Total size of all tensors, in bytes.</summary>
    public long Bytes { get; }

    /// <summary>Total size of the written files, in bytes; 0 before <see cref="Write"/>.</summary>
    public long FileBytes { get; private set; }

    /// <summary>
    /// Path of the complete model in the staging folder, under its final name, until it is committed. Verification
    /// opens it there.
    /// </summary>
    public string ModelPath => files[name];

    /// <summary>
    /// Writes the model and its data file to the staging folder; nothing is visible at the final path yet.
    /// </summary>
    /// <param name="metadata">Key-value pairs; null to write the graph's own metadata.</param>
    /// <exception cref="InvalidDataException">The message would exceed 2 GB.</exception>
    /// <exception cref="IOException">The disk is full, or the folder cannot be written.</exception>
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
    /// Releases the tensors that the exporter computed (folded weights, constants): the file holds them now, and
    /// verification needs the memory. Tensors that use the module's own memory take up no extra memory and are kept.
    /// </summary>
    public void DropComputedTensors()
    {
        foreach (var tensor in graph.Initializers.Values.Where(tensor => tensor.Source is null).ToArray())
            graph.Initializers[tensor.Name] = tensor with { Data = default };
    }

    /// <summary>
    /// Moves the model to its final path, with metadata that became known only after it was written, and deletes the
    /// data files of older models.
    /// </summary>
    /// <param name="late">Metadata to add to that of <see cref="Write"/>; it replaces entries with the same
    /// keys.</param>
    /// <exception cref="IOException">The model could not be moved; either the previous model is unchanged, or the
    /// next start completes the move.</exception>
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
                // On Windows, a process still reads the older model: the next export deletes the file.
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => files.Dispose();

    /// <summary>
    /// Data files of earlier models with this name. Empty if another model is being staged in the same folder; files
    /// that a model in the folder still refers to are left out.
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
                return stale.ToHashSet(StringComparer.Ordinal); // perhaps a copy that is being written: keep all files
            }
        }
    }
}
