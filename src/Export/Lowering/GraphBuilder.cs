using TorchBridge.Export.Capture;
using TorchBridge.Export.Onnx;
using TorchBridge.Export.Sizes;
using TorchBridge.Onnx.Graph;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering;

/// <summary>Builds the ONNX graph of a traced forward, one operation after another.</summary>
internal sealed class GraphBuilder
{
    /// <summary>The merged traces from which the graph is built.</summary>
    private readonly TracedGraph traced;

    /// <summary>The graph value of each real traced value that has been lowered, by number.</summary>
    private readonly Dictionary<int, GraphValue> values = [];

    /// <summary>Names in use, each with the suffix for the next duplicate.</summary>
    private readonly Dictionary<string, int> names = new(StringComparer.Ordinal);

    /// <summary>Sizes that existing nodes compute, by formula, so that each formula is computed only once.</summary>
    private readonly Dictionary<string, GraphValue> sizes = new(StringComparer.Ordinal);

    /// <summary>
    /// Names of varying sizes in declared shapes, by the size's values in the traces: equal sizes get equal names.
    /// </summary>
    private readonly Dictionary<string, string> dims = new(StringComparer.Ordinal);

    /// <summary>Real and imaginary parts of the complex traced values, for which ONNX has no dtype.</summary>
    private readonly Dictionary<int, GraphValue>[] parts =
    [
        [],
        [],
    ];

    /// <summary>Finds formulas over the inputs' sizes only, for declared shapes; null until needed.</summary>
    private SizeSolver? inputSolver;

    /// <summary>Creates a graph with the traced inputs.</summary>
    /// <param name="traced">The merged traces.</param>
    /// <param name="opset">Opset version to write.</param>
    /// <param name="moduleOptions">The caller's options for native modules, by path.</param>
    public GraphBuilder(TracedGraph traced, int opset, IDictionary<string, ModuleOptions> moduleOptions)
    {
        this.traced = traced;
        ModuleOptions = moduleOptions;
        Graph = new OnnxGraph { Opset = opset };
        foreach (var (input, id) in traced.Inputs.Select((input, id) => (input, id)))
        {
            Reserve(input.Name);
            Define(id, new GraphValue(input.Name, traced.Values[id].Type, traced.Values[id].Shape.Length));
            Graph.Inputs.Add(
                new ValueInfo(
                    input.Name,
                    traced.Values[id].Type.ToOnnx(),
                    [.. input.Symbols.Select((symbol, axis) => symbol ?? (object)input.Example.shape[axis])]
                )
            );
        }
    }

    /// <summary>The graph so far.</summary>
    public OnnxGraph Graph { get; }

    /// <summary>The merged traces from which the graph is built.</summary>
    public TracedGraph Traced => traced;

    /// <summary>The caller's options for native modules, by path.</summary>
    public IDictionary<string, ModuleOptions> ModuleOptions { get; }

    /// <summary>Whether random draws of forward become random operators in the file.</summary>
    public bool DrawsNumbers { get; init; }

    /// <summary>The part of complex values that is read and defined: 0 for real, 1 for imaginary.</summary>
    public int Part { get; set; }

    /// <summary>Whether a traced value is complex.</summary>
    /// <param name="id">Number of a traced value.</param>
    public bool IsComplex(int id) => ComplexPairs.IsComplex(traced.Values[id].Type);

    /// <summary>Lowers every operation and names the outputs.</summary>
    /// <param name="table">The built-in rules.</param>
    /// <param name="custom">The caller's rules for modules, which take precedence.</param>
    /// <param name="customMethods">The caller's rules for methods, which take precedence.</param>
    /// <param name="outputNames">Names of the outputs, or null for those of the trace.</param>
    /// <exception cref="ExportException">An operation has no rule, or its rule refuses it; all refusals are
    /// listed.</exception>
    public OnnxGraph Build(
        OperatorTable table,
        IReadOnlyDictionary<Type, OperatorRow> custom,
        IReadOnlyDictionary<string, OperatorRow> customMethods,
        IReadOnlyList<string>? outputNames
    )
    {
        var refusals = new List<ExportException>();
        foreach (var op in traced.Ops)
        {
            try
            {
                Lower(op, table, custom, customMethods);
            }
            catch (ExportException refusal)
            {
                // One refusal must not hide the next: operations that read the result continue with a placeholder.
                refusals.Add(refusal);
                StandIn(op);
            }
            catch (Exception) when (refusals.Count > 0)
            {
                StandIn(op); // the operation failed because it reads a placeholder
            }
        }

        if (refusals.Count > 0)
            throw Together(refusals);
        NameOutputs(outputNames);
        return Graph;
    }

