using System.Globalization;
using System.Reflection;
using TorchBridge.Export.Capture;
using TorchBridge.Export.Lowering;
using TorchBridge.Export.Onnx;
using TorchBridge.Export.Sizes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export;

/// <summary>One captured operation as its lowering sees it: the arguments by parameter name, and methods that write
/// nodes.</summary>
public sealed class LoweringContext
{
    /// <summary>The graph that the nodes go into, shared by all operations of an export.</summary>
    private readonly GraphBuilder builder;

    /// <summary>The operation that is lowered.</summary>
    private readonly TracedOp op;

    /// <summary>Name of its row in the operator table: what a function's nodes are called.</summary>
    private readonly string rowName;

    /// <summary>The captured arguments by the method's parameter names; the receiver is <c>self</c>.</summary>
    private readonly Dictionary<string, object?> arguments = new(StringComparer.Ordinal);

    /// <summary>
    /// What the rule has given for each result; null until then, which <see cref="CheckResults"/> refuses.
    /// </summary>
    private readonly GraphValue?[] results;

    /// <summary>
    /// Arguments that the rule has asked for: what is not among them at the end is refused, so that no option is
    /// silently ignored.
    /// </summary>
    private readonly HashSet<string> read = new(StringComparer.Ordinal);

    /// <summary>
    /// Finds formulas over the sizes that are known before this operation. Made at first need: most operations have
    /// no size that varies.
    /// </summary>
    private readonly Lazy<SizeSolver> solver;

    /// <summary>Whether the rule took all arguments by position, so that none can have been missed.</summary>
    private bool readAll;

    /// <summary>Prepares an operation for its rule.</summary>
    /// <param name="builder">Of the graph.</param>
    /// <param name="op">The captured operation.</param>
    /// <param name="rowName">Name of its row in the table, for refusals and node names.</param>
    internal LoweringContext(GraphBuilder builder, TracedOp op, string rowName)
    {
        this.builder = builder;
        this.op = op;
        this.rowName = rowName;
        results = new GraphValue?[op.Results.Length];
        solver = new(() =>
            builder.SolverFor(
                ValueRef.In(op.Arguments).Select(reference => reference.Id),
                op.Results.Where(id => id != TracedOp.Unused).DefaultIfEmpty(builder.Traced.Values.Count).Min()
            )
        );
        var parameters = op.Method.GetParameters();
        var shift = op.Method.IsStatic ? 0 : 1;
        if (shift == 1)
            arguments["self"] = op.Arguments[0];
        for (var position = 0; position < parameters.Length && position + shift < op.Arguments.Length; position++)
            arguments[parameters[position].Name!] = op.Arguments[position + shift];
    }

    /// <summary>The opset that is written.</summary>
    public int Opset => builder.Graph.Opset;

    /// <summary>The module, where one was called.</summary>
    public nn.Module? Module => op.Module;

    /// <summary>Path of the module.</summary>
    public string ModulePath => op.ModulePath;

    /// <summary>What the caller said of this module with <see cref="ExportOptions.ModuleOptions"/>.</summary>
    public ModuleOptions? Options => builder.ModuleOptions.TryGetValue(op.ModulePath, out var options) ? options : null;

    /// <summary>Whether the file draws the random numbers that forward draws.</summary>
    internal bool DrawsNumbers => builder.DrawsNumbers;

    /// <summary>Number of tensors that the operation returns.</summary>
    public int ResultCount => results.Length;

    /// <summary>The method that was called.</summary>
    internal MethodBase Method => op.Method;

    /// <summary>
    /// All arguments in their order, the receiver first; reading it counts as having looked at every argument.
    /// </summary>
    internal IReadOnlyList<object?> Positional => ReadAll(op.Arguments);

    /// <summary>Makes the exception that refuses this operation; the message gets the module path and the source
    /// line.</summary>
    /// <param name="reason">Why, and what to do instead.</param>
    public ExportException Refuse(string reason) => op.Refuse($"{rowName}: {reason}");

