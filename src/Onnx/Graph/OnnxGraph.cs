using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Graph;

/// <summary>
/// An ONNX graph: lowering builds it, folding and quantization rewrite it, and files store it. Nodes are in
/// topological order. Whatever else a file contains (functions, other operator sets, training information) is kept
/// and written back.
/// </summary>
internal sealed class OnnxGraph
{
    /// <summary>
    /// Version of the standard operators, <c>ai.onnx</c>: 17 to 21 for graphs that this library builds.
    /// </summary>
    public required int Opset { get; init; }

    /// <summary>Nodes in topological order.</summary>
    public List<OnnxNode> Nodes { get; private init; } = [];

    /// <summary>Stored tensors by name.</summary>
    public Dictionary<string, Initializer> Initializers { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>The graph's inputs; in files of IR version 3 these include the initializers.</summary>
    public List<ValueInfo> Inputs { get; private init; } = [];

    /// <summary>The graph's outputs.</summary>
    public List<ValueInfo> Outputs { get; private init; } = [];

    /// <summary>Types and shapes of intermediate values, by name, as far as they are known.</summary>
    public Dictionary<string, ValueInfo> Infos { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>
    /// Type and rank of the values that lowering created, by name; for some values nothing more is known.
    /// </summary>
    public Dictionary<string, (ElementType Type, int Rank)> Ranks { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>For each value that corresponds to a traced one, by name: the number of that traced value.</summary>
    public Dictionary<string, int> Origins { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>The metadata of a graph that was read from a file.</summary>
    public Dictionary<string, string> Metadata { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>
    /// The protobuf message of the file that the graph was read from, without the parts held in the properties above;
    /// null for a graph that was built here.
    /// </summary>
    public ModelProto? Rest { get; init; }

    /// <summary>Names of the inputs that a caller has to supply.</summary>
    public IEnumerable<string> InputNames =>
        Inputs.Select(input => input.Name).Where(name => !Initializers.ContainsKey(name));

    /// <summary>Names of the outputs.</summary>
    public IEnumerable<string> OutputNames => Outputs.Select(output => output.Name);

    /// <summary>The stored tensor of a given name; null for graph inputs and for values that nodes produce.</summary>
    /// <param name="value">Name of a value.</param>
    public Initializer? Tensor(string value) => Initializers.GetValueOrDefault(value);

    /// <summary>Adds a tensor.</summary>
    /// <param name="tensor">A tensor whose name is not used yet.</param>
    /// <exception cref="ArgumentException">A tensor of that name exists already.</exception>
    public void Add(Initializer tensor) => Initializers.Add(tensor.Name, tensor);

    /// <summary>
    /// An index of the current producers and readers, for many lookups in a graph that does not change meanwhile.
    /// </summary>
    public GraphIndex Index() => new(this);

    /// <summary>The node that currently produces a value; null for graph inputs and initializers.</summary>
    /// <param name="value">Name of a value.</param>
    public OnnxNode? Producer(string value) => Nodes.FirstOrDefault(node => node.Outputs.Contains(value));

    /// <summary>
    /// The nodes that currently read a value, directly or in their subgraphs, in the graph's order.
    /// </summary>
    /// <param name="value">Name of a value.</param>
    public IEnumerable<OnnxNode> Readers(string value) => Nodes.Where(node => node.Reads.Contains(value));

    /// <summary>How often each value is used; being a graph output counts as a use.</summary>
    /// <returns>Counts by value name; unused values are left out.</returns>
    public Dictionary<string, int> Uses()
    {
        var uses = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var name in Nodes.SelectMany(node => node.Inputs.Concat(node.SubgraphReads)).Concat(OutputNames))
            uses[name] = uses.GetValueOrDefault(name) + 1;
        return uses;
    }

    /// <summary>Whether a value is an output of the graph.</summary>
    /// <param name="name">Name of a value.</param>
    public bool IsOutput(string name) => Outputs.Any(output => output.Name == name);

    /// <summary>
    /// Every name of a value or node in the file, including subgraphs. A new name must differ from all of these.
    /// </summary>
    /// <returns>A new set, which the caller may change.</returns>
    public HashSet<string> Names()
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var node in Nodes)
        {
            names.UnionWith(node.Inputs.Concat(node.Outputs).Append(node.Name));
            names.UnionWith(
                node.Attributes.Values.OfType<AttributeProto>().SelectMany(Subgraphs.Of).SelectMany(Subgraphs.Names)
            );
        }

        names.UnionWith(Initializers.Keys.Concat(Inputs.Select(input => input.Name)).Concat(OutputNames));
        if (Rest is not null)
            names.UnionWith(Rest.Graph.SparseInitializer.Select(tensor => tensor.Values?.Name ?? ""));
        return names;
    }

    /// <summary>
    /// Makes every node that reads a value read another value instead. Subgraphs are not changed; graphs built by
    /// this library have none.
    /// </summary>
    /// <param name="from">The value that is read at present.</param>
    /// <param name="to">The value to read instead; it must be produced before the nodes that read it.</param>
    public void ReplaceUses(string from, string to)
    {
        foreach (var node in Nodes)
        {
            for (var position = 0; position < node.Inputs.Count; position++)
            {
                if (node.Inputs[position] == from)
                    node.Inputs[position] = to;
            }
        }
    }

    /// <summary>Renames a value in the nodes that produce and read it.</summary>
    /// <param name="from">The present name.</param>
    /// <param name="to">The new name, which no other value has.</param>
    public void Rename(string from, string to)
    {
        ReplaceUses(from, to);
        foreach (var node in Nodes)
        {
            for (var position = 0; position < node.Outputs.Count; position++)
            {
                if (node.Outputs[position] == from)
                    node.Outputs[position] = to;
            }
        }
    }

    /// <summary>Removes tensors that no node reads and that are not graph outputs.</summary>
    public void RemoveUnreadInitializers()
    {
        var read = Nodes.SelectMany(node => node.Reads).Concat(OutputNames).ToHashSet(StringComparer.Ordinal);
        foreach (var name in Initializers.Keys.Where(name => !read.Contains(name)).ToArray())
            Initializers.Remove(name);
    }

    /// <summary>A copy whose nodes can be rewritten; tensors are shared.</summary>
    public OnnxGraph Copy() => CopyOf(Opset, Rest);

    /// <summary>
    /// A copy that declares another version of the standard operators. The caller converts its nodes.
    /// </summary>
    /// <param name="opset">The version.</param>
    /// <param name="leastIr">Lowest allowed version of the file format.</param>
    /// <returns>A copy whose nodes can be rewritten; tensors are shared.</returns>
    public OnnxGraph Copy(int opset, long leastIr)
    {
        var rest = Rest?.Clone();
        if (rest is not null)
        {
            rest.IrVersion = Math.Max(rest.IrVersion, leastIr);
            foreach (var import in rest.OpsetImport.Where(import => import.Domain is "" or "ai.onnx"))
                import.Version = opset;
        }

        return CopyOf(opset, rest);
    }

    /// <summary>Copies lists and nodes; records and tensors are immutable and are shared.</summary>
    /// <param name="opset">Opset of the copy.</param>
    /// <param name="rest">The <see cref="Rest"/> of the copy.</param>
    private OnnxGraph CopyOf(int opset, ModelProto? rest) =>
        new()
        {
            Opset = opset,
            Nodes = [.. Nodes.Select(node => node.Copy())],
            Initializers = new(Initializers, StringComparer.Ordinal),
            Inputs = [.. Inputs],
            Outputs = [.. Outputs],
            Infos = new(Infos, StringComparer.Ordinal),
            Ranks = new(Ranks, StringComparer.Ordinal),
            Origins = new(Origins, StringComparer.Ordinal),
            Metadata = new(Metadata, StringComparer.Ordinal),
            Rest = rest,
        };
}
