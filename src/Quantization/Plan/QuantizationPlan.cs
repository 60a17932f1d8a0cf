using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Quantization.Plan;

/// <summary>What a node that computes in integers is to its neighbours.</summary>
internal enum Role
{
    /// <summary>Has weights: Conv, Gemm, MatMul. It pays for quantizing its input.</summary>
    Layer,

    /// <summary>Joins values that are in integers anyway: Add, Mul, Concat.</summary>
    Join,

    /// <summary>One value to another with a scale of its own: average pooling, LeakyRelu, Sigmoid.</summary>
    Unary,

    /// <summary>Picks or moves elements: its result has its input's scale. MaxPool, Reshape, Transpose.</summary>
    Move,
}

/// <summary>A value that is held in 8 bits.</summary>
/// <param name="Name">Its name.</param>
/// <param name="IsMadeInIntegers">Whether an integer node makes it; else it is quantized for those that read it in
/// integers, and other readers keep the float.</param>
internal sealed record PlannedValue(string Name, bool IsMadeInIntegers);

/// <summary>
/// Decides which nodes compute in integers: those that ONNX Runtime has integer kernels for, where the values come in
/// integers or the work pays for it. A Relu or Clip behind a node is part of it: its Q range begins at zero.
/// </summary>
internal sealed class QuantizationPlan
{
    /// <summary>Operators with weights, which are the work of a network.</summary>
    private static readonly HashSet<string> LayerTypes =
    [
        "Conv",
        "Gemm",
        "MatMul",
        "ConvTranspose",
        "LSTM",
        "GRU",
        "RNN",
    ];

    /// <summary>The prepared model, which is only read.</summary>
    private readonly OnnxGraph model;

    /// <summary>Who makes and who reads each value.</summary>
    private readonly GraphIndex index;

    /// <summary>Nodes in integers, by name.</summary>
    private readonly Dictionary<string, Role> roles = new(StringComparer.Ordinal);

    /// <summary>What stays in float, with the reason.</summary>
    private readonly List<LeftInFloat> left = [];

    /// <summary>Values in integers, by name.</summary>
    private readonly Dictionary<string, PlannedValue> values = new(StringComparer.Ordinal);

    /// <summary>An empty plan of a model.</summary>
    /// <param name="model">Prepared: norms folded, weights constant, opset 13 or later.</param>
    private QuantizationPlan(OnnxGraph model)
    {
        this.model = model;
        index = model.Index();
    }

    /// <summary>Nodes in integers, by name.</summary>
    public IReadOnlyDictionary<string, Role> Roles => roles;

    /// <summary>Layers in integers, in the graph's order.</summary>
    public IEnumerable<OnnxNode> Layers =>
        model.Nodes.Where(node => roles.TryGetValue(node.Name, out var role) && role == Role.Layer);

    /// <summary>Layers that stay, with the reason.</summary>
    public IReadOnlyList<LeftInFloat> Left => left;

    /// <summary>Values in 8 bits, by name.</summary>
    public IReadOnlyDictionary<string, PlannedValue> Values => values;

    /// <summary>Plans a model.</summary>
    /// <param name="model">The float model.</param>
    /// <param name="keep">Nodes that stay in float32, with the reason.</param>
    /// <returns>The plan; where no layer can be quantized its <see cref="Values"/> are empty.</returns>
    public static QuantizationPlan Of(OnnxGraph model, IReadOnlyDictionary<string, string> keep)
    {
        var plan = new QuantizationPlan(model);
        plan.AssignRoles(keep);
        plan.TellOfInnerLayers();
        plan.DropUselessRoles();
        plan.CollectValues();
        return plan;
    }

    /// <summary>Why a layer has no integer form; null where it has one.</summary>
    /// <param name="model">The float model.</param>
    /// <param name="node">Any node of it.</param>
    public static string? Refusal(OnnxGraph model, OnnxNode node)
    {
        switch (node.StandardType)
        {
            case "Conv" or "Gemm" or "MatMul":
                if (node.Inputs.Count < 2)
                    return "it has no weight";
                if (model.Tensor(node.Inputs[0]) is not null)
                    return "its input is a tensor of the file: there is nothing to calibrate";
                if (model.Tensor(node.Inputs[1]) is not { } weight)
                    return "its weight is computed from inputs, is an input itself, or is stored sparsely";
                if (weight.Type != ElementType.Float32)
                    return $"its weight is {weight.Type}, not float32";
                if (node.StandardType == "Conv" ? weight.Dims.Length < 3 : weight.Dims.Length != 2)
                    return $"its weight has {weight.Dims.Length} axes";
                if (weight.Count == 0)
                    return "its weight is empty";
                if (node.StandardType == "Gemm" && node.Int("transA", 0) != 0)
                    return "it transposes its input";
                return BiasRefusal(model, node, weight);
            case "LSTM" or "GRU" or "RNN":
                return "recurrent: errors would add up over the steps, and ONNX Runtime has no integer kernel with fixed scales";
            default:
                return "ONNX Runtime has no integer kernel for it";
        }
    }

