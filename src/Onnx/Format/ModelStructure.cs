// These checks run before a runtime opens an untrusted model. They refuse whatever would make the runtime, or the
// readers in this project, use unbounded memory or time or recurse without end. The runtime itself checks operators
// and shapes.
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Format;

/// <summary>Checks that the parts of a model's message fit together.</summary>
internal static class ModelStructure
{
    /// <summary>
    /// Maximum number of nodes after all functions are expanded: functions that call each other twice, 40 levels
    /// deep, expand to 2^40.
    /// </summary>
    private const long MostNodes = 1_000_000;

    /// <summary>
    /// Every tensor of a model: in its graph, subgraphs and attributes, in functions and in training information. The
    /// size and location of each are untrusted.
    /// </summary>
    /// <param name="model">A parsed model with a graph.</param>
    public static IEnumerable<TensorProto> Tensors(ModelProto model) =>
        Tensors(model.Graph)
            .Concat(
                model.Functions.SelectMany(function =>
                    function.Node.SelectMany(Tensors).Concat(function.AttributeProto.SelectMany(Tensors))
                )
            )
            .Concat(
                model
                    .TrainingInfo.SelectMany(info => new[] { info.Initialization, info.Algorithm }.OfType<GraphProto>())
                    .SelectMany(Tensors)
            );

    /// <summary>
    /// The operator or function that a node calls: its domain, with the standard domain always spelled the same, and
    /// its name.
    /// </summary>
    /// <param name="node">A node of the graph or of a function.</param>
    public static (string Domain, string Name) Key(NodeProto node) => (Domain(node.Domain), node.OpType);

    /// <summary>The key under which a node's key finds a function.</summary>
    /// <param name="function">A function defined in the file.</param>
    public static (string Domain, string Name) Key(FunctionProto function) => (Domain(function.Domain), function.Name);

    /// <summary>
    /// Checks that tensors hold as many elements as their shapes say, that sparse tensors unpack to less than 2 GB,
    /// that every value is produced once and before it is read, and that functions do not call themselves.
    /// </summary>
    /// <param name="model">A parsed model with a graph; it is not changed.</param>
    /// <exception cref="InvalidDataException">A check failed; the message says which.</exception>
    public static void Check(ModelProto model)
    {
        foreach (var tensor in Tensors(model).Where(tensor => !ExternalData.IsExternal(tensor)))
            TensorFields.Check(tensor);
        foreach (var sparse in model.Graph.SparseInitializer)
        {
            if (sparse.Dims.Any(size => size < 0))
                throw new InvalidDataException($"the sparse tensor '{sparse.Values?.Name}' has a negative size");
            var count = sparse.Dims.Aggregate((Int128)sizeof(double), (product, size) =>
                product > int.MaxValue ? product : product * size
            );
            if (count > int.MaxValue)
                throw new InvalidDataException(
                    $"the sparse tensor '{sparse.Values?.Name}' is beyond 2 GB once it is unpacked"
                );
        }

        CheckNames(model.Graph);
        CheckFunctions(model);
    }

    /// <summary>
    /// Checks that each value is produced once, and that nodes come after the nodes whose values they read.
    /// </summary>
    /// <param name="graph">The main graph.</param>
    private static void CheckNames(GraphProto graph)
    {
        var makers = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var index = 0; index < graph.Node.Count; index++)
        {
            var node = graph.Node[index];
            if (node.OpType.Length == 0)
                throw new InvalidDataException(
                    FormattableString.Invariant($"node {index} ('{node.Name}') names no operator")
                );
            foreach (var output in node.Output.Where(output => output.Length > 0))
            {
                if (!makers.TryAdd(output, index))
                    throw new InvalidDataException(
                        $"the value '{output}' is made by two nodes; each value is made once"
                    );
            }
        }

        foreach (
            var given in graph.Input.Select(input => input.Name).Concat(graph.Initializer.Select(tensor => tensor.Name))
        )
        {
            if (makers.ContainsKey(given))
                throw new InvalidDataException(
                    $"the value '{given}' is made by a node and is also an input or an initializer; each value is made once"
                );
        }

