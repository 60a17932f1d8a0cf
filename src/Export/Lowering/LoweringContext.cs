using System.Globalization;
using System.Reflection;
using TorchBridge.Export.Capture;
using TorchBridge.Export.Lowering;
using TorchBridge.Export.Onnx;
using TorchBridge.Export.Sizes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export;

/// <summary>One captured operation as seen by its lowering: its arguments by parameter name, and methods that add
/// nodes.</summary>
public sealed class LoweringContext
{
    /// <summary>The graph that receives the nodes, shared by all operations of an export.</summary>
    private readonly GraphBuilder builder;

    /// <summary>The operation to lower.</summary>
    private readonly TracedOp op;

    /// <summary>Name of its row in the operator table; nodes of functions are named after it.</summary>
    private readonly string rowName;

    /// <summary>The captured arguments by the method's parameter names; the receiver is <c>self</c>.</summary>
    private readonly Dictionary<string, object?> arguments = new(StringComparer.Ordinal);

    /// <summary>
    /// The value of each result; null until the rule has declared it, which <see cref="CheckResults"/> refuses.
    /// </summary>
    private readonly GraphValue?[] results;

    /// <summary>
    /// Arguments that the rule has read. Any other argument is refused at the end, so that no option is silently
    /// ignored.
    /// </summary>
    private readonly HashSet<string> read = new(StringComparer.Ordinal);

    /// <summary>
    /// Finds formulas over the sizes that are known before this operation. Created on demand, because most operations
    /// have no varying size.
    /// </summary>
    private readonly Lazy<SizeSolver> solver;

    /// <summary>Whether the rule read all arguments by position, so that none was missed.</summary>
    private bool readAll;

    /// <summary>Prepares an operation for its rule.</summary>
    /// <param name="builder">Builder of the graph.</param>
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

    /// <summary>The opset version that is written.</summary>
    public int Opset => builder.Graph.Opset;

    /// <summary>The called module; null for a method.</summary>
    public nn.Module? Module => op.Module;

    /// <summary>Path of the module.</summary>
    public string ModulePath => op.ModulePath;

    /// <summary>The caller's options for this module from <see cref="ExportOptions.ModuleOptions"/>, if
    /// any.</summary>
    public ModuleOptions? Options => builder.ModuleOptions.TryGetValue(op.ModulePath, out var options) ? options : null;

    /// <summary>Whether random draws of forward become random operators in the file.</summary>
    internal bool DrawsNumbers => builder.DrawsNumbers;

    /// <summary>Number of tensors that the operation returns.</summary>
    public int ResultCount => results.Length;

    /// <summary>The called method.</summary>
    internal MethodBase Method => op.Method;

    /// <summary>
    /// All arguments in order, the receiver first; getting them marks every argument as read.
    /// </summary>
    internal IReadOnlyList<object?> Positional => ReadAll(op.Arguments);

    /// <summary>Creates the exception that refuses this operation; the message includes the module path and the
    /// source line.</summary>
    /// <param name="reason">Why it is refused, and what to do instead.</param>
    public ExportException Refuse(string reason) => op.Refuse($"{rowName}: {reason}");

    /// <summary>Refuses an axis that is free but must be fixed.</summary>
    /// <param name="axis">Name of the axis, such as <c>the channel axis</c>.</param>
    internal ExportException RefuseFree(string axis) =>
        Refuse($"{axis} is free, but the result depends on its size. Fix it: leave it out of ExportOptions.FreeAxes");

    // ---- arguments -----------------------------------------------------------------------------------------------------------

    /// <summary>Whether the method has an argument with one of these names that is not null.</summary>
    /// <param name="names">Parameter names; <c>self</c> is the receiver.</param>
    /// <returns>Whether there is such an argument.</returns>
    public bool Has(params string[] names) => Raw(names) is not null;

    /// <summary>The n-th tensor among the arguments (the receiver is first).</summary>
    /// <param name="position">Index among the tensors, from 0.</param>
    /// <returns>Its value in the graph.</returns>
    /// <exception cref="ExportException">There are fewer tensors.</exception>
    public GraphValue Tensor(int position = 0)
    {
        var references = ValueRef.In(op.Arguments).ToArray();
        return position < references.Length
            ? builder.Value(references[position].Id)
            : throw Refuse($"tensor argument {position + 1} is missing");
    }

