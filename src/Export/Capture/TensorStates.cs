// What it does: knows for every tensor object of a trace the value in the graph that it stands for. A graph's values
// never change, and tensors do. So an in-place operation gives its tensor a new value; whoever sees the same memory,
// a base or another view, is brought up to date when it is read: the written view's elements are put into its base
// (ViewInverse), and the other views are made again from there. What nobody reads again costs nothing, and refuses
// nothing.
using System.Runtime.CompilerServices;
using TorchBridge.Export.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>The values that the tensors of one trace stand for.</summary>
/// <param name="trace">Where values and operations are added.</param>
/// <param name="model">Names of the parameters.</param>
internal sealed class TensorStates(Trace trace, ModelMap model)
{
    /// <summary>Of a tensor that is no more, for a message.</summary>
    public const string WasDisposed =
        "a tensor after it was disposed: by Dispose, or by a dispose scope that has ended. Take it out of the scope with "
        + "MoveToOuterDisposeScope or DetachFromDisposeScope.";

    /// <summary>
    /// States of the tensors of this run. Weak: a tensor that forward drops is freed while the run goes on.
    /// </summary>
    private readonly ConditionalWeakTable<Tensor, TensorState> states = [];

    /// <summary>
    /// States of tensors that nothing recorded made, by identity; held for the run, unlike those of results.
    /// </summary>
    private readonly Dictionary<Tensor, TensorState> externals = new(ReferenceEqualityComparer.Instance);

    /// <summary>States of parameters and buffers by name: several C# objects may stand for one.</summary>
    private readonly Dictionary<string, TensorState> parameters = new(StringComparer.Ordinal);

    /// <summary>Called with every value that is made, as it is then: a later operation may change it in
    /// place.</summary>
    public Action<int, Tensor>? OnValue { get; init; }

    /// <summary>Adds an input of the model.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="tensor">Its tensor in this run.</param>
    public void AddInput(string name, Tensor tensor)
    {
        var state = NewState(
            tensor,
            NewValue(ValueKind.Input, name, tensor.shape, tensor.dtype),
            new SharedMemory { IsExternal = false },
            null
        );
        state.IsFromInput = true;
        states.Add(tensor, state);
    }

    /// <summary>What a tensor stands for, if anything recorded made it or read it.</summary>
    /// <param name="tensor">Any tensor.</param>
    public TensorState? Find(Tensor tensor) =>
        states.TryGetValue(tensor, out var state) ? state : externals.GetValueOrDefault(tensor);

    /// <summary>Whether the numbers of a tensor follow the model's inputs.</summary>
    /// <param name="tensor">Any tensor.</param>
    public bool IsFromInput(Tensor tensor) => Find(tensor) is { IsFromInput: true };

    /// <summary>A tensor object is a tensor that is known, from now on.</summary>
    /// <param name="tensor">The object.</param>
    /// <param name="known">What it stands for.</param>
    public void Same(Tensor tensor, TensorState known) => states.AddOrUpdate(tensor, known);

    /// <summary>The value of a tensor that is read now.</summary>
    /// <param name="tensor">Any tensor.</param>
    /// <param name="site">Who reads it, for a refusal.</param>
    /// <param name="path">Path of the module that reads it.</param>
    /// <returns>Its value, after all writes into its memory so far.</returns>
    public TracedValue Read(Tensor tensor, CallSite site, string path)
    {
        var state = StateOf(tensor, site, path);
        Refresh(state, site, path);
        if (state.Value is not null)
            return state.Value;
        // A part of chunk or split, read for the first time. How many parts there are may follow a size; those that
        // are used do not.
        var link = state.Link!;
        var (shape, type) = link.Results[link.Index];
        state.Value = NewValue(ValueKind.Result, "", shape, type);
        link.Operation.Results[link.Index] = state.Value.Id;
        OnValue?.Invoke(state.Value.Id, tensor);
        return state.Value;
    }