        for (var index = 0; index < graph.Node.Count; index++)
        {
            var reads = graph
                .Node[index]
                .Input.Concat(graph.Node[index].Attribute.SelectMany(Subgraphs.Of).SelectMany(Subgraphs.OuterReads));
            if (reads.FirstOrDefault(name => makers.TryGetValue(name, out var maker) && maker >= index) is { } early)
                throw new InvalidDataException(
                    $"node '{graph.Node[index].Name}' ({graph.Node[index].OpType}) reads '{early}' before it is "
                        + "made; nodes must be in topological order"
                );
        }
    }

    /// <summary>
    /// Checks that no function calls itself, and that functions expand to a limited number of nodes.
    /// </summary>
    /// <param name="model">The whole message.</param>
    private static void CheckFunctions(ModelProto model)
    {
        var functions = new Dictionary<(string, string), FunctionProto>();
        foreach (var function in model.Functions)
            functions.TryAdd(Key(function), function);
        if (functions.Count == 0)
            return;
        var sizes = new Dictionary<(string, string), long>();
        var open = new HashSet<(string, string)>();
        var nodes = Count(model.Graph.Node, 0);
        if (nodes > MostNodes)
            throw new InvalidDataException(
                FormattableString.Invariant($"its functions unfold to more than {MostNodes} nodes, which is the limit")
            );

        long Count(IEnumerable<NodeProto> body, int depth)
        {
            if (depth > 100)
                throw new InvalidDataException("its functions call each other more than 100 deep");
            long sum = 0;
            foreach (var node in Subgraphs.Nodes(body))
                sum = Math.Min(sum + Size(node, depth), MostNodes + 1);
            return sum;
        }

        long Size(NodeProto node, int depth)
        {
            var key = Key(node);
            if (!functions.TryGetValue(key, out var function))
                return 1;
            if (sizes.TryGetValue(key, out var known))
                return known;
            if (!open.Add(key))
                throw new InvalidDataException($"the function '{function.Name}' calls itself");
            var size = Count(function.Node, depth + 1);
            open.Remove(key);
            return sizes[key] = size;
        }
    }

    /// <summary>Every stored tensor of a graph and of its subgraphs.</summary>
    /// <param name="graph">Any graph.</param>
    private static IEnumerable<TensorProto> Tensors(GraphProto graph) =>
        graph.Initializer.Concat(graph.SparseInitializer.SelectMany(Tensors)).Concat(graph.Node.SelectMany(Tensors));

    /// <summary>Tensors in a node's attributes.</summary>
    /// <param name="node">Any node.</param>
    private static IEnumerable<TensorProto> Tensors(NodeProto node) => node.Attribute.SelectMany(Tensors);

    /// <summary>
    /// The tensors in an attribute: dense and sparse ones, single or in lists, and those of its graphs.
    /// </summary>
    /// <param name="attribute">Any attribute.</param>
    private static IEnumerable<TensorProto> Tensors(AttributeProto attribute) =>
        (attribute.T is null ? attribute.Tensors : attribute.Tensors.Prepend(attribute.T))
            .Concat(
                (
                    attribute.SparseTensor is null
                        ? attribute.SparseTensors
                        : attribute.SparseTensors.Prepend(attribute.SparseTensor)
                ).SelectMany(Tensors)
            )
            .Concat(Subgraphs.Of(attribute).SelectMany(Tensors));

    /// <summary>The two dense tensors of which a sparse tensor consists.</summary>
    /// <param name="sparse">The sparse tensor.</param>
    private static IEnumerable<TensorProto> Tensors(SparseTensorProto sparse) =>
        new[] { sparse.Values, sparse.Indices }.OfType<TensorProto>();

    /// <summary>
    /// A domain, with the empty spelling for the standard operators, whose domain has two spellings.
    /// </summary>
    /// <param name="domain">The domain as spelled in the file.</param>
    private static string Domain(string domain) => domain is "ai.onnx" ? "" : domain;
}