    /// <summary>Why a layer's bias has no integer form; null where it has one, or there is no bias.</summary>
    /// <param name="model">The model.</param>
    /// <param name="node">A layer.</param>
    /// <param name="weight">Its weight.</param>
    /// <returns>Null where the bias can be an integer, or there is none.</returns>
    private static string? BiasRefusal(OnnxGraph model, OnnxNode node, Initializer weight)
    {
        if (node.Inputs.Count < 3 || node.Inputs[2].Length == 0)
            return null;
        if (model.Tensor(node.Inputs[2]) is not { } bias)
            return "its bias is computed, or is an input";
        if (bias.Type != ElementType.Float32)
            return $"its bias is {bias.Type}, not float32";
        var channels = weight.Dims[node.StandardType == "Conv" || node.Int("transB", 0) != 0 ? 0 : 1];
        return bias.Dims is [var size] && size == channels
            ? null
            : "its bias does not have one number per output channel";
    }

    /// <summary>The value that a node gives once a Relu or Clip behind it is done: what its integers hold.</summary>
    /// <param name="node">A node that the plan gives a role.</param>
    public string ResultOf(OnnxNode node) => Absorbed(node)?.Outputs[0] ?? node.Outputs[0];

    /// <summary>The Relu, or Clip from zero, that alone reads what a node gives; null where there is none.</summary>
    /// <param name="node">A layer, a join or what else has a role.</param>
    /// <returns>The activation, or null.</returns>
    private OnnxNode? Absorbed(OnnxNode node)
    {
        var value = node.Outputs[0];
        if (index.IsOutput(value) || index.Readers(value).ToArray() is not [var next])
            return null;
        return next.StandardType == "Relu" || IsClipFromZero(next) ? next : null;
    }

    /// <summary>Whether a node is a Clip whose lower end is 0: ReLU6, say.</summary>
    /// <param name="node">Any node.</param>
    private bool IsClipFromZero(OnnxNode node) =>
        node.StandardType == "Clip"
        && node.Inputs.Count > 1
        && model.Tensor(node.Inputs[1]) is { Type: ElementType.Float32 } low
        && low.Floats() is [0f];

    /// <summary>
    /// Goes through the graph once, in order: layers pay for quantizing their input, other nodes compute in integers
    /// only where what they read is in integers anyway.
    /// </summary>
    /// <param name="keep">Names of nodes that stay in float, with the reason.</param>
    private void AssignRoles(IReadOnlyDictionary<string, string> keep)
    {
        var inIntegers = new HashSet<string>(StringComparer.Ordinal);
        foreach (var node in model.Nodes)
        {
            if (LayerTypes.Contains(node.StandardType))
            {
                if (keep.GetValueOrDefault(node.Name) is { } asked)
                    left.Add(new LeftInFloat(node.Name, node.OpType, asked));
                else if ((Refusal(model, node) ?? UnfoldedNorm(node)) is { } reason)
                    left.Add(new LeftInFloat(node.Name, node.OpType, reason));
                else
                    roles.Add(node.Name, Role.Layer);
            }
            else if (
                !keep.ContainsKey(node.Name)
                && RoleOf(node) is { } role
                && Activations(node, role).All(inIntegers.Contains)
            )
            {
                roles.Add(node.Name, role);
            }

            if (roles.ContainsKey(node.Name))
                inIntegers.Add(ResultOf(node));
        }
    }

    /// <summary>Layers in the bodies of If, Loop, Scan and in functions are not looked into: that is said too.</summary>
    private void TellOfInnerLayers()
    {
        foreach (var node in model.Nodes)
            Tell(
                node.Name,
                node.Attributes.Values.OfType<AttributeProto>()
                    .SelectMany(Subgraphs.Of)
                    .SelectMany(graph => graph.Node),
                $"it stands in a subgraph of {node.OpType}, which stays as it is"
            );
        foreach (var function in model.Rest?.Functions ?? [])
            Tell(function.Name, function.Node, "it stands in a function of the file, which stays as it is");

        void Tell(string place, IEnumerable<NodeProto> nodes, string reason) =>
            left.AddRange(
                Subgraphs
                    .Nodes(nodes)
                    .Where(inner => inner.Domain is "" or "ai.onnx" && LayerTypes.Contains(inner.OpType))
                    .Select(inner => new LeftInFloat($"{place}/{Name(inner)}", inner.OpType, reason))
            );

        static string Name(NodeProto node) => node.Name.Length > 0 ? node.Name : node.Output.FirstOrDefault() ?? "";
    }