    /// <summary>Refuses an axis that is free and must not be.</summary>
    /// <param name="axis">Which: <c>the channel axis</c>.</param>
    internal ExportException RefuseFree(string axis) =>
        Refuse(
            $"{axis} is free, and its size is part of what is computed. Fix it: leave it out of ExportOptions.FreeAxes"
        );

    // ---- arguments -----------------------------------------------------------------------------------------------------------

    /// <summary>Whether the method has a parameter of one of these names that is not null.</summary>
    /// <param name="names">Parameter names; <c>self</c> is the receiver.</param>
    /// <returns>Whether the argument is there.</returns>
    public bool Has(params string[] names) => Raw(names) is not null;

    /// <summary>The n-th tensor among the arguments (the receiver is first).</summary>
    /// <param name="position">0 for the first.</param>
    /// <returns>The graph's value of it.</returns>
    /// <exception cref="ExportException">There are fewer tensors.</exception>
    public GraphValue Tensor(int position = 0)
    {
        var references = ValueRef.In(op.Arguments).ToArray();
        return position < references.Length
            ? builder.Value(references[position].Id)
            : throw Refuse($"tensor argument {position + 1} is missing");
    }

    /// <summary>A tensor argument by parameter name, or none.</summary>
    /// <param name="names">Parameter names, the first that is there counts.</param>
    /// <returns>The graph's value of it; null where it is missing or null.</returns>
    public GraphValue? OptionalTensor(params string[] names) =>
        Raw(names) is ValueRef reference ? builder.Value(reference.Id) : null;

    /// <summary>All tensors of an array argument.</summary>
    /// <param name="names">Parameter names, the first that is there counts; without one, all tensor
    /// arguments.</param>
    /// <returns>The graph's values, in their order.</returns>
    public GraphValue[] Tensors(params string[] names) =>
        [
            .. ValueRef
                .In(names.Length == 0 ? op.Arguments : Raw(names))
                .Select(reference => builder.Value(reference.Id)),
        ];

    /// <summary>
    /// An integer that is the same at every size, or the fallback where the argument is missing or null.
    /// </summary>
    /// <param name="fallback">Value for a missing argument.</param>
    /// <param name="names">Parameter names, the first that is there counts.</param>
    /// <returns>The integer.</returns>
    /// <exception cref="ExportException">It follows a free axis, or is no integer.</exception>
    public long Integer(long fallback, params string[] names) =>
        Raw(names) switch
        {
            null => fallback,
            long number => number,
            bool flag => flag ? 1 : 0,
            Enum value => Convert.ToInt64(value, CultureInfo.InvariantCulture),
            double number when number == Math.Floor(number) => (long)number,
            VaryingInteger varying => throw Refuse(
                $"'{names[0]}' follows a free axis ({Traced(varying.Values)}), where ONNX takes a constant"
            ),
            var other => throw Refuse($"'{names[0]}' is {other}, expected an integer"),
        };

    /// <summary>
    /// Integers that are the same at every size, or null where the argument is missing or null. A single integer is a
    /// list of one.
    /// </summary>
    /// <param name="names">Parameter names, the first that is there counts.</param>
    /// <returns>The integers, or null.</returns>
    /// <exception cref="ExportException">One of them follows a free axis.</exception>
    public long[]? Integers(params string[] names) =>
        Raw(names) switch
        {
            null => null,
            long number => [number],
            object?[] list =>
            [
                .. list.Select(item =>
                    item as long? ?? throw Refuse($"'{names[0]}' follows a free axis, where ONNX takes constants")
                ),
            ],
            var other => throw Refuse($"'{names[0]}' is {other}, expected integers"),
        };

    /// <summary>A number, or the fallback where the argument is missing or null.</summary>
    /// <param name="fallback">Value for a missing argument.</param>
    /// <param name="names">Parameter names, the first that is there counts.</param>
    /// <returns>The number.</returns>
    /// <exception cref="ExportException">It follows a free axis, or is no number.</exception>
    public double Number(double fallback, params string[] names) =>
        Raw(names) switch
        {
            null => fallback,
            long number => number,
            double number => number,
            bool flag => flag ? 1 : 0,
            VaryingInteger or VaryingNumber => throw Refuse(
                $"'{names[0]}' follows a free axis, where ONNX takes a constant"
            ),
            var other => throw Refuse($"'{names[0]}' is {other}, expected a number"),
        };