    /// <summary>Gives the results of an operation their values.</summary>
    /// <param name="op">The operation, with its results still open.</param>
    /// <param name="inputs">Tensors that it read.</param>
    /// <param name="results">Tensors that it made.</param>
    public void AddResults(TracedOp op, IReadOnlyList<Tensor> inputs, IReadOnlyList<Tensor> results)
    {
        var shapes = results.Select(result => (result.shape, result.dtype)).ToArray();
        var isFromInput = inputs.Any(IsFromInput) && !MakesOwnNumbers(op);
        for (var position = 0; position < results.Count; position++)
        {
            var link = LinkOf(op, inputs, results[position], position, shapes);
            TracedValue? value = null;
            if (op.Parts is null || link is null)
            {
                value = NewValue(ValueKind.Result, "", results[position].shape, results[position].dtype);
                op.Results[position] = value.Id;
                OnValue?.Invoke(value.Id, results[position]);
            }

            var memory = link?.Source.Memory ?? new SharedMemory { IsExternal = false };
            var state = NewState(results[position], value, memory, link);
            state.IsFromInput = isFromInput;
            states.AddOrUpdate(results[position], state);
        }
    }

    /// <summary>Gives a tensor that was changed in place a new value.</summary>
    /// <param name="op">The operation, with its result still open.</param>
    /// <param name="target">The tensor.</param>
    /// <param name="result">What the operation returned: the same tensor, perhaps as another object.</param>
    /// <param name="inputs">Tensors that it read.</param>
    public void AddWrite(TracedOp op, Tensor target, Tensor? result, IReadOnlyList<Tensor> inputs)
    {
        var state = Find(target)!;
        state.Value = NewValue(ValueKind.Result, "", target.shape, target.dtype);
        op.Results[0] = state.Value.Id;
        OnValue?.Invoke(state.Value.Id, target);
        state.Version = ++state.Memory.Version;
        state.Memory.LastWritten = state;
        for (var at = state; at is not null; at = at.Link?.Source)
            at.IsFromInput |= inputs.Any(IsFromInput);
        if (result is not null && !ReferenceEquals(result, target))
            states.AddOrUpdate(result, state);
    }

    /// <summary>The tensor from outside that a tensor is, or is a view of; null where forward made it.</summary>
    /// <param name="tensor">Any tensor.</param>
    public TensorState? ExternalRoot(Tensor tensor)
    {
        if (Find(tensor) is not { Memory.IsExternal: true } state)
            return null;
        while (state.Link is { } link)
            state = link.Source;
        return state;
    }

    /// <summary>Whether an operation takes shape and dtype from its input, and not its numbers.</summary>
    /// <param name="op">A recorded call.</param>
    private static bool MakesOwnNumbers(TracedOp op) =>
        op.Method.Name
            is "zeros_like"
                or "ones_like"
                or "empty_like"
                or "full_like"
                or "new_zeros"
                or "new_ones"
                or "new_empty"
                or "new_full"
                or "rand_like"
                or "randn_like";

    /// <summary>A state that knows of all writes so far.</summary>
    /// <param name="tensor">Held weakly.</param>
    /// <param name="value">What it stands for; null where it is read for the first time later.</param>
    /// <param name="memory">Shared by all tensors that see the same elements.</param>
    /// <param name="link">How it was made of another tensor; null for one with memory of its own.</param>
    private static TensorState NewState(Tensor tensor, TracedValue? value, SharedMemory memory, ViewLink? link) =>
        new()
        {
            Value = value,
            Memory = memory,
            Link = link,
            Version = memory.Version,
            Tensor = new(tensor),
        };

    /// <summary>
    /// The link of a result to the input whose memory it sees; null where it has its own.
    /// </summary>
    /// <param name="op">What made the result.</param>
    /// <param name="inputs">All tensors that it was given.</param>
    /// <param name="result">One of its results.</param>
    /// <param name="index">Which one.</param>
    /// <param name="shapes">Shape and dtype of every result.</param>
    private ViewLink? LinkOf(
        TracedOp op,
        IReadOnlyList<Tensor> inputs,
        Tensor result,
        int index,
        (long[], ScalarType)[] shapes
    )
    {
        var source = inputs.FirstOrDefault(input => TensorMemory.Shares(result, input));
        if (source is null && op.Module is null && ViewInverse.IsView(op.Method))
            source = inputs[0]; // without elements, so without memory
        if (source is null || source.IsInvalid || Find(source) is not { } state)
            return null;
        return new ViewLink(
            state,
            state.Value!.Id,
            op,
            index,
            shapes,
            op.Parts is null && TensorMemory.SameGeometry(result, source)
        );
    }