    /// <summary>
    /// The role of a node that has no weights; null where ONNX Runtime has no integer kernel for it.
    /// </summary>
    /// <param name="node">Any node.</param>
    /// <returns>Null where it stays in float.</returns>
    private static Role? RoleOf(OnnxNode node) =>
        node.StandardType switch
        {
            "Add" or "Mul" or "Concat" => Role.Join,
            "AveragePool" or "GlobalAveragePool" or "LeakyRelu" or "Sigmoid" => Role.Unary,
            "MaxPool" when node.Outputs.Count == 1 => Role.Move,
            "Reshape" or "Transpose" or "Squeeze" or "Unsqueeze" or "Flatten" or "Slice" => Role.Move,
            "Resize" when node.Text("mode", "nearest") == "nearest" => Role.Move,
            _ => null,
        };

    /// <summary>The inputs of a node that are held in 8 bits; shapes, axes and sizes are not.</summary>
    /// <param name="node">A node.</param>
    /// <param name="role">Its role.</param>
    public static IEnumerable<string> Activations(OnnxNode node, Role role) =>
        role == Role.Join ? node.Inputs : node.Inputs.Take(1);

    /// <summary>The value that a layer reads, and the axis of its channels there; -1 is the last.</summary>
    /// <param name="layer">A node with the role of a layer.</param>
    public static (string Value, int Axis) Channels(OnnxNode layer) =>
        (layer.Inputs[0], layer.StandardType == "Conv" ? 1 : -1);

    /// <summary>
    /// A BatchNormalization that could not be folded: values would go to float32 and back between it and its layer.
    /// </summary>
    /// <param name="layer">A layer.</param>
    /// <returns>The reason as the report has it; null where no norm follows.</returns>
    private string? UnfoldedNorm(OnnxNode layer) =>
        index.Readers(layer.Outputs[0]).FirstOrDefault(node => node.StandardType == "BatchNormalization") is { } norm
            ? $"BatchNormalization '{norm.Name}' behind it cannot be folded into it: its statistics or the "
                + "layer's weights are not of the file, or someone else reads between them"
            : null;

    /// <summary>Whether some node that computes in integers takes this value as one of its activations.</summary>
    /// <param name="value">A value of the graph.</param>
    private bool IsReadInIntegers(string value) =>
        index
            .Readers(value)
            .Any(node => roles.TryGetValue(node.Name, out var role) && Activations(node, role).Contains(value));

    /// <summary>A move whose result is read in float only would add a pair of conversions for nothing.</summary>
    private void DropUselessRoles()
    {
        foreach (
            var node in model
                .Nodes.AsEnumerable()
                .Reverse()
                .Where(node =>
                    roles.TryGetValue(node.Name, out var role)
                    && role == Role.Move
                    && !IsReadInIntegers(node.Outputs[0])
                )
        )
            roles.Remove(node.Name);
    }

    /// <summary>Names the values in 8 bits: what integer nodes read, and what they give.</summary>
    private void CollectValues()
    {
        foreach (var node in model.Nodes.Where(node => roles.ContainsKey(node.Name)))
        {
            foreach (var input in Activations(node, roles[node.Name]))
                values.TryAdd(input, new PlannedValue(input, false));
            var result = ResultOf(node);
            // Gemm and MatMul give float32 as readily as integers; a convolution needs its result quantized to be
            // computed in integers.
            if (node.StandardType is "Gemm" or "MatMul" && !IsReadInIntegers(result))
                continue;
            values[result] = new PlannedValue(result, true);
        }
    }

    /// <summary>Values that share one scale: what moves elements, and concatenations of values of one sign.</summary>
    /// <param name="ranges">Ranges of the values, by name.</param>
    /// <returns>The same names; values that share a scale have the union of their ranges.</returns>
    public IReadOnlyDictionary<string, (double Low, double High)> Shared(
        IReadOnlyDictionary<string, (double Low, double High)> ranges
    )
    {
        var group = values.Keys.ToDictionary(name => name, name => name, StringComparer.Ordinal);
        string Root(string name) => group[name] == name ? name : group[name] = Root(group[name]);
        foreach (var node in model.Nodes.Where(node => roles.ContainsKey(node.Name)))
        {
            var role = roles[node.Name];
            var members = Activations(node, role).Append(ResultOf(node)).ToArray();
            // Values of a ReLU keep a range that begins at zero: the ReLU is then part of the conversion.
            if (
                role == Role.Move
                || (
                    node.StandardType == "Concat"
                    && (members.All(name => ranges[name].Low >= 0) || members.All(name => ranges[name].Low < 0))
                )
            )
            {
                foreach (var member in members)
                    group[Root(member)] = Root(members[0]);
            }
        }

        return values
            .Keys.GroupBy(Root, StringComparer.Ordinal)
            .SelectMany(same =>
                same.Select(name =>
                    (name, range: (same.Min(member => ranges[member].Low), same.Max(member => ranges[member].High)))
                )
            )
            .ToDictionary(pair => pair.name, pair => pair.range, StringComparer.Ordinal);
    }
}
