// Recurrent layers. Gate orders and layouts:
//            TorchSharp                     ONNX
//   LSTM     i f g o                        i o f c          W [dirs, 4H, in], R [dirs, 4H, H], B [dirs, 8H]
//   GRU      r z n                          z r h            linear_before_reset = 1: n = tanh(W x + b + r (R h + b'))
//   RNN      one gate, tanh or ReLU         the same
// ONNX's sequence is [T, N, in] and its output [T, dirs, N, H], which becomes [T, N, dirs H]. Layers follow each
// other; dropout between them does nothing in eval mode. Cells are written out with elementary operators.
using TorchBridge.Export.Capture;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Lowers LSTM, GRU and RNN, layer by layer, and their cells.</summary>
internal static class Recurrent
{
    /// <summary>
    /// torch stacks the gates as i, f, g, o, ONNX as i, o, f, c: for each gate of ONNX, its index in torch.
    /// </summary>
    private static readonly int[] LstmOrder = [0, 3, 1, 2];

    /// <summary>torch stacks the gates as r, z, n, ONNX as z, r, h: for each gate of ONNX, its index in
    /// torch.</summary>
    private static readonly int[] GruOrder = [1, 0, 2];

    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        const string options = "layers, bidirectional, batch_first, bias, initial states";
        table.Module<LSTM>("LSTM, Transpose, Reshape", c => Layers(c, "LSTM", LstmOrder, null), options);
        table.Module<GRU>("GRU, Transpose, Reshape", c => Layers(c, "GRU", GruOrder, null), options);
        table.Module<RNN>(
            "RNN, Transpose, Reshape",
            c => Layers(c, "RNN", [0], RnnNonlinearity(c)),
            options + ", nonlinearity (probed)"
        );
        table.Module<LSTMCell>("Gemm, Add, Split, Sigmoid, Tanh, Mul", LstmCellRule, "bias, initial states");
        table.Module<GRUCell>("Gemm, Split, Sigmoid, Tanh, Mul", GruCellRule, "bias, initial state");
        table.Module<RNNCell>("Gemm, Add, Tanh; Relu", RnnCellRule, "bias, initial state, nonlinearity (probed)");
    }

    /// <summary>The structure of a recurrent module.</summary>
    private sealed record Shape(long Hidden, long Layers, bool Bidirectional, bool BatchFirst);

    /// <summary>
    /// All layers of a module in sequence; the results are the output sequence and the last states.
    /// </summary>
    private static void Layers(LoweringContext c, string onnx, int[] order, string? activation)
    {
        var module = c.Module!;
        var shape = new Shape(
            ModuleFields.Long(module, 0, "_hidden_size"),
            ModuleFields.Long(module, 1, "_num_layers"),
            ModuleFields.Bool(module, false, "_bidirectional"),
            ModuleFields.Bool(module, false, "_batch_first")
        );
        var weights = module
            .named_parameters()
            .ToDictionary(pair => pair.name, pair => (Tensor)pair.parameter, StringComparer.Ordinal);
        var value = c.Tensor();
        if (value.Rank != 3)
            throw c.Refuse("the input has no batch axis; add one with unsqueeze(0)");
        if (shape.BatchFirst)
            value = Layout.Permute(c, value, 1, 0, 2);
        var (hidden, cell) = (InitialState(c, 1), onnx == "LSTM" ? InitialState(c, 2) : null);
        var directions = shape.Bidirectional ? 2 : 1;
        List<GraphValue> lastHidden = [],
            lastCell = [];
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            GraphValue? Part(GraphValue? state) =>
                state is { } s
                    ? c.Like(
                        "Slice",
                        [s, c.Constant(layer * directions), c.Constant((layer + 1) * directions), c.Constant(0)]
                    )
                    : null;
            var (output, h, cc) = Layer(
                c,
                onnx,
                order,
                activation,
                shape,
                weights,
                layer,
                value,
                Part(hidden),
                Part(cell)
            );
            value = output;
            lastHidden.Add(h);
            if (cc is { } lastOfCell)
                lastCell.Add(lastOfCell);
        }

        c.Result(shape.BatchFirst ? Layout.Permute(c, value, 1, 0, 2) : value);
        c.Result(Joined(c, lastHidden), 1);
        if (lastCell.Count > 0)
            c.Result(Joined(c, lastCell), 2);
    }

    /// <summary>The states of all layers along axis 0.</summary>
    private static GraphValue Joined(LoweringContext c, List<GraphValue> states) =>
        states.Count == 1 ? states[0] : c.Like("Concat", [.. states], ("axis", 0L));

    /// <summary>An initial state passed to forward; null if it starts at zero.</summary>
    private static GraphValue? InitialState(LoweringContext c, int position) =>
        c.Tensors().Length > position ? c.Tensor(position) : null;

    /// <summary>One layer in one or both directions, as the ONNX operator.</summary>
    private static (GraphValue Output, GraphValue Hidden, GraphValue? Cell) Layer(
        LoweringContext c,
        string onnx,
        int[] order,
        string? activation,
        Shape shape,
        Dictionary<string, Tensor> weights,
        int layer,
        GraphValue x,
        GraphValue? h0,
        GraphValue? c0
    )
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        string[] suffixes = shape.Bidirectional ? [$"l{layer}", $"l{layer}_reverse"] : [$"l{layer}"];
        Tensor Directions(string name) => stack(suffixes.Select(suffix => Reorder(weights[$"{name}_{suffix}"], order)));
        var hasBias = weights.ContainsKey($"bias_ih_{suffixes[0]}");
        var inputWeights = c.Computed(Directions("weight_ih"), $"W{layer}");
        var stateWeights = c.Computed(Directions("weight_hh"), $"R{layer}");
        var biases = hasBias
            ? c.Computed(cat([Directions("bias_ih"), Directions("bias_hh")], 1), $"B{layer}")
            : GraphValue.None;
        var attributes = new List<(string, object)>
        {
            ("hidden_size", shape.Hidden),
            ("direction", shape.Bidirectional ? "bidirectional" : "forward"),
        };
        if (onnx == "GRU")
            attributes.Add(("linear_before_reset", 1L));
        if (activation is not null)
            attributes.Add(("activations", suffixes.Select(_ => activation).ToArray()));
        List<GraphValue> inputs = [x, inputWeights, stateWeights, biases, GraphValue.None, h0 ?? GraphValue.None];
        if (c0 is { } initialCell)
            inputs.Add(initialCell);
        (ScalarType, int)[] outputs =
            onnx == "LSTM" ? [(x.Type, 4), (x.Type, 3), (x.Type, 3)] : [(x.Type, 4), (x.Type, 3)];
        var made = c.Nodes(onnx, outputs, [.. inputs], [.. attributes]);
        var sequence = shape.Bidirectional
            ? c.Node(
                "Reshape",
                x.Type,
                3,
                [Layout.Permute(c, made[0], 0, 2, 1, 3), c.Constants([0, 0, 2 * shape.Hidden])]
            )
            : c.Node("Squeeze", x.Type, 3, [made[0], c.Constant(1)]);
        return (sequence, made[1], onnx == "LSTM" ? made[2] : null);
    }

    /// <summary>The gates of a weight in ONNX's order.</summary>
    private static Tensor Reorder(Tensor gates, int[] order) =>
        cat(order.Select(gate => gates.chunk(order.Length)[gate]).ToArray());

    /// <summary>
    /// Tanh or Relu, which TorchSharp keeps in native code; found by trying both.
    /// </summary>
    private static string RnnNonlinearity(LoweringContext c)
    {
        var module = (RNN)c.Module!;
        if (c.Options?.Activation is { } said)
            return said.Equals("relu", StringComparison.OrdinalIgnoreCase) ? "Relu" : "Tanh";
        var (hidden, layers, bidirectional, batchFirst) = (
            ModuleFields.Long(module, 0, "_hidden_size"),
            ModuleFields.Long(module, 1, "_num_layers"),
            ModuleFields.Bool(module, false, "_bidirectional"),
            ModuleFields.Bool(module, false, "_batch_first")
        );
        var weights = module
            .named_parameters()
            .ToDictionary(pair => pair.name, pair => pair.parameter.shape, StringComparer.Ordinal);
        var inputs = weights["weight_ih_l0"][1];
        var example = ExampleInputs(3, inputs);
        return
            ModuleProbe.Find(
                c,
                "nonlinearity",
                (nn.NonLinearities[])[nn.NonLinearities.Tanh, nn.NonLinearities.ReLU],
                kind =>
                    nn.RNN(
                        inputs,
                        hidden,
                        layers,
                        kind,
                        weights.ContainsKey("bias_ih_l0"),
                        batchFirst,
                        0,
                        bidirectional
                    ),
                twin => ((RNN)twin).forward(example, null).Item1
            ) == nn.NonLinearities.Tanh
            ? "Tanh"
            : "Relu";
    }

    /// <summary>Reproducible numbers from -2 to 2, [steps, 2, features].</summary>
    private static Tensor ExampleInputs(long steps, long features)
    {
        var random = new Random(17);
        return tensor(
                Enumerable
                    .Range(0, (int)(steps * 2 * features))
                    .Select(_ => (float)((random.NextDouble() * 4) - 2))
                    .ToArray()
            )
            .reshape(steps, 2, features);
    }

    // ---- cells ---------------------------------------------------------------------------------------------------------------

    /// <summary>x W^T + b for the input and for the state; without a state, the second is just b.</summary>
    private static (GraphValue FromInput, GraphValue? FromState) Gates(
        LoweringContext c,
        Dictionary<string, Tensor> weights,
        GraphValue? state
    )
    {
        GraphValue Gemm(GraphValue value, string part) =>
            c.Like(
                "Gemm",
                weights.ContainsKey($"bias_{part}")
                    ?
                    [
                        value,
                        c.Parameter(weights[$"weight_{part}"], $"weight_{part}"),
                        c.Parameter(weights[$"bias_{part}"], $"bias_{part}"),
                    ]
                    : [value, c.Parameter(weights[$"weight_{part}"], $"weight_{part}")],
                ("transB", 1L)
            );
        if (c.Tensor().Rank != 2)
            throw c.Refuse("the input has no batch axis; add one with unsqueeze(0)");
        var fromInput = Gemm(c.Tensor(), "ih");
        if (state is { } h)
            return (fromInput, Gemm(h, "hh"));
        return (fromInput, weights.TryGetValue("bias_hh", out var bias) ? c.Parameter(bias, "bias_hh") : null);
    }

    /// <summary>The module's parameters by name.</summary>
    private static Dictionary<string, Tensor> Weights(LoweringContext c) =>
        c.Module!.named_parameters()
            .ToDictionary(pair => pair.name, pair => (Tensor)pair.parameter, StringComparer.Ordinal);

    /// <summary>Splits an axis into equal parts.</summary>
    private static GraphValue[] Split(LoweringContext c, GraphValue gates, int count, long size, long axis) =>
        c.Nodes(
            "Split",
            [.. Enumerable.Repeat((gates.Type, gates.Rank), count)],
            [gates, c.Constants([.. Enumerable.Repeat(size, count)])],
            ("axis", axis)
        );

    /// <summary>c' = sigmoid(f) c + sigmoid(i) tanh(g); h' = sigmoid(o) tanh(c').</summary>
    private static void LstmCellRule(LoweringContext c)
    {
        var (input, state) = Gates(c, Weights(c), InitialState(c, 1));
        var gates = state is { } s ? c.Like("Add", [input, s]) : input;
        var hidden = c.FixedResultSize(0, 1)!.Value;
        var parts = Split(c, gates, 4, hidden, 1);
        var fresh = c.Like("Mul", [c.Like("Sigmoid", [parts[0]]), c.Like("Tanh", [parts[2]])]);
        var cell = InitialState(c, 2) is { } old
            ? c.Like("Add", [c.Like("Mul", [c.Like("Sigmoid", [parts[1]]), old]), fresh])
            : fresh;
        c.Result(c.Like("Mul", [c.Like("Sigmoid", [parts[3]]), c.Like("Tanh", [cell])]));
        c.Result(cell, 1);
    }

    /// <summary>n = tanh(in + r hn); h' = (1 - z) n + z h.</summary>
    private static void GruCellRule(LoweringContext c)
    {
        var initial = InitialState(c, 1);
        var (input, state) = Gates(c, Weights(c), initial);
        var hidden = c.FixedResultSize(0, 1)!.Value;
        var fromInput = Split(c, input, 3, hidden, 1);
        var fromState = state is { } s ? Split(c, s, 3, hidden, s.Rank - 1) : null;
        GraphValue Sum(int gate) =>
            fromState is null ? fromInput[gate] : c.Like("Add", [fromInput[gate], fromState[gate]]);
        var reset = c.Like("Sigmoid", [Sum(0)]);
        var update = c.Like("Sigmoid", [Sum(1)]);
        var candidate = c.Like(
            "Tanh",
            [fromState is null ? fromInput[2] : c.Like("Add", [fromInput[2], c.Like("Mul", [reset, fromState[2]])])]
        );
        // h' = (1 - z) n + z h = n + z (h - n)
        var difference = initial is { } old ? c.Like("Sub", [old, candidate]) : c.Like("Neg", [candidate]);
        c.Result(c.Like("Add", [candidate, c.Like("Mul", [update, difference])]));
    }

    /// <summary>h' = tanh or relu of (W x + b + R h + b').</summary>
    private static void RnnCellRule(LoweringContext c)
    {
        var (input, state) = Gates(c, Weights(c), InitialState(c, 1));
        var weights = Weights(c);
        var features = weights["weight_ih"].shape[1];
        var hidden = weights["weight_ih"].shape[0];
        var example = ExampleInputs(1, features)[0];
        var kind = c.Options?.Activation is { } said
            ? (
                said.Equals("relu", StringComparison.OrdinalIgnoreCase)
                    ? nn.NonLinearities.ReLU
                    : nn.NonLinearities.Tanh
            )
            : ModuleProbe.Find(
                c,
                "nonlinearity",
                (nn.NonLinearities[])[nn.NonLinearities.Tanh, nn.NonLinearities.ReLU],
                kind => nn.RNNCell(features, hidden, kind, weights.ContainsKey("bias_ih")),
                twin => ((RNNCell)twin).forward(example)
            );
        c.Result(
            c.Like(
                kind == nn.NonLinearities.ReLU ? "Relu" : "Tanh",
                [state is { } s ? c.Like("Add", [input, s]) : input]
            )
        );
    }
}
