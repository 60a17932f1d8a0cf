namespace TorchBridge.Export.Onnx;

/// <summary>
/// A model file under a temporary name, with its data file where the tensors are too large for one; gone when it is disposed, unless it
/// was committed: the data file is renamed first, the model last, so that a model that is there is whole.
/// </summary>
internal sealed class StagedModel(string path, OnnxGraph graph, long externalDataThreshold) : IDisposable
{
    private readonly string id = Guid.NewGuid().ToString("N");
    private readonly bool isExternal = graph.Initializers.Values.Sum(tensor => (long)tensor.Data.Length) > externalDataThreshold;

    /// <summary>Bytes of all tensors.</summary>
    public long Bytes { get; } = graph.Initializers.Values.Sum(tensor => (long)tensor.Data.Length);

    /// <summary>The temporary name, beside the final one.</summary>
    public string ModelPath => $"{path}.{id}.tmp";

    private string DataPath => $"{path}.{id}.data.tmp";

    /// <summary>Writes the model under its temporary name.</summary>
    public void Write(IEnumerable<KeyValuePair<string, string>> metadata)
    {
        if (isExternal) OnnxFile.WriteData(graph, DataPath);
        AtomicFile.Write(ModelPath, OnnxFile.ToProto(graph, metadata, isExternal ? Path.GetFileName(DataPath) : null));
    }

    /// <summary>Forgets the tensors that the exporter computed: the file holds them now, and verification needs the memory.</summary>
    public void DropComputedTensors()
    {
        if (isExternal) return; // Commit writes the places of the tensors anew
        foreach (var tensor in graph.Initializers.Values.Where(tensor => tensor.Source is null).ToArray()) graph.Initializers[tensor.Name] = tensor with { Data = default };
    }

    /// <summary>Puts the model where it belongs, with metadata that is known only now.</summary>
    /// <param name="metadata">What <see cref="Write"/> has written already.</param>
    /// <param name="late">What it has not.</param>
    public void Commit(IEnumerable<KeyValuePair<string, string>> metadata, IEnumerable<KeyValuePair<string, string>> late)
    {
        var data = $"{path}.data";
        if (isExternal)
        {
            AtomicFile.Write(ModelPath, OnnxFile.ToProto(graph, metadata.Concat(late), Path.GetFileName(data)));
            File.Move(DataPath, data, overwrite: true);
        }
        else
        {
            // A protobuf message ends with its file: repeated fields may be added at the end. What was verified is not touched.
            AtomicFile.Append(ModelPath, OnnxFile.MetadataOnly(late));
        }

        File.Move(ModelPath, path, overwrite: true);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in (string[])[ModelPath, DataPath])
        {
            if (File.Exists(file)) File.Delete(file);
        }
    }
}