    /// <summary>What a tensor stands for; one that nothing recorded made becomes a parameter or a constant.</summary>
    /// <param name="tensor">Any tensor.</param>
    /// <param name="site">Who reads it, for a refusal.</param>
    /// <param name="path">Path of the module that reads it.</param>
    /// <exception cref="ExportException">It has been disposed.</exception>
    public TensorState StateOf(Tensor tensor, CallSite site, string path)
    {
        if (Find(tensor) is { } known)
            return known;
        if (tensor.IsInvalid)
            throw new ExportException(path, site.Place, $"forward uses {WasDisposed}");
        // Made by nothing recorded: a parameter, or a constant that all traces must agree on (see TraceMerger).
        var (name, own) = model.FindParameter(tensor);
        if (name is not null && parameters.TryGetValue(name, out var state))
        {
            externals.Add(tensor, state);
            return state;
        }

        // A copy, because a cache that forward fills may be changed or disposed before the traces are compared;
        // parameters stay as they are.
        var kept = own ?? TensorMemory.Keep(tensor);
        var kind = name is null ? ValueKind.Constant : ValueKind.Parameter;
        var value = new TracedValue
        {
            Id = trace.Values.Count,
            Kind = kind,
            Name = name ?? "",
            Type = tensor.dtype,
            Shape = tensor.shape,
            Tensor = kept,
        };
        trace.Values.Add(value);
        state = NewState(tensor, value, new SharedMemory { IsExternal = true }, null);
        externals.Add(tensor, state);
        if (name is not null)
            parameters.Add(name, state);
        return state;
    }

    /// <summary>Adds a value to the trace.</summary>
    /// <param name="kind">Where it comes from.</param>
    /// <param name="name">An input's or parameter's; empty for a result.</param>
    /// <param name="shape">Its sizes in this run.</param>
    /// <param name="type">Its dtype.</param>
    private TracedValue NewValue(ValueKind kind, string name, long[] shape, ScalarType type)
    {
        var value = new TracedValue
        {
            Id = trace.Values.Count,
            Kind = kind,
            Name = name,
            Type = type,
            Shape = shape,
        };
        trace.Values.Add(value);
        return value;
    }

    // ---- memory that is seen several times -----------------------------------------------------------------------------------

    /// <summary>Brings a tensor up to date with the writes into its memory.</summary>
    /// <param name="state">What is about to be read.</param>
    /// <param name="site">Where the call stands.</param>
    /// <param name="path">Of the module.</param>
    private void Refresh(TensorState state, CallSite site, string path)
    {
        var memory = state.Memory;
        if (state.Version == memory.Version)
            return;
        if (memory.LastWritten is { } written)
        {
            memory.LastWritten = null;
            WriteBack(written, site, path);
        }

        MakeAgain(state, memory.Version, site, path);
        memory.Synchronized = memory.Version;
    }

    /// <summary>Brings the tensors that a written view is a view of up to date.</summary>
    /// <param name="written">What was changed in place.</param>
    /// <param name="site">Where the call stands.</param>
    /// <param name="path">Of the module.</param>
    private void WriteBack(TensorState written, CallSite site, string path)
    {
        for (var at = written; at.Link is { } link; at = link.Source)
        {
            var source = link.Source;
            if (link.IsSame)
            {
                source.Value = at.Value;
            }
            else
            {
                // What is put into must be what the tensor was just before.
                MakeAgain(source, source.Memory.Synchronized, site, path);
                if (ViewInverse.Of(link, source.Value!, at.Value!) is not var (method, arguments))
                    throw new ExportException(
                        path,
                        site.Place,
                        "a tensor is read whose memory was changed in place through "
                            + $"{link.Operation.Site.CalleeName} ({link.Operation.Site.Place}). Use the "
                            + "operation without the underscore there."
                    );
                source.Value = Emit(
                    link.Operation,
                    method,
                    null,
                    arguments,
                    [(source.Value!.Shape, source.Value.Type)],
                    0,
                    source
                );
            }

            source.Version = written.Version;
        }
    }