    /// <summary>A tensor argument by parameter name, if there is one.</summary>
    /// <param name="names">Parameter names; the first one that exists is used.</param>
    /// <returns>Its value in the graph; null if it is missing or null.</returns>
    public GraphValue? OptionalTensor(params string[] names) =>
        Raw(names) is ValueRef reference ? builder.Value(reference.Id) : null;

    /// <summary>All tensors of an array argument.</summary>
    /// <param name="names">Parameter names; the first one that exists is used; without one, all tensor
    /// arguments.</param>
    /// <returns>Their values in the graph, in order.</returns>
    public GraphValue[] Tensors(params string[] names) =>
        [
            .. ValueRef
                .In(names.Length == 0 ? op.Arguments : Raw(names))
                .Select(reference => builder.Value(reference.Id)),
        ];

    /// <summary>
    /// An integer that is the same at every size, or the fallback if the argument is missing or null.
    /// </summary>
    /// <param name="fallback">Value for a missing argument.</param>
    /// <param name="names">Parameter names; the first one that exists is used.</param>
    /// <returns>The integer.</returns>
    /// <exception cref="ExportException">It depends on a free axis, or is not an integer.</exception>
    public long Integer(long fallback, params string[] names) =>
        Raw(names) switch
        {
            null => fallback,
            long number => number,
            bool flag => flag ? 1 : 0,
            Enum value => Convert.ToInt64(value, CultureInfo.InvariantCulture),
            double number when number == Math.Floor(number) => (long)number,
            VaryingInteger varying => throw Refuse(
                $"'{names[0]}' depends on a free axis ({Traced(varying.Values)}), but ONNX requires a constant. "
                    + "Use a fixed value, or leave the axis out of ExportOptions.FreeAxes"
            ),
            var other => throw Refuse($"'{names[0]}' is {other}, expected an integer"),
        };

    /// <summary>
    /// Integers that are the same at every size, or null if the argument is missing or null. A single integer is
    /// returned as a list with one element.
    /// </summary>
    /// <param name="names">Parameter names; the first one that exists is used.</param>
    /// <returns>The integers, or null.</returns>
    /// <exception cref="ExportException">One of them depends on a free axis.</exception>
    public long[]? Integers(params string[] names) =>
        Raw(names) switch
        {
            null => null,
            long number => [number],
            object?[] list =>
            [
                .. list.Select(item =>
                    item as long?
                    ?? throw Refuse(
                        $"'{names[0]}' depends on a free axis, but ONNX requires "
                            + "constants. Use fixed values, or leave the axis out of ExportOptions.FreeAxes"
                    )
                ),
            ],
            var other => throw Refuse($"'{names[0]}' is {other}, expected integers"),
        };

    /// <summary>A number, or the fallback if the argument is missing or null.</summary>
    /// <param name="fallback">Value for a missing argument.</param>
    /// <param name="names">Parameter names; the first one that exists is used.</param>
    /// <returns>The number.</returns>
    /// <exception cref="ExportException">It depends on a free axis, or is not a number.</exception>
    public double Number(double fallback, params string[] names) =>
        Raw(names) switch
        {
            null => fallback,
            long number => number,
            double number => number,
            bool flag => flag ? 1 : 0,
            VaryingInteger or VaryingNumber => throw Refuse(
                $"'{names[0]}' depends on a free axis, but ONNX requires a constant. Use a fixed value, or leave "
                    + "the axis out of ExportOptions.FreeAxes"
            ),
            var other => throw Refuse($"'{names[0]}' is {other}, expected a number"),
        };

    /// <summary>A boolean, or the fallback if the argument is missing or null.</summary>
    /// <param name="fallback">Value for a missing argument.</param>
    /// <param name="names">Parameter names; the first one that exists is used.</param>
    /// <returns>The boolean.</returns>
    /// <exception cref="ExportException">It is not a boolean.</exception>
    public bool Flag(bool fallback, params string[] names) =>
        Raw(names) switch
        {
            null => fallback,
            bool flag => flag,
            long number => number != 0,
            var other => throw Refuse($"'{names[0]}' is {other}, expected true or false"),
        };

