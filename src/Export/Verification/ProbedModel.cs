using Google.Protobuf;
using TorchBridge.Onnx.Proto;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>An ONNX file that gives values inside the graph too: ONNX Runtime gives outputs only, so a copy beside the file has more of them.</summary>
internal sealed class ProbedModel : IDisposable
{
    private readonly string copy;
    private readonly OrtModel model;

    /// <summary>Opens a file, its graph as it is.</summary>
    /// <param name="path">The ONNX file; its data file, if it has one, is beside it.</param>
    /// <param name="values">Names of values.</param>
    public ProbedModel(string path, IReadOnlyList<string> values)
    {
        copy = $"{path}.{Guid.NewGuid():N}.probe.tmp";
        ModelProto proto;
        using (var stream = File.OpenRead(path)) proto = ModelProto.Parser.ParseFrom(stream);
        var outputs = proto.Graph.Output.Select(output => output.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var name in values.Where(name => !outputs.Contains(name))) proto.Graph.Output.Add(new ValueInfoProto { Name = name });
        try
        {
            using (var stream = File.Create(copy)) proto.WriteTo(stream);
            model = new OrtModel(copy, optimize: false);
        }
        catch
        {
            File.Delete(copy);
            throw;
        }
    }

    /// <summary>Names of the inputs.</summary>
    public IReadOnlyList<string> InputNames => model.InputNames;

    /// <summary>Runs it; the caller disposes the values.</summary>
    public Tensor[] Run(IReadOnlyList<Tensor> inputs, IReadOnlyCollection<string> values) => model.Run(inputs, values);

    /// <inheritdoc/>
    public void Dispose()
    {
        model.Dispose();
        File.Delete(copy);
    }
}