    /// <summary>Lowers one operation by its rule.</summary>
    /// <param name="op">The operation.</param>
    /// <param name="table">The built-in rules.</param>
    /// <param name="custom">The caller's rules by module type; they take precedence over the table.</param>
    /// <param name="customMethods">The caller's rules by <c>Namespace.Type.Method</c>; they take precedence over the
    /// table.</param>
    /// <exception cref="ExportException">It has no rule, the rule refuses it, or the opset is too old.</exception>
    private void Lower(
        TracedOp op,
        OperatorTable table,
        IReadOnlyDictionary<Type, OperatorRow> custom,
        IReadOnlyDictionary<string, OperatorRow> customMethods
    )
    {
        var row = op.Module is not null
            ? custom.GetValueOrDefault(op.Module.GetType()) ?? table.Find(op.Module)
            : customMethods.GetValueOrDefault($"{op.Method.DeclaringType?.FullName}.{op.Method.Name}")
                ?? table.Find(op.Method);
        if (
            op.Module is null
            && ValueRef.In(op.Arguments).Select(one => one.Id).Concat(op.Results.Where(id => id >= 0)).Any(IsComplex)
        )
        {
            ComplexPairs.Lower(this, op, row);
            return;
        }

        if (row is null)
        {
            throw op.Refuse(
                $"{op.Site.CalleeName} has no lowering to ONNX. {Refusals.ReasonFor(OperationName.Of(op.Method))}"
            );
        }

        if (Graph.Opset < row.Opset)
            throw op.Refuse($"{row.Name} needs opset {row.Opset} or later, but ExportOptions.Opset is {Graph.Opset}");
        var context = new LoweringContext(this, op, row.Name);
        row.Rule(context);
        context.CheckResults();
    }

    /// <summary>
    /// Assigns placeholders to the results of a refused operation, so that further refusals are found too.
    /// </summary>
    /// <param name="op">The refused operation; results that are already defined are kept.</param>
    private void StandIn(TracedOp op)
    {
        foreach (var id in op.Results.Where(id => id != TracedOp.Unused && !values.ContainsKey(id)))
            Define(
                id,
                new GraphValue(
                    Unique("refused"),
                    ComplexPairs.PartOf(traced.Values[id].Type),
                    traced.Values[id].Shape.Length
                )
            );
    }

    /// <summary>Combines all refusals into one exception.</summary>
    /// <param name="refusals">At least one refusal, in the order of forward.</param>
    /// <returns>The first refusal itself if there is no other with another location or reason.</returns>
    private static ExportException Together(List<ExportException> refusals)
    {
        const int shown = 20;
        var different = refusals.DistinctBy(refusal => (refusal.Place, refusal.Reason)).ToArray();
        var first = different[0];
        if (different.Length == 1 || first.Reason is null)
            return first;
        var others = different.Skip(1).Take(shown).Select(refusal => $"{Environment.NewLine}  {refusal.Message}");
        var more =
            different.Length - 1 > shown ? $"{Environment.NewLine}  and {different.Length - 1 - shown} more" : "";
        return new ExportException(
            first.ModulePath,
            first.Place,
            $"{first.Reason}{Environment.NewLine}Also refused:{string.Concat(others)}{more}",
            first.InnerException
        )
        {
            All = different,
        };
    }

    // ---- values --------------------------------------------------------------------------------------------------------------