    /// <summary>Gives a view that knows of fewer writes a new value, made of what it is a view of.</summary>
    /// <param name="state">Of the view.</param>
    /// <param name="version">How many writes its value must know of.</param>
    /// <param name="site">For a refusal: where the view is read.</param>
    /// <param name="path">For a refusal: the module that reads it.</param>
    private void MakeAgain(TensorState state, int version, CallSite site, string path)
    {
        if (state.Version >= version && state.Value is not null)
            return;
        if (state.Link is not { } link)
            return; // the owner is up to date when what was written last is written back
        MakeAgain(link.Source, version, site, path);
        var source = link.Source.Value
            ?? throw new InvalidOperationException("a view of a tensor that nothing has read");
        if (link.IsSame)
        {
            state.Value = source;
        }
        else
        {
            var op = link.Operation;
            if (
                op.Module is null
                && !ViewInverse.IsView(op.Method)
                && ViewInverse.Of(link, source, source with { Shape = link.Results[link.Index].Shape }) is null
            )
                throw new ExportException(
                    path,
                    site.Place,
                    $"a tensor is read whose memory was changed in place; {op.Site.CalleeName} made it "
                        + $"({op.Site.Place}) and cannot be repeated. Use the operation without the underscore."
                );
            var arguments = op.Arguments.Select(argument => Replace(argument, link.SourceValue, source.Id)).ToArray();
            state.Value = Emit(op, op.Method, op.Module, arguments, link.Results, link.Index, state);
        }

        state.Version = version;
    }

    /// <summary>
    /// Adds an operation that makes a value up to date, in the name of the one that made it first.
    /// </summary>
    /// <param name="like">Whose site, module path and parts it takes.</param>
    /// <param name="method">What is called.</param>
    /// <param name="module">Run as one operation; null for a method.</param>
    /// <param name="arguments">As the trace holds them.</param>
    /// <param name="results">Shape and dtype of each result.</param>
    /// <param name="index">The result that is wanted.</param>
    /// <param name="made">Gets the value.</param>
    private TracedValue Emit(
        TracedOp like,
        System.Reflection.MethodBase method,
        nn.Module? module,
        object?[] arguments,
        IReadOnlyList<(long[] Shape, ScalarType Type)> results,
        int index,
        TensorState made
    )
    {
        var values = results
            .Select(
                (result, i) =>
                    like.Parts is null || i == index ? NewValue(ValueKind.Result, "", result.Shape, result.Type) : null
            )
            .ToArray();
        trace.Ops.Add(
            new TracedOp
            {
                Site = ReferenceEquals(method, like.Method) ? like.Site : like.Site with { Callee = method },
                Method = method,
                Module = module,
                ModulePath = like.ModulePath,
                Arguments = arguments,
                Results = [.. values.Select(value => value?.Id ?? TracedOp.Unused)],
                Parts = ReferenceEquals(method, like.Method) ? like.Parts : null,
            }
        );
        if (OnValue is not null && made.Tensor.TryGetTarget(out var tensor) && !tensor.IsInvalid)
            OnValue(values[index]!.Id, tensor);
        return values[index]!;
    }

    /// <summary>An argument with one value in the place of another.</summary>
    /// <param name="argument">Of a recorded call.</param>
    /// <param name="old">A value's number.</param>
    /// <param name="current">The number that stands for it now.</param>
    private static object? Replace(object? argument, int old, int current) =>
        argument switch
        {
            ValueRef reference when reference.Id == old => new ValueRef(current),
            object?[] list => list.Select(item => Replace(item, old, current)).ToArray(),
            IndexArgument index => index with { Tensor = Replace(index.Tensor, old, current) },
            _ => argument,
        };
}
