// What is looked at before a runtime sees a model from outside: whatever would make it, or the readers here, take
// memory or time without a bound, or recurse without an end. What an operator means and whether shapes fit is the
// runtime's to judge.
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Format;

/// <summary>Checks that the parts of a model's message fit together.</summary>
internal static class ModelStructure
{
    /// <summary>Nodes that functions may unfold to: a function that calls another twice, forty deep, is 2^40.</summary>
    private const long MostNodes = 1_000_000;

    /// <summary>
    /// Every tensor of a model: of its graph, of graphs and attributes inside, of functions and of training
    /// information. Each may hide a size or a place that must not be trusted.
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
    /// What a node calls: its domain, with the standard one under one name, and the operator.
    /// </summary>
    /// <param name="node">A node of the graph or of a function.</param>
    public static (string Domain, string Name) Key(NodeProto node) => (Domain(node.Domain), node.OpType);

    /// <summary>What a function is called by, to be looked up with a node's key.</summary>
    /// <param name="function">A function of the file.</param>
    public static (string Domain, string Name) Key(FunctionProto function) => (Domain(function.Domain), function.Name);

    /// <summary>
    /// Checks a model: tensors hold as many elements as they say, sparse ones unpack below 2 GB, every value is made
    /// once and before it is read, functions end.
    /// </summary>
    /// <param name="model">A parsed model with a graph. It is not changed.</param>
    /// <exception cref="InvalidDataException">Something does not fit; the message says what.</exception>
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

    /// <summary>Values are made once, and nodes stand behind what they read.</summary>
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
                    $"the value '{given}' is made by a node, and is an input or a tensor of the file too"
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
                        + "made; nodes must stand in topological order"
                );
        }
    }

    /// <summary>Functions must end: none calls itself, and what they unfold to is bounded.</summary>
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
                FormattableString.Invariant($"its functions unfold to more than {MostNodes} nodes")
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

    /// <summary>Every stored tensor of a graph and of the graphs inside of it.</summary>
    /// <param name="graph">Any graph.</param>
    private static IEnumerable<TensorProto> Tensors(GraphProto graph) =>
        graph.Initializer.Concat(graph.SparseInitializer.SelectMany(Tensors)).Concat(graph.Node.SelectMany(Tensors));

    /// <summary>Tensors in a node's attributes.</summary>
    /// <param name="node">Any node.</param>
    private static IEnumerable<TensorProto> Tensors(NodeProto node) => node.Attribute.SelectMany(Tensors);

    /// <summary>Tensors in an attribute: one, a list, sparse ones, and those of graphs.</summary>
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

    /// <summary>The two dense tensors that a sparse one consists of.</summary>
    /// <param name="sparse">Values with their places.</param>
    private static IEnumerable<TensorProto> Tensors(SparseTensorProto sparse) =>
        new[] { sparse.Values, sparse.Indices }.OfType<TensorProto>();

    /// <summary>The standard operators' domain has two spellings; the empty one is used here.</summary>
    /// <param name="domain">As the file has it.</param>
    private static string Domain(string domain) => domain is "ai.onnx" ? "" : domain;
}