    /// <summary>
    /// The graph value of a traced value; parameters and constants become initializers at their first use.
    /// </summary>
    /// <param name="id">Number of a traced value that is already defined, a parameter or a constant.</param>
    public GraphValue Value(int id)
    {
        if (IsComplex(id))
            return PartOf(id);
        if (values.TryGetValue(id, out var known))
            return known;
        var value = traced.Values[id];
        var name = Unique(value.Kind == ValueKind.Parameter ? value.Name : $"constant_{id}");
        Graph.Initializers.Add(
            name,
            TensorBytes.ToInitializer(name, value.Tensor!, value.Kind == ValueKind.Parameter ? value.Name : null)
        );
        return Define(id, new GraphValue(name, value.Type, value.Shape.Length));
    }

    /// <summary>The real or imaginary part of a complex value.</summary>
    /// <param name="id">Number of a complex traced value; <see cref="Part"/> selects the part.</param>
    private GraphValue PartOf(int id)
    {
        if (parts[Part].TryGetValue(id, out var known))
            return known;
        var value = traced.Values[id];
        var whole = value.Tensor ?? throw new InvalidOperationException("a complex value that nothing made");
        using var scope = NewDisposeScope();
        var name = Unique(
            $"{(value.Kind == ValueKind.Parameter ? value.Name : $"constant_{id}")}.{(Part == 0 ? "real" : "imag")}"
        );
        using var part = view_as_real(whole.detach().resolve_conj()).select(-1, Part).contiguous();
        Graph.Initializers.Add(name, TensorBytes.ToInitializer(name, part));
        return Define(id, new GraphValue(name, ComplexPairs.PartOf(value.Type), value.Shape.Length));
    }

    /// <summary>Maps a traced value to a graph value.</summary>
    /// <param name="id">Number of the traced value.</param>
    /// <param name="value">The graph value.</param>
    public GraphValue Define(int id, GraphValue value)
    {
        (IsComplex(id) ? parts[Part] : values)[id] = value;
        if (value.Name.Length > 0)
            Graph.Origins.TryAdd(value.Name, id);
        if (!Graph.Infos.ContainsKey(value.Name))
            Graph.Infos[value.Name] = new ValueInfo(
                value.Name,
                ComplexPairs.PartOf(traced.Values[id].Type).ToOnnx(),
                Dims(id)
            );
        return value;
    }

    /// <summary>An initializer for a tensor of a module; a shared parameter has only one.</summary>
    /// <param name="tensor">A tensor of a module.</param>
    /// <param name="path">Its state-dict key, for a tensor that forward does not use directly.</param>
    public GraphValue Parameter(Tensor tensor, string path)
    {
        for (var id = 0; id < traced.Values.Count; id++)
        {
            if (traced.Values[id].Kind == ValueKind.Parameter && ReferenceEquals(traced.Values[id].Tensor, tensor))
                return Value(id);
        }

        if (!Graph.Initializers.ContainsKey(path))
        {
            Reserve(path);
            Graph.Initializers.Add(path, TensorBytes.ToInitializer(path, tensor, path));
        }

        return new GraphValue(path, tensor.dtype, (int)tensor.dim());
    }

    /// <summary>Adds a tensor to the file.</summary>
    /// <param name="tensor">The tensor; its name must not be in use.</param>
    public GraphValue Add(Initializer tensor)
    {
        Graph.Initializers.Add(tensor.Name, tensor);
        return new GraphValue(tensor.Name, tensor.Type.ToTorch(), tensor.Dims.Length);
    }

    /// <summary>
    /// The number of the traced value that a graph value represents, or -1 for an intermediate value of a lowering.
    /// </summary>
    /// <param name="value">A value of the graph.</param>
    public int IdOf(GraphValue value) => Graph.Origins.GetValueOrDefault(value.Name, -1);

    // ---- sizes ---------------------------------------------------------------------------------------------------------------

    /// <summary>A solver over the sizes that are known before an operation.</summary>
    /// <param name="near">The values that the operation reads.</param>
    /// <param name="before">The operation's first result.</param>
    public SizeSolver SolverFor(IEnumerable<int> near, int before) =>
        new(
            [.. near.SelectMany(LeavesOf)],
            [.. Enumerable.Range(0, traced.Inputs.Count).SelectMany(LeavesOf)],
            Enumerable
                .Range(0, before)
                .Reverse()
                .Where(id => values.ContainsKey(id) && traced.Values[id].Kind == ValueKind.Result)
                .SelectMany(LeavesOf),
            traced.CodeConstants
        );

