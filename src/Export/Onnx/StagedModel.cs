namespace TorchBridge.Export.Onnx;

/// <summary>
/// A model file under a temporary name, with its data file where the tensors are too large for one; gone when it is disposed, unless it
/// was committed: the data file is renamed first, the model last, so that a model that is there is whole.
/// </summary>
internal sealed class StagedModel(string path, OnnxGraph graph, long externalDataThreshold) : IDisposable
{
    private readonly string id = Guid.NewGuid().ToString("N");
    private readonly bool isExternal = graph.Initializers.Values.Sum(tensor => (long)tensor.Data.Length) > externalDataThreshold;

    /// <summary>The temporary name, beside the final one.</summary>
    public string ModelPath => $"{path}.{id}.tmp";

    private string DataPath => $"{path}.{id}.data.tmp";

    /// <summary>Writes the model under its temporary name.</summary>
    public void Write(IEnumerable<KeyValuePair<string, string>> metadata)
    {
        if (isExternal) OnnxFile.WriteData(graph, DataPath);
        AtomicFile.Write(ModelPath, OnnxFile.ToProto(graph, metadata, isExternal ? Path.GetFileName(DataPath) : null));
    }

    /// <summary>Puts the model where it belongs, with its last metadata.</summary>
    public void Commit(IEnumerable<KeyValuePair<string, string>> metadata)
    {
        var data = $"{path}.data";
        AtomicFile.Write(ModelPath, OnnxFile.ToProto(graph, metadata, isExternal ? Path.GetFileName(data) : null));
        if (isExternal) File.Move(DataPath, data, overwrite: true);
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