    /// <summary>A truth value, or the fallback where the argument is missing or null.</summary>
    /// <param name="fallback">Value for a missing argument.</param>
    /// <param name="names">Parameter names, the first that is there counts.</param>
    /// <returns>The truth value.</returns>
    /// <exception cref="ExportException">It is none.</exception>
    public bool Flag(bool fallback, params string[] names) =>
        Raw(names) switch
        {
            null => fallback,
            bool flag => flag,
            long number => number != 0,
            var other => throw Refuse($"'{names[0]}' is {other}, expected true or false"),
        };

    /// <summary>A text or the name of an enum's member, or null.</summary>
    /// <param name="names">Parameter names, the first that is there counts.</param>
    /// <returns>The text, or null.</returns>
    public string? Text(params string[] names) => Raw(names)?.ToString();

    /// <summary>
    /// An argument as it was captured: a number, text, enum, list, or reference to a tensor; null where it is missing
    /// or null.
    /// </summary>
    /// <param name="names">Parameter names, the first that is there counts.</param>
    internal object? Raw(params string[] names)
    {
        read.UnionWith(names);
        return names.Select(name => arguments.GetValueOrDefault(name)).FirstOrDefault(value => value is not null);
    }

    /// <summary>An axis, counted from the front.</summary>
    /// <param name="axis">May be negative.</param>
    /// <param name="rank">Number of axes that it counts in.</param>
    /// <returns>0 to the rank less one.</returns>
    public long Axis(long axis, int rank) =>
        axis >= -Math.Max(rank, 1) && axis < Math.Max(rank, 1)
            ? (axis < 0 ? axis + Math.Max(rank, 1) : axis)
            : throw Refuse($"axis {axis} of a tensor of rank {rank}");

    // ---- types and shapes ----------------------------------------------------------------------------------------------------

    /// <summary>The dtype of a result in TorchSharp.</summary>
    /// <param name="index">Which result.</param>
    /// <returns>The dtype that the declared value will be cast to.</returns>
    public ScalarType ResultType(int index = 0) =>
        IsUsed(index) ? ComplexPairs.PartOf(builder.Traced.Values[op.Results[index]].Type) : Tensor().Type;

    /// <summary>The rank of a result.</summary>
    /// <param name="index">Which result.</param>
    /// <returns>Number of axes.</returns>
    public int ResultRank(int index = 0) =>
        IsUsed(index) ? builder.Traced.Values[op.Results[index]].Shape.Length : op.Parts![0][index].Length;

    /// <summary>Whether anything reads a result.</summary>
    /// <param name="index">Which result.</param>
    internal bool IsUsed(int index) => op.Results[index] != TracedOp.Unused;

    /// <summary>Whether the operation has another number of results at another size.</summary>
    internal bool HasVaryingResults => op.Parts is { } parts && parts.Any(part => part.Length != parts[0].Length);

    /// <summary>The size of an axis of an argument where it is the same at every size of the free axes; else
    /// null.</summary>
    /// <param name="value">An argument or earlier result.</param>
    /// <param name="axis">Axis, from the front.</param>
    public long? FixedSize(GraphValue value, int axis) => Fixed(SizesOf(value), axis);

    /// <summary>The size of an axis of a result where it is the same at every size of the free axes; else
    /// null.</summary>
    /// <param name="index">Which result.</param>
    /// <param name="axis">Axis, from the front.</param>
    public long? FixedResultSize(int index, int axis) => Fixed(ResultSizes(index), axis);

    // Sizes that the result shows were decided by the arguments, all of them.
    /// <summary>The sizes of a result in each trace.</summary>
    /// <param name="index">Which result.</param>
    internal long[][] ResultSizes(int index = 0) =>
        ReadAll(
            op.Parts is { } parts ? [.. parts.Select(part => part[index])] : builder.Traced.Shapes[op.Results[index]]
        );