    /// <summary>The sizes of a traced value, each with its numbers in all traces.</summary>
    /// <param name="id">Number of a traced value.</param>
    private IEnumerable<SizeLeaf> LeavesOf(int id) =>
        Enumerable
            .Range(0, traced.Shapes[id][0].Length)
            .Select(axis => new SizeLeaf(
                new SizeExpression.Axis(id, axis),
                [.. traced.Shapes[id].Select(shape => shape[axis])]
            ));

    /// <summary>The symbol of a free axis of an input; -1 for any other axis.</summary>
    /// <param name="axis">A size of a traced value.</param>
    public int SymbolOf(SizeExpression.Axis axis) =>
        axis.Value < traced.Inputs.Count && traced.Inputs[axis.Value].Symbols[axis.Dimension] is { } symbol
            ? traced.Symbols.IndexOf(symbol)
            : -1;

    /// <summary>Adds the nodes that compute a size, as an int64 vector with one element.</summary>
    /// <param name="expression">A formula of sizes; the same formula is computed once.</param>
    public GraphValue Size(SizeExpression expression)
    {
        var key = expression.Text(axis => $"{Value(axis.Value).Name}[{axis.Dimension}]");
        if (sizes.TryGetValue(key, out var known))
            return known;
        return sizes[key] = expression switch
        {
            SizeExpression.Constant constant => Add(TensorBytes.Of(Unique($"size_{constant.Value}"), [constant.Value])),
            SizeExpression.Axis axis => AxisSize(axis),
            SizeExpression.Binary binary => SizeNode(
                OperatorOf(binary.Operator),
                [Size(binary.Left), Size(binary.Right)],
                binary.Operator == SizeOperator.Remainder ? [("fmod", 1L)] : []
            ),
            SizeExpression.SquareRoot root => Whole(Node("Floor", [Node("Sqrt", [AsDouble(Size(root.Operand))])])),
            _ => throw new InvalidOperationException(),
        };
    }

    /// <summary>Adds the nodes that compute a number, as a float64 vector with one element.</summary>
    /// <param name="number">A formula of sizes.</param>
    public GraphValue Number(NumberExpression number)
    {
        var value = AsDouble(Size(number.Numerator));
        if (number.Denominator is { } denominator)
            value = Node("Div", [value, AsDouble(Size(denominator))]);
        value = number.Function switch
        {
            NumberFunction.Same => value,
            NumberFunction.Reciprocal => Node("Div", [DoubleConstant(1), value]),
            NumberFunction.SquareRoot => Node("Sqrt", [value]),
            NumberFunction.ReciprocalSquareRoot => Node("Div", [DoubleConstant(1), Node("Sqrt", [value])]),
            NumberFunction.Logarithm => Node("Log", [value]),
            _ => throw new InvalidOperationException(),
        };
        if (number.Scale != 1)
            value = Node("Mul", [value, DoubleConstant(number.Scale)]);
        return number.Offset == 0 ? value : Node("Add", [value, DoubleConstant(number.Offset)]);
    }

    /// <summary>The size of one axis: Shape and Gather.</summary>
    private GraphValue AxisSize(SizeExpression.Axis axis)
    {
        var shape = SizeNode("Shape", [Value(axis.Value)], []);
        return SizeNode("Gather", [shape, Add(TensorBytes.Of(Unique($"axis_{axis.Dimension}"), [axis.Dimension]))], []);
    }

    /// <summary>Adds a node that computes a size, int64 [1].</summary>
    /// <param name="opType">Name of the ONNX operator.</param>
    /// <param name="inputs">int64 vectors with one element, except for Shape, which takes any value.</param>
    /// <param name="attributes">Attributes of the node.</param>
    private GraphValue SizeNode(string opType, GraphValue[] inputs, (string Name, object Value)[] attributes) =>
        Emit(opType, opType == "Shape" ? "shape" : "size", "", inputs, ScalarType.Int64, 1, attributes);