    /// <summary>A string or the name of an enum member, or null.</summary>
    /// <param name="names">Parameter names; the first one that exists is used.</param>
    /// <returns>The string, or null.</returns>
    public string? Text(params string[] names) => Raw(names)?.ToString();

    /// <summary>
    /// An argument as captured: a number, string, enum, list, or reference to a tensor; null if it is missing or
    /// null.
    /// </summary>
    /// <param name="names">Parameter names; the first one that exists is used.</param>
    internal object? Raw(params string[] names)
    {
        read.UnionWith(names);
        return names.Select(name => arguments.GetValueOrDefault(name)).FirstOrDefault(value => value is not null);
    }

    /// <summary>Converts an axis to its non-negative index.</summary>
    /// <param name="axis">The axis; negative values count from the end.</param>
    /// <param name="rank">Number of axes of the tensor.</param>
    /// <returns>0 to the rank minus one.</returns>
    public long Axis(long axis, int rank) =>
        axis >= -Math.Max(rank, 1) && axis < Math.Max(rank, 1)
            ? (axis < 0 ? axis + Math.Max(rank, 1) : axis)
            : throw Refuse($"axis {axis} is out of range for a tensor of rank {rank}");

    // ---- types and shapes ----------------------------------------------------------------------------------------------------

    /// <summary>The dtype of a result in TorchSharp.</summary>
    /// <param name="index">Index of the result.</param>
    /// <returns>The dtype to which the declared value will be cast.</returns>
    public ScalarType ResultType(int index = 0) =>
        IsUsed(index) ? ComplexPairs.PartOf(builder.Traced.Values[op.Results[index]].Type) : Tensor().Type;

    /// <summary>The rank of a result.</summary>
    /// <param name="index">Index of the result.</param>
    /// <returns>Number of axes.</returns>
    public int ResultRank(int index = 0) =>
        IsUsed(index) ? builder.Traced.Values[op.Results[index]].Shape.Length : op.Parts![0][index].Length;

    /// <summary>Whether anything reads a result.</summary>
    /// <param name="index">Index of the result.</param>
    internal bool IsUsed(int index) => op.Results[index] != TracedOp.Unused;

    /// <summary>Whether the number of results differs between sizes.</summary>
    internal bool HasVaryingResults => op.Parts is { } parts && parts.Any(part => part.Length != parts[0].Length);

    /// <summary>The size of an axis of an argument if it does not depend on the free axes; otherwise null.</summary>
    /// <param name="value">An argument or earlier result.</param>
    /// <param name="axis">Axis, from 0.</param>
    public long? FixedSize(GraphValue value, int axis) => Fixed(SizesOf(value), axis);

    /// <summary>The size of an axis of a result if it does not depend on the free axes; otherwise null.</summary>
    /// <param name="index">Index of the result.</param>
    /// <param name="axis">Axis, from 0.</param>
    public long? FixedResultSize(int index, int axis) => Fixed(ResultSizes(index), axis);

    // The sizes of the result are determined by all arguments, so they count as read.
    /// <summary>The sizes of a result in each trace.</summary>
    /// <param name="index">Index of the result.</param>
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
            : throw Refuse("the shape of an intermediate value of a lowering is not known");

    /// <summary>The size of an axis if all traces agree.</summary>
    /// <param name="shapes">One shape per trace, all of one rank.</param>
    /// <param name="axis">Axis, from 0.</param>
    /// <returns>Null if the size differs between the traces.</returns>
    private static long? Fixed(long[][] shapes, int axis) =>
        shapes.All(shape => shape[axis] == shapes[0][axis]) ? shapes[0][axis] : null;

    /// <summary>A size argument as an int64 value with one element: a constant, or computed from the sizes that it
    /// depends on.</summary>
    internal GraphValue SizeValue(object? size) =>
        size switch
        {
            long constant => Constant(constant),
            VaryingInteger varying => builder.Size(Solve(varying.Values)),
            _ => throw Refuse($"{size} is not a size"),
        };