    /// <summary>The sizes of an argument or earlier result in each trace.</summary>
    /// <param name="value">The value.</param>
    /// <exception cref="ExportException">It is an intermediate value of a lowering.</exception>
    internal long[][] SizesOf(GraphValue value) =>
        builder.IdOf(value) is >= 0 and var id
            ? builder.Traced.Shapes[id]
            : throw Refuse("the shape of an intermediate value is not known");

    /// <summary>The size of an axis where all traces agree.</summary>
    /// <param name="shapes">One shape per trace, all of one rank.</param>
    /// <param name="axis">From the front.</param>
    /// <returns>Null where the size differs between the traces.</returns>
    private static long? Fixed(long[][] shapes, int axis) =>
        shapes.All(shape => shape[axis] == shapes[0][axis]) ? shapes[0][axis] : null;

    /// <summary>A size argument as a 1-element int64 value: a constant, or computed from the sizes it
    /// follows.</summary>
    internal GraphValue SizeValue(object? size) =>
        size switch
        {
            long constant => Constant(constant),
            VaryingInteger varying => builder.Size(Solve(varying.Values)),
            _ => throw Refuse($"{size} is no size"),
        };

    /// <summary>The formula of the sizes so far that an integer is.</summary>
    /// <param name="values">One per trace.</param>
    /// <exception cref="ExportException">No formula is found.</exception>
    internal SizeExpression Solve(long[] values)
    {
        var found = solver.Value.Solve(values);
        if (found.Count == 0)
        {
            throw Refuse(
                $"a size is {Traced(values)}, which is no formula of the sizes so far that the exporter "
                    + "finds. It finds + - * / % min max of two sizes, "
                    + "or of a size and numbers, in two or three steps. Compute it in smaller steps, each "
                    + "used in a tensor operation, or fix the axis: leave it out of ExportOptions.FreeAxes."
            );
        }

        Decide(found, values);
        return found[0];
    }

    /// <summary>The formula of the sizes so far that a number is.</summary>
    /// <param name="values">One per trace.</param>
    /// <exception cref="ExportException">No formula is found.</exception>
    private NumberExpression Solve(double[] values) =>
        NumberSolver.Solve(values, solver.Value)
        ?? throw Refuse(
            $"a number is {Traced(values)}, which is no formula of sizes that the exporter finds: a * "
                + "f(size) + b, or a * f(size / size), f one of 1/x, sqrt, 1/sqrt, log. "
                + "Compute it with tensor operations, or fix the axis: leave it out of ExportOptions.FreeAxes."
        );

    /// <summary>Where several formulas fit, asks for a trace at a size that tells the first from the others.</summary>
    /// <param name="rivals">Formulas that all fit the traces, the simplest first.</param>
    /// <param name="values">One per trace, for the message.</param>
    /// <exception cref="UndecidedSizeException">The rivals differ at a size that may still be traced.</exception>
    private void Decide(IReadOnlyList<SizeExpression> rivals, long[] values)
    {
        if (rivals.Count == 1)
            return;
        var refusal = Refuse(
            $"a size is {Traced(values)}: several formulas fit, and forward runs at no size that tells them apart"
        );
        if (rivals.All(rival => rival.Axes.All(axis => builder.SymbolOf(axis) >= 0)))
        {
            // Formulas that differ nowhere are one.
            if (builder.Traced.TellsApart(rivals, builder.SymbolOf, out var point))
                throw new UndecidedSizeException(refusal, point);
        }
        else if (
            builder.Traced.Points.Count < 2 * SizeSolver.TracesForDeepFormulas
            && builder.Traced.MayBeTried(builder.Traced.AnotherPoint())
        )
        {
            throw new UndecidedSizeException(refusal, null);
        }
    }

