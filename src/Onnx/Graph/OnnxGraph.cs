using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Graph;

/// <summary>
/// The graph that lowering builds, folding and quantization rewrite, and files hold. Nodes are in topological order.
/// What a file says beyond nodes, tensors, inputs and outputs (functions, other operator sets, training information)
/// is kept and written again.
/// </summary>
internal sealed class OnnxGraph
{
    /// <summary>
    /// Version of the standard operators, <c>ai.onnx</c>: 17 to 21 for graphs that are built here.
    /// </summary>
    public required int Opset { get; init; }

    /// <summary>Nodes in topological order.</summary>
    public List<OnnxNode> Nodes { get; private init; } = [];

    /// <summary>Tensors by name.</summary>
    public Dictionary<string, Initializer> Initializers { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>The graph's inputs; in files of IR version 3 the tensors too.</summary>
    public List<ValueInfo> Inputs { get; private init; } = [];

    /// <summary>The graph's outputs.</summary>
    public List<ValueInfo> Outputs { get; private init; } = [];

    /// <summary>What is known of intermediate values, by name.</summary>
    public Dictionary<string, ValueInfo> Infos { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>Type and rank of the values that lowering made, by name: all that is known of some.</summary>
    public Dictionary<string, (ElementType Type, int Rank)> Ranks { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>By name of a value: the number of the traced value that it is.</summary>
    public Dictionary<string, int> Origins { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>The metadata of a graph that was read from a file.</summary>
    public Dictionary<string, string> Metadata { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>The message of the file that the graph was read from, without what is above; null for a graph that
    /// was built.</summary>
    public ModelProto? Rest { get; init; }

    /// <summary>Names of the inputs that a caller gives.</summary>
    public IEnumerable<string> InputNames =>
        Inputs.Select(input => input.Name).Where(name => !Initializers.ContainsKey(name));

    /// <summary>Names of the outputs.</summary>
    public IEnumerable<string> OutputNames => Outputs.Select(output => output.Name);

    /// <summary>The tensor of the file that a value is; null for inputs and for what nodes make.</summary>
    /// <param name="value">Name of a value.</param>
    public Initializer? Tensor(string value) => Initializers.GetValueOrDefault(value);

    /// <summary>Adds a tensor.</summary>
    /// <param name="tensor">Its name is that of no other tensor.</param>
    /// <exception cref="ArgumentException">There is one of its name.</exception>
    public void Add(Initializer tensor) => Initializers.Add(tensor.Name, tensor);

    /// <summary>An index of producers and readers as they are now: for many questions to a graph that stays as it
    /// is.</summary>
    public GraphIndex Index() => new(this);

    /// <summary>The node that makes a value now; null for inputs and tensors of the file.</summary>
    /// <param name="value">Name of a value.</param>
    public OnnxNode? Producer(string value) => Nodes.FirstOrDefault(node => node.Outputs.Contains(value));

    /// <summary>The nodes that read a value now, themselves or in their subgraphs, in their order.</summary>
    /// <param name="value">Name of a value.</param>
    public IEnumerable<OnnxNode> Readers(string value) => Nodes.Where(node => node.Reads.Contains(value));

    /// <summary>How often each value is used; being an output of the graph is a use.</summary>
    /// <returns>By name of the value; values that nobody uses are not in it.</returns>
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
    /// Every name of the file, of values and of nodes, in subgraphs too: a new one must be another.
    /// </summary>
    /// <returns>A set of the caller's own.</returns>
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
    /// Makes every node that reads a value read another one; subgraphs are left, and graphs that are built here have
    /// none.
    /// </summary>
    /// <param name="from">The value that is read now.</param>
    /// <param name="to">The value that is read afterwards; it must be made before the readers.</param>
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

    /// <summary>Gives a value another name, with who makes it and who reads it.</summary>
    /// <param name="from">Its name now.</param>
    /// <param name="to">Its new name, which no other value has.</param>
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

    /// <summary>Removes tensors that no node reads and that are no output.</summary>
    public void RemoveUnreadInitializers()
    {
        var read = Nodes.SelectMany(node => node.Reads).Concat(OutputNames).ToHashSet(StringComparer.Ordinal);
        foreach (var name in Initializers.Keys.Where(name => !read.Contains(name)).ToArray())
            Initializers.Remove(name);
    }

    /// <summary>A copy whose nodes can be rewritten; tensors are shared.</summary>
    public OnnxGraph Copy() => CopyOf(Opset, Rest);

    /// <summary>
    /// A copy that states another version of the standard operators. Its nodes are the caller's to convert.
    /// </summary>
    /// <param name="opset">The version.</param>
    /// <param name="leastIr">Least version of the file format.</param>
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

    /// <summary>Copies lists and nodes; records and tensors, which never change, are shared.</summary>
    /// <param name="opset">Opset of the copy.</param>
    /// <param name="rest">What the copy is written into.</param>
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
