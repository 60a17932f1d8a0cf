using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Quantization.Plan;

/// <summary>The role of a node that computes in integers.</summary>
internal enum Role
{
    /// <summary>Has weights: Conv, Gemm, MatMul. Worth quantizing its input for.</summary>
    Layer,

    /// <summary>Combines values that are already in integers: Add, Mul, Concat.</summary>
    Join,

    /// <summary>Maps one value to another that has its own scale: average pooling, LeakyRelu, Sigmoid.</summary>
    Unary,

    /// <summary>Selects or moves elements, so its result has the scale of its input: MaxPool, Reshape,
    /// Transpose.</summary>
    Move,
}

/// <summary>A value that is held in 8 bits.</summary>
/// <param name="Name">Name of the value.</param>
/// <param name="IsMadeInIntegers">Whether an integer node produces it. Otherwise it is quantized for its integer
/// readers, while other readers keep the float value.</param>
internal sealed record PlannedValue(string Name, bool IsMadeInIntegers);

/// <summary>
/// Decides which nodes compute in integers: those that ONNX Runtime has integer kernels for, if their inputs are
/// already in integers or the work justifies the conversion. A Relu or Clip after a node becomes part of it: the
/// quantized range then begins at zero.
/// </summary>
internal sealed class QuantizationPlan
{
    /// <summary>Operators with weights, which do most of a network's work.</summary>
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

    /// <summary>The prepared model, which is not modified.</summary>
    private readonly OnnxGraph model;

    /// <summary>Producer and readers of each value.</summary>
    private readonly GraphIndex index;

    /// <summary>Roles of the nodes that compute in integers, by name of the node.</summary>
    private readonly Dictionary<string, Role> roles = new(StringComparer.Ordinal);

    /// <summary>Nodes that stay in float32, with the reason.</summary>
    private readonly List<LeftInFloat> left = [];

    /// <summary>Values held in 8 bits, by name.</summary>
    private readonly Dictionary<string, PlannedValue> values = new(StringComparer.Ordinal);

    /// <summary>Creates an empty plan for a model.</summary>
    /// <param name="model">The prepared model: norms folded, weights constant, opset 13 or later.</param>
    private QuantizationPlan(OnnxGraph model)
    {
        this.model = model;
        index = model.Index();
    }

    /// <summary>Roles of the nodes that compute in integers, by name of the node.</summary>
    public IReadOnlyDictionary<string, Role> Roles => roles;

    /// <summary>Layers that compute in integers, in graph order.</summary>
    public IEnumerable<OnnxNode> Layers =>
        model.Nodes.Where(node => roles.TryGetValue(node.Name, out var role) && role == Role.Layer);

    /// <summary>Layers that stay in float32, with the reason.</summary>
    public IReadOnlyList<LeftInFloat> Left => left;

    /// <summary>Values held in 8 bits, by name.</summary>
    public IReadOnlyDictionary<string, PlannedValue> Values => values;

    /// <summary>Creates the plan for a model.</summary>
    /// <param name="model">The float model.</param>
    /// <param name="keep">Nodes that stay in float32, with the reason.</param>
    /// <returns>The plan; <see cref="Values"/> is empty if no layer can be quantized.</returns>
    public static QuantizationPlan Of(OnnxGraph model, IReadOnlyDictionary<string, string> keep)
    {
        var plan = new QuantizationPlan(model);
        plan.AssignRoles(keep);
        plan.TellOfInnerLayers();
        plan.DropUselessRoles();
        plan.CollectValues();
        return plan;
    }

    /// <summary>Why a layer cannot be quantized; null if it can.</summary>
    /// <param name="model">The float model.</param>
    /// <param name="node">Any node of the model.</param>
    public static string? Refusal(OnnxGraph model, OnnxNode node)
    {
        switch (node.StandardType)
        {
            case "Conv" or "Gemm" or "MatMul":
                if (node.Inputs.Count < 2)
                    return "it has no weight";
                if (model.Tensor(node.Inputs[0]) is not null)
                    return "its input is a constant of the model, so there is nothing to calibrate";
                if (model.Tensor(node.Inputs[1]) is not { } weight)
                    return "its weight is computed from inputs, is an input itself, or is a sparse tensor";
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
                return "it is recurrent: errors would accumulate over the steps, and ONNX Runtime has no integer "
                    + "kernel with fixed scales";
            default:
                return "ONNX Runtime has no integer kernel for it";
        }
    }

    /// <summary>Why a layer's bias cannot be quantized; null if it can, or if there is no bias.</summary>
    /// <param name="model">The model.</param>
    /// <param name="node">A layer.</param>
    /// <param name="weight">Its weight.</param>
    /// <returns>Null if the bias can be quantized or there is none.</returns>
    private static string? BiasRefusal(OnnxGraph model, OnnxNode node, Initializer weight)
    {
        if (node.Inputs.Count < 3 || node.Inputs[2].Length == 0)
            return null;
        if (model.Tensor(node.Inputs[2]) is not { } bias)
            return "its bias is computed or is an input";
        if (bias.Type != ElementType.Float32)
            return $"its bias is {bias.Type}, not float32";
        var channels = weight.Dims[node.StandardType == "Conv" || node.Int("transB", 0) != 0 ? 0 : 1];
        return bias.Dims is [var size] && size == channels
            ? null
            : "its bias does not have one value per output channel";
    }