    /// <summary>Finds the formula that computes an integer from the sizes known so far.</summary>
    /// <param name="values">One value per trace.</param>
    /// <exception cref="ExportException">No formula was found.</exception>
    internal SizeExpression Solve(long[] values)
    {
        var found = solver.Value.Solve(values);
        if (found.Count == 0)
        {
            throw Refuse(
                $"a size is {Traced(values)}, and the exporter found no formula for it over the known "
                    + "sizes. It can find + - * / % min max of two sizes, "
                    + "or of a size and constants, in two or three steps. Compute the size in smaller steps, each "
                    + "used in a tensor operation, or fix the axis: leave it out of ExportOptions.FreeAxes."
            );
        }

        Decide(found, values);
        return found[0];
    }

    /// <summary>Finds the formula that computes a number from the sizes known so far.</summary>
    /// <param name="values">One value per trace.</param>
    /// <exception cref="ExportException">No formula was found.</exception>
    private NumberExpression Solve(double[] values) =>
        NumberSolver.Solve(values, solver.Value)
        ?? throw Refuse(
            $"a number is {Traced(values)}, and the exporter found no formula for it over the known sizes. It "
                + "can find a * f(size) + b, or a * f(size / size), where f is 1/x, sqrt, 1/sqrt or log. "
                + "Compute it with tensor operations, or fix the axis: leave it out of ExportOptions.FreeAxes."
        );