    /// <summary>Adds a node that computes a number, float64 [1].</summary>
    /// <param name="opType">Name of the ONNX operator.</param>
    /// <param name="inputs">float64 vectors with one element.</param>
    private GraphValue Node(string opType, GraphValue[] inputs) =>
        Emit(opType, "number", "", inputs, ScalarType.Float64, 1);

    /// <summary>A size as float64.</summary>
    private GraphValue AsDouble(GraphValue size) =>
        Emit("Cast", "number", "", [size], ScalarType.Float64, 1, ("to", (long)ElementType.Float64));

    /// <summary>A number as int64.</summary>
    private GraphValue Whole(GraphValue number) =>
        Emit("Cast", "size", "", [number], ScalarType.Int64, 1, ("to", (long)ElementType.Int64));

    /// <summary>A constant float64 [1].</summary>
    private GraphValue DoubleConstant(double value)
    {
        using var scope = NewDisposeScope();
        return Add(TensorBytes.ToInitializer(Unique("number"), tensor([value], ScalarType.Float64)));
    }

    /// <summary>The ONNX operator for an operation on sizes.</summary>
    private static string OperatorOf(SizeOperator operation) =>
        operation switch
        {
            SizeOperator.Add => "Add",
            SizeOperator.Subtract => "Sub",
            SizeOperator.Multiply => "Mul",
            SizeOperator.Divide => "Div",
            SizeOperator.Remainder => "Mod",
            SizeOperator.Min => "Min",
            SizeOperator.Max => "Max",
            _ => throw new ArgumentOutOfRangeException(nameof(operation)),
        };

    /// <summary>The declared dimensions of a traced value: numbers, symbols, and formulas over symbols.</summary>
    /// <param name="id">Number of a traced value.</param>
    /// <returns>A long for a fixed axis, a string for a varying one.</returns>
    private object[] Dims(int id)
    {
        var shapes = traced.Shapes[id];
        return
        [
            .. Enumerable
                .Range(0, shapes[0].Length)
                .Select(axis => Dim([.. shapes.Select(shape => shape[axis])], id, axis)),
        ];
    }

    /// <summary>One declared dimension: a number, a symbol, a formula, or a generated name.</summary>
    /// <param name="perTrace">The size in each trace.</param>
    /// <param name="id">Number of the traced value, for a generated name.</param>
    /// <param name="axis">Index of the axis, for a generated name.</param>
    /// <returns>A long, or the text of a symbol, a formula over symbols, or <c>dim_id_axis</c>.</returns>
    private object Dim(long[] perTrace, int id, int axis)
    {
        if (perTrace.All(size => size == perTrace[0]))
            return perTrace[0];
        var key = string.Join(',', perTrace);
        if (dims.TryGetValue(key, out var known))
            return known;
        inputSolver ??= new SizeSolver([], [.. Enumerable.Range(0, traced.Inputs.Count).SelectMany(LeavesOf)], [], []);
        var solved = inputSolver.SolveSimple(perTrace);
        return dims[key] = solved is null
            ? $"dim_{id}_{axis}"
            : solved.Text(leaf => traced.Inputs[leaf.Value].Symbols[leaf.Dimension]!);
    }

    // ---- nodes and names -----------------------------------------------------------------------------------------------------

    /// <summary>Adds a node with one output.</summary>
    /// <param name="opType">ONNX operator.</param>
    /// <param name="name">Name of the node below its module.</param>
    /// <param name="path">Path of the module.</param>
    /// <param name="inputs">Values that it reads.</param>
    /// <param name="type">Dtype of the output.</param>
    /// <param name="rank">Axes of the output.</param>
    /// <param name="attributes">Its attributes.</param>
    public GraphValue Emit(
        string opType,
        string name,
        string path,
        IReadOnlyList<GraphValue> inputs,
        ScalarType type,
        int rank,
        params (string Name, object Value)[] attributes
    )
    {
        var values = EmitMany(opType, name, path, inputs, [(type, rank)], attributes);
        return values[0];
    }