    /// <summary>The result of a node, including a Relu or Clip after it that becomes part of it: the value that its
    /// integers represent.</summary>
    /// <param name="node">A node with a role in the plan.</param>
    public string ResultOf(OnnxNode node) => Absorbed(node)?.Outputs[0] ?? node.Outputs[0];

    /// <summary>The Relu, or Clip from zero, that is the only reader of a node's result; null if there is
    /// none.</summary>
    /// <param name="node">A node with a role.</param>
    /// <returns>The activation, or null.</returns>
    private OnnxNode? Absorbed(OnnxNode node)
    {
        var value = node.Outputs[0];
        if (index.IsOutput(value) || index.Readers(value).ToArray() is not [var next])
            return null;
        return next.StandardType == "Relu" || IsClipFromZero(next) ? next : null;
    }

    /// <summary>Whether a node is a Clip whose lower bound is 0, such as ReLU6.</summary>
    /// <param name="node">Any node.</param>
    private bool IsClipFromZero(OnnxNode node) =>
        node.StandardType == "Clip"
        && node.Inputs.Count > 1
        && model.Tensor(node.Inputs[1]) is { Type: ElementType.Float32 } low
        && low.Floats() is [0f];

    /// <summary>
    /// Goes through the graph once, in order: layers are worth quantizing their input for; other nodes compute in
    /// integers only if their inputs are already in integers.
    /// </summary>
    /// <param name="keep">Names of the nodes that stay in float32, with the reason.</param>
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

    /// <summary>Reports layers in the bodies of If, Loop and Scan and in functions, which are not
    /// quantized.</summary>
    private void TellOfInnerLayers()
    {
        foreach (var node in model.Nodes)
            Tell(
                node.Name,
                node.Attributes.Values.OfType<AttributeProto>()
                    .SelectMany(Subgraphs.Of)
                    .SelectMany(graph => graph.Node),
                $"it is in a subgraph of {node.OpType}, and subgraphs are not quantized"
            );
        foreach (var function in model.Rest?.Functions ?? [])
            Tell(function.Name, function.Node, "it is in a model-local function, and functions are not quantized");

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
    /// The role of a node without weights; null if ONNX Runtime has no integer kernel for it.
    /// </summary>
    /// <param name="node">Any node.</param>
    /// <returns>Null if it stays in float32.</returns>
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
    /// <param name="role">Role of the node.</param>
    public static IEnumerable<string> Activations(OnnxNode node, Role role) =>
        role == Role.Join ? node.Inputs : node.Inputs.Take(1);

    /// <summary>The value that a layer reads and its channel axis; -1 is the last axis.</summary>
    /// <param name="layer">A node with the role of a layer.</param>
    public static (string Value, int Axis) Channels(OnnxNode layer) =>
        (layer.Inputs[0], layer.StandardType == "Conv" ? 1 : -1);

    /// <summary>
    /// Looks for a BatchNormalization that could not be folded: values would be converted to float32 and back between
    /// it and its layer.
    /// </summary>
    /// <param name="layer">A layer.</param>
    /// <returns>The reason for the report; null if no norm follows.</returns>
    private string? UnfoldedNorm(OnnxNode layer) =>
        index.Readers(layer.Outputs[0]).FirstOrDefault(node => node.StandardType == "BatchNormalization") is { } norm
            ? $"BatchNormalization '{norm.Name}' after it cannot be folded into it: its statistics or the "
                + $"layer's weights are not constants, or another node reads the value between them"
            : null;

    /// <summary>Whether a node that computes in integers reads this value as an activation.</summary>
    /// <param name="value">A value of the graph.</param>
    private bool IsReadInIntegers(string value) =>
        index
            .Readers(value)
            .Any(node => roles.TryGetValue(node.Name, out var role) && Activations(node, role).Contains(value));

    /// <summary>Drops moves whose result is only read in float32: they would add two conversions without a
    /// benefit.</summary>
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

    /// <summary>Collects the values held in 8 bits: the inputs and results of integer nodes.</summary>
    private void CollectValues()
    {
        foreach (var node in model.Nodes.Where(node => roles.ContainsKey(node.Name)))
        {
            foreach (var input in Activations(node, roles[node.Name]))
                values.TryAdd(input, new PlannedValue(input, false));
            var result = ResultOf(node);
            // Gemm and MatMul can produce float32 from integer inputs; a convolution computes in integers only if its
            // result is quantized.
            if (node.StandardType is "Gemm" or "MatMul" && !IsReadInIntegers(result))
                continue;
            values[result] = new PlannedValue(result, true);
        }
    }

    /// <summary>Merges the ranges of values that share a scale: inputs and results of moves, and of concatenations of
    /// values of one sign.</summary>
    /// <param name="ranges">Ranges of the values, by name.</param>
    /// <returns>The same names, where values that share a scale have the union of their ranges.</returns>
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
            // Results of a ReLU keep a range that begins at zero: the ReLU is then part of the conversion.
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