    /// <summary>If several formulas fit, requests a trace at a size at which the first differs from the
    /// others.</summary>
    /// <param name="rivals">Formulas that all fit the traces, the simplest first.</param>
    /// <param name="values">One value per trace, for the message.</param>
    /// <exception cref="UndecidedSizeException">The rivals differ at a size that may still be traced.</exception>
    private void Decide(IReadOnlyList<SizeExpression> rivals, long[] values)
    {
        if (rivals.Count == 1)
            return;
        var refusal = Refuse(
            $"a size is {Traced(values)}: several formulas fit, and forward runs at no size at which they "
                + "differ. Fix the axis: leave it out of ExportOptions.FreeAxes"
        );
        if (rivals.All(rival => rival.Axes.All(axis => builder.SymbolOf(axis) >= 0)))
        {
            // Formulas that differ nowhere are equivalent.
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
    /// <param name="values">One value per trace; at most four different values are shown.</param>
    private string Traced<T>(IReadOnlyList<T> values) =>
        string.Join(
            ", ",
            values
                .Index()
                .DistinctBy(pair => pair.Item) // the same value at other sizes adds no information
                .Take(4)
                .Select(pair =>
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{pair.Item} at {builder.Traced.Symbols.Describe(builder.Traced.Points[pair.Index])}"
                    )
                )
        ) + (values.Distinct().Count() > 4 ? " …" : "");

    /// <summary>A vector of sizes for Reshape, Expand and similar operators.</summary>
    /// <param name="sizes">Each a long, or a <see cref="VaryingInteger"/> that is computed in the graph.</param>
    /// <returns>An int64 vector with one element per size; a constant if all are fixed.</returns>
    internal GraphValue SizeVector(IReadOnlyList<object?> sizes)
    {
        if (sizes.All(size => size is long))
            return Constants([.. sizes.Cast<long>()]);
        return Node("Concat", ScalarType.Int64, 1, [.. sizes.Select(SizeValue)], ("axis", 0L));
    }

    /// <summary>The sizes of a traced shape in the form that <see cref="SizeVector"/> expects.</summary>
    /// <param name="shapes">One shape per trace.</param>
    /// <returns>For each axis a long if the traces agree, otherwise a <see cref="VaryingInteger"/>.</returns>
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

    /// <summary>Adds a node with one output.</summary>
    /// <param name="opType">ONNX operator.</param>
    /// <param name="type">Element type of the output.</param>
    /// <param name="rank">Rank of the output.</param>
    /// <param name="inputs">Inputs; <see cref="GraphValue.None"/> omits an optional one.</param>
    /// <param name="attributes">Attributes; the values are long, float, string or arrays of these.</param>
    /// <returns>The output.</returns>
    public GraphValue Node(
        string opType,
        ScalarType type,
        int rank,
        GraphValue[] inputs,
        params (string Name, object Value)[] attributes
    ) => Nodes(opType, [(type, rank)], inputs, attributes)[0];

    /// <summary>Adds a node whose output has the type and rank of its first input.</summary>
    /// <param name="opType">ONNX operator.</param>
    /// <param name="inputs">Inputs.</param>
    /// <param name="attributes">Attributes; the values are long, float, string or arrays of these.</param>
    /// <returns>The output.</returns>
    public GraphValue Like(string opType, GraphValue[] inputs, params (string Name, object Value)[] attributes) =>
        Node(opType, inputs[0].Type, inputs[0].Rank, inputs, attributes);

    /// <summary>Adds a node with several outputs.</summary>
    /// <param name="opType">ONNX operator.</param>
    /// <param name="outputs">Type and rank of each output.</param>
    /// <param name="inputs">Inputs.</param>
    /// <param name="attributes">Attributes; the values are long, float, string or arrays of these.</param>
    /// <returns>The outputs, in order.</returns>
    /// <exception cref="ExportException">ONNX Runtime supports the operator neither for the operands' dtype nor for
    /// an equivalent one.</exception>
    /// <remarks>
    /// If ONNX Runtime has no kernel for the operands' dtype, they are cast to one that gives the same results, and
    /// the results are cast back; see <see cref="Kernels"/>.
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
                $"ONNX Runtime does not support {opType} for {own}. "
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
    /// <param name="value">The value; it is cast if TorchSharp's result has another dtype.</param>
    /// <param name="index">Index of the result.</param>
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
    /// <param name="tensor">Its value, which is copied.</param>
    /// <param name="name">Its name, which is made unique.</param>
    public GraphValue Computed(Tensor tensor, string name) =>
        builder.Add(
            TensorBytes.ToInitializer(
                builder.Unique(op.ModulePath.Length == 0 ? name : $"{op.ModulePath}.{name}"),
                tensor
            )
        );

    /// <summary>An int64 initializer with one element.</summary>
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

    /// <summary>Casts a value if it has another type.</summary>
    /// <param name="value">The value.</param>
    /// <param name="type">The required type.</param>
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

    /// <summary>The value of a tensor argument.</summary>
    /// <param name="argument">A captured argument, which must be a tensor.</param>
    /// <exception cref="ExportException">It is not a tensor.</exception>
    internal GraphValue Operand(object? argument) =>
        argument is ValueRef reference
            ? builder.Value(reference.Id)
            : throw Refuse($"{argument ?? "null"} is not a tensor");

    /// <summary>An arithmetic operand, a tensor or a number, in a given dtype.</summary>
    /// <param name="argument">A tensor, number, boolean, or a number that depends on a free axis.</param>
    /// <param name="type">The dtype of the result.</param>
    /// <returns>A tensor keeps its shape; a number becomes a scalar (rank 0).</returns>
    /// <exception cref="ExportException">It is neither a tensor nor a number.</exception>
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

    /// <summary>An exact integer scalar (rank 0) in a dtype.</summary>
    /// <param name="number">The integer; not passed through float64, which holds only 53 bits.</param>
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

    /// <summary>Checks that every result has a value and that every argument was read or has its default value, so
    /// that nothing is silently ignored.</summary>
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
                throw Refuse(
                    $"the argument '{name}' ({value}) is not supported by this lowering. Omit it, or "
                        + "add a lowering of your own with ExportOptions.Lowerings"
                );
            }
        }

        for (var position = 0; position < results.Length; position++)
        {
            if (results[position] is null)
                throw Refuse($"the lowering declared no value for result {position}");
        }
    }

    /// <summary>Arguments whose effect the trace already shows (dtype) or that have no meaning in a graph.</summary>
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

    /// <summary>Marks every argument as read.</summary>
    private T ReadAll<T>(T value)
    {
        readAll = true;
        return value;
    }

    // The main node of a module is named by the module's path only, so that a viewer shows `layer1.0.conv1`; nodes of
    // functions append the function's name.
    /// <summary>The name of a node below its module.</summary>
    private string NodeName(string opType) =>
        op.Module is not null
        && opType
            is not ("Cast" or "Reshape" or "Transpose" or "Concat" or "Squeeze" or "Unsqueeze" or "Shape" or "Gather")
            ? ""
        : op.Module is not null ? opType
        : rowName;
}