    /// <summary>Adds a node with several outputs.</summary>
    /// <param name="opType">ONNX operator.</param>
    /// <param name="name">Name of the node below its module.</param>
    /// <param name="path">Path of the module.</param>
    /// <param name="inputs">Values that it reads.</param>
    /// <param name="outputs">Dtype and rank of each output.</param>
    /// <param name="attributes">Its attributes.</param>
    public GraphValue[] EmitMany(
        string opType,
        string name,
        string path,
        IReadOnlyList<GraphValue> inputs,
        IReadOnlyList<(ScalarType Type, int Rank)> outputs,
        params (string Name, object Value)[] attributes
    )
    {
        var nodeName = Unique(
            path.Length == 0 ? name
            : name.Length == 0 ? path
            : $"{path}/{name}"
        );
        var made = outputs
            .Select(
                (output, i) =>
                    new GraphValue(
                        outputs.Count == 1 ? Unique($"{nodeName}:out") : Unique($"{nodeName}:out{i}"),
                        output.Type,
                        output.Rank
                    )
            )
            .ToArray();
        var inputNames = inputs.Select(input => input.Name).ToList();
        while (inputNames.Count > 0 && inputNames[^1].Length == 0)
            inputNames.RemoveAt(inputNames.Count - 1);
        var node = new OnnxNode
        {
            OpType = opType,
            Name = nodeName,
            ModulePath = path,
            Inputs = inputNames,
            Outputs = [.. made.Select(value => value.Name)],
        };
        foreach (var (key, value) in attributes)
            node.Attributes.Add(key, value);
        Graph.Nodes.Add(node);
        foreach (var value in made)
            Graph.Ranks[value.Name] = (value.Type.ToOnnx(), value.Rank);
        return made;
    }

    /// <summary>Returns a name that is not used in the graph.</summary>
    /// <param name="wanted">The preferred name.</param>
    public string Unique(string wanted)
    {
        if (names.TryAdd(wanted, 1))
            return wanted;
        string candidate;
        do candidate = $"{wanted}_{names[wanted]++}";
        while (!names.TryAdd(candidate, 1));
        return candidate;
    }

    /// <summary>Reserves a name for an input.</summary>
    private void Reserve(string name) => names.TryAdd(name, 1);

    /// <summary>Names the outputs as the caller specified, or as in the trace.</summary>
    private void NameOutputs(IReadOnlyList<string>? outputNames)
    {
        if (outputNames is not null && outputNames.Count != traced.Outputs.Count)
            throw new ExportException(
                "",
                null,
                $"ExportOptions.OutputNames has {outputNames.Count} names, but forward returns "
                    + $"{traced.Outputs.Count} "
                    + $"tensors ({string.Join(", ", traced.Outputs.Select(output => output.Name))})"
            );
        for (var position = 0; position < traced.Outputs.Count; position++)
        {
            var (defaultName, id) = traced.Outputs[position];
            if (IsComplex(id))
                throw new ExportException(
                    "",
                    null,
                    $"the output '{outputNames?[position] ?? defaultName}' is complex, and ONNX Runtime has no "
                        + "complex tensors. Return view_as_real(…) of it."
                );
            bool IsTaken(string candidate) =>
                Graph.Inputs.Any(input => input.Name == candidate)
                || Graph.Outputs.Any(output => output.Name == candidate)
                || Graph.Initializers.ContainsKey(candidate);
            var name = outputNames?[position] ?? defaultName;
            if (outputNames is not null && IsTaken(name))
                throw new ExportException(
                    "",
                    null,
                    $"ExportOptions.OutputNames has '{name}', but an input, another output or a parameter has "
                        + "that name already. Choose another name."
                );
            for (var number = 1; IsTaken(name); number++)
                name = $"{defaultName}_{number}";
            // Identity separates the name of the output from the node that computes it; the clean-up merges the two
            // where possible.
            var value = Value(id);
            Graph.Nodes.Add(
                new OnnxNode
                {
                    OpType = "Identity",
                    Name = Unique($"output/{name}"),
                    Inputs = [value.Name],
                    Outputs = [name],
                }
            );
            Graph.Origins.TryAdd(name, id);
            Graph.Outputs.Add(new ValueInfo(name, traced.Values[id].Type.ToOnnx(), Dims(id)));
        }
    }
}