    /// <summary>Values in the traces, for a message: <c>3 at batch = 2, 5 at batch = 4</c>.</summary>
    /// <param name="values">One per trace; at most four different ones are shown.</param>
    private string Traced<T>(IReadOnlyList<T> values) =>
        string.Join(
            ", ",
            values
                .Index()
                .DistinctBy(pair => pair.Item) // the same value at other sizes tells nothing more
                .Take(4)
                .Select(pair =>
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{pair.Item} at {builder.Traced.Symbols.Describe(builder.Traced.Points[pair.Index])}"
                    )
                )
        ) + (values.Distinct().Count() > 4 ? " …" : "");

    /// <summary>A vector of sizes for Reshape, Expand and their like.</summary>
    /// <param name="sizes">Each a long, or a <see cref="VaryingInteger"/> that is computed in the graph.</param>
    /// <returns>An int64 vector with one element per size; a constant where all are fixed.</returns>
    internal GraphValue SizeVector(IReadOnlyList<object?> sizes)
    {
        if (sizes.All(size => size is long))
            return Constants([.. sizes.Cast<long>()]);
        return Node("Concat", ScalarType.Int64, 1, [.. sizes.Select(SizeValue)], ("axis", 0L));
    }

    /// <summary>The sizes of a traced shape as <see cref="SizeVector"/> takes them.</summary>
    /// <param name="shapes">One shape per trace.</param>
    /// <returns>For each axis a long where the traces agree, else a <see cref="VaryingInteger"/>.</returns>
    internal static object?[] ToSizes(long[][] shapes) =>
        [
            .. Enumerable
                .Range(0, shapes[0].Length)
                .Select(axis =>
                    Fixed(shapes, axis) is { } size
                        ? (object)size
                        : new VaryingInteger([.. shapes.Select(shape => shape[axis])])
                ),
        ];

    // ---- writing -------------------------------------------------------------------------------------------------------------

    /// <summary>Writes a node with one output.</summary>
    /// <param name="opType">ONNX operator.</param>
    /// <param name="type">Element type of the output.</param>
    /// <param name="rank">Rank of the output.</param>
    /// <param name="inputs">Inputs; <see cref="GraphValue.None"/> leaves an optional one out.</param>
    /// <param name="attributes">Values are long, float, string or arrays of these.</param>
    /// <returns>The output.</returns>
    public GraphValue Node(
        string opType,
        ScalarType type,
        int rank,
        GraphValue[] inputs,
        params (string Name, object Value)[] attributes
    ) => Nodes(opType, [(type, rank)], inputs, attributes)[0];

    /// <summary>Writes a node whose output has the type and rank of its first input.</summary>
    /// <param name="opType">ONNX operator.</param>
    /// <param name="inputs">Inputs.</param>
    /// <param name="attributes">Values are long, float, string or arrays of these.</param>
    /// <returns>The output.</returns>
    public GraphValue Like(string opType, GraphValue[] inputs, params (string Name, object Value)[] attributes) =>
        Node(opType, inputs[0].Type, inputs[0].Rank, inputs, attributes);

    /// <summary>Writes a node with several outputs.</summary>
    /// <param name="opType">ONNX operator.</param>
    /// <param name="outputs">Type and rank of each.</param>
    /// <param name="inputs">Inputs.</param>
    /// <param name="attributes">Values are long, float, string or arrays of these.</param>
    /// <returns>The outputs, in their order.</returns>
    /// <exception cref="ExportException">There is no such dtype.</exception>
    /// <remarks>
    /// Where ONNX Runtime has no kernel for the operands' dtype, they are cast to one that gives the same, and the
    /// results back; see <see cref="Kernels"/>.
    /// </remarks>
    public GraphValue[] Nodes(
        string opType,
        (ScalarType Type, int Rank)[] outputs,
        GraphValue[] inputs,
        params (string Name, object Value)[] attributes
    )
    {
        var first = Kernels.FirstOperand(opType);
        if (first >= inputs.Length)
            return builder.EmitMany(opType, NodeName(opType), op.ModulePath, inputs, outputs, attributes);
        var own = inputs[first].Type;
        var computed = Kernels.TypeFor(opType, own)
            ?? throw Refuse(
                $"ONNX Runtime has no {opType} for {own}. "
                    + (
                        own == ScalarType.Float64
                            ? "Convert the module with to(ScalarType.Float32), or cast to float32"
                            : "Cast to another dtype"
                    )
                    + " before the operation and back."
            );
        if (computed == own)
            return builder.EmitMany(opType, NodeName(opType), op.ModulePath, inputs, outputs, attributes);
        var keeps = Kernels.KeepsType(opType);
        var cast = inputs
            .Select(
                (input, i) => i >= first && input.Type == own && input.Name.Length > 0 ? Cast(input, computed) : input
            )
            .ToArray();
        var made = builder.EmitMany(
            opType,
            NodeName(opType),
            op.ModulePath,
            cast,
            [.. outputs.Select(output => keeps && output.Type == own ? (computed, output.Rank) : output)],
            attributes
        );
        return [.. made.Select((value, i) => Cast(value, outputs[i].Type))];
    }

    /// <summary>Declares the value of a result.</summary>
    /// <param name="value">The value; it is cast where TorchSharp's result has another dtype.</param>
    /// <param name="index">Which result.</param>
    public void Result(GraphValue value, int index = 0)
    {
        var typed = Cast(value, ResultType(index)) with { Rank = ResultRank(index) };
        results[index] = typed;
        if (IsUsed(index))
            builder.Define(op.Results[index], typed);
    }

    /// <summary>An initializer for a parameter or buffer of the module.</summary>
    /// <param name="tensor">The tensor itself.</param>
    /// <param name="name">Its name in the module (<c>weight</c>).</param>
    public GraphValue Parameter(Tensor tensor, string name) =>
        op.ModuleTensors.TryGetValue(name, out var computed)
            ? builder.Value(computed.Id)
            : builder.Parameter(tensor, op.ModulePath.Length == 0 ? name : $"{op.ModulePath}.{name}");

    /// <summary>An initializer computed by the lowering.</summary>
    /// <param name="tensor">Its value; copied.</param>
    /// <param name="name">What it is; made unique.</param>
    public GraphValue Computed(Tensor tensor, string name) =>
        builder.Add(
            TensorBytes.ToInitializer(
                builder.Unique(op.ModulePath.Length == 0 ? name : $"{op.ModulePath}.{name}"),
                tensor
            )
        );

    /// <summary>A 1-element int64 initializer.</summary>
    /// <param name="value">Its element.</param>
    public GraphValue Constant(long value) => Constants([value]);

    /// <summary>An int64 vector.</summary>
    /// <param name="values">Its elements.</param>
    public GraphValue Constants(long[] values) => builder.Add(TensorBytes.Of(builder.Unique("const"), values));

    /// <summary>An int64 scalar (rank 0).</summary>
    /// <param name="value">Its value.</param>
    public GraphValue IntegerScalar(long value) =>
        builder.Add(TensorBytes.Of(builder.Unique("const"), [value], isScalar: true));

    /// <summary>A scalar (rank 0) of any type.</summary>
    /// <param name="value">Its value.</param>
    /// <param name="type">Its type.</param>
    public GraphValue Scalar(double value, ScalarType type)
    {
        using var scope = NewDisposeScope();
        return builder.Add(
            TensorBytes.ToInitializer(builder.Unique("const"), tensor(value, ScalarType.Float64).to(type))
        );
    }

    /// <summary>Casts where the type differs.</summary>
    /// <param name="value">What to cast.</param>
    /// <param name="type">The type it shall have.</param>
    public GraphValue Cast(GraphValue value, ScalarType type) =>
        value.Type == type
            ? value
            : builder.Emit(
                "Cast",
                NodeName("Cast"),
                op.ModulePath,
                [value],
                type,
                value.Rank,
                ("to", (long)type.ToOnnx())
            );

    /// <summary>A tensor argument as it is.</summary>
    /// <param name="argument">A captured argument; only a tensor is taken.</param>
    /// <exception cref="ExportException">It is a number, null, or anything else that is no tensor.</exception>
    internal GraphValue Operand(object? argument) =>
        argument is ValueRef reference
            ? builder.Value(reference.Id)
            : throw Refuse($"{argument ?? "null"} is no tensor");

    /// <summary>A tensor argument or a number at a position, with a type: what arithmetic takes.</summary>
    /// <param name="argument">A tensor, number, boolean, or a number that follows a free axis.</param>
    /// <param name="type">The dtype to give it.</param>
    /// <returns>A tensor keeps its shape; everything else has rank 0.</returns>
    /// <exception cref="ExportException">It is none of these.</exception>
    internal GraphValue Operand(object? argument, ScalarType type) =>
        argument switch
        {
            ValueRef reference => Cast(builder.Value(reference.Id), type),
            long number => ScalarOf(number, type),
            double number => Scalar(number, type),
            bool flag => Scalar(flag ? 1 : 0, type),
            VaryingInteger varying => Cast(
                Node("Squeeze", ScalarType.Int64, 0, [SizeValue(varying), Constants([0])]),
                type
            ),
            VaryingNumber varying => Cast(
                Node("Squeeze", ScalarType.Float64, 0, [builder.Number(Solve(varying.Values)), Constants([0])]),
                type
            ),
            var other => throw Refuse($"{other ?? "null"} is neither a tensor nor a number"),
        };

    /// <summary>An integer of rank 0 in a dtype, exactly.</summary>
    /// <param name="number">Not by way of float64, which holds 53 bits only.</param>
    /// <param name="type">The dtype of the scalar.</param>
    private GraphValue ScalarOf(long number, ScalarType type)
    {
        if (type == ScalarType.Int64)
            return IntegerScalar(number);
        using var scope = NewDisposeScope();
        return builder.Add(
            TensorBytes.ToInitializer(builder.Unique("const"), tensor(number, ScalarType.Int64).to(type))
        );
    }

    /// <summary>Every result must have a value, and every argument must have been looked at, unless it is the
    /// default: nothing is ignored.</summary>
    internal void CheckResults()
    {
        if (op.Module is null && !readAll)
        {
            var parameters = op
                .Method.GetParameters()
                .ToDictionary(parameter => parameter.Name!, StringComparer.Ordinal);
            foreach (var (name, value) in arguments)
            {
                if (
                    value is null or ValueRef
                    || name == "self"
                    || read.Contains(name)
                    || WithoutMeaning.Contains(name)
                    || ValueRef.In(value).Any()
                )
                    continue;
                var parameter = parameters[name];
                if (
                    parameter.HasDefaultValue
                    && Equals(ArgumentConverter.Convert(parameter.DefaultValue, _ => new ValueRef(-1)), value)
                )
                    continue;
                throw Refuse($"its argument '{name}' ({value}) is not understood by this lowering");
            }
        }

        for (var position = 0; position < results.Length; position++)
        {
            if (results[position] is null)
                throw Refuse($"the lowering gave no value for result {position}");
        }
    }

    /// <summary>Arguments that say what the trace has already shown (dtype) or that have no meaning in a
    /// graph.</summary>
    private static readonly HashSet<string> WithoutMeaning = new(StringComparer.Ordinal)
    {
        "dtype",
        "type",
        "scalar_type",
        "target_type",
        "device",
        "deviceType",
        "deviceIndex",
        "device_type",
        "device_index",
        "requires_grad",
        "names",
        "non_blocking",
        "copy",
        "disposeAfter",
        "inplace",
        "generator",
        "layout",
        "memory_format",
        "sparse",
        "scale_grad_by_freq",
    };

    /// <summary>Notes that every argument was looked at.</summary>
    private T ReadAll<T>(T value)
    {
        readAll = true;
        return value;
    }

    // A module's main node is named by its path alone, so that a viewer shows `layer1.0.conv1`; the nodes of
    // functions add theirs.
    /// <summary>What a node is called below its module.</summary>
    private string NodeName(string opType) =>
        op.Module is not null
        && opType
            is not ("Cast" or "Reshape" or "Transpose" or "Concat" or "Squeeze" or "Unsqueeze" or "Shape" or "Gather")
            ? ""
        : op.Module is not null ? opType
        : rowName;
}
