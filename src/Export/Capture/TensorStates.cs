// What it does: maps every tensor object of a trace to the value in the graph that it represents. A graph's values
// never change, but tensors do. So an in-place operation assigns a new value to its tensor; a tensor over the same
// memory, a base or another view, is brought up to date when it is read: the written view's elements are inserted
// into its base (ViewInverse), and the other views are derived from the base again. A tensor that is not read again
// costs nothing and is never refused.
using System.Runtime.CompilerServices;
using TorchBridge.Export.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>The graph values that the tensors of one trace represent.</summary>
/// <param name="trace">Receives values and operations.</param>
/// <param name="model">Names of the parameters.</param>
internal sealed class TensorStates(Trace trace, ModelMap model)
{
    /// <summary>Describes a disposed tensor, for messages.</summary>
    public const string WasDisposed =
        "a tensor that has been disposed, by Dispose or because its dispose scope has ended. Move it out of the "
        + "scope with MoveToOuterDisposeScope or DetachFromDisposeScope.";

    /// <summary>
    /// States of the tensors of this run. Held weakly, so that a tensor that forward no longer uses is freed during
    /// the run.
    /// </summary>
    private readonly ConditionalWeakTable<Tensor, TensorState> states = [];

    /// <summary>
    /// States of tensors that no recorded operation created, by identity; held for the whole run, unlike those of
    /// results.
    /// </summary>
    private readonly Dictionary<Tensor, TensorState> externals = new(ReferenceEqualityComparer.Instance);

    /// <summary>States of parameters and buffers by name: several C# objects may represent one.</summary>
    private readonly Dictionary<string, TensorState> parameters = new(StringComparer.Ordinal);

    /// <summary>Called with every value right after it was computed, because a later operation may change it in
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

    /// <summary>The state of a tensor, if any recorded operation created or read it.</summary>
    /// <param name="tensor">Any tensor.</param>
    public TensorState? Find(Tensor tensor) =>
        states.TryGetValue(tensor, out var state) ? state : externals.GetValueOrDefault(tensor);

    /// <summary>Whether the elements of a tensor depend on the model's inputs.</summary>
    /// <param name="tensor">Any tensor.</param>
    public bool IsFromInput(Tensor tensor) => Find(tensor) is { IsFromInput: true };

    /// <summary>Declares that a tensor object represents a known tensor.</summary>
    /// <param name="tensor">The object.</param>
    /// <param name="known">State of the known tensor.</param>
    public void Same(Tensor tensor, TensorState known) => states.AddOrUpdate(tensor, known);

    /// <summary>The current value of a tensor that is being read.</summary>
    /// <param name="tensor">Any tensor.</param>
    /// <param name="site">The reading call site, for error messages.</param>
    /// <param name="path">Path of the module that reads it.</param>
    /// <returns>Its value after all writes to its memory so far.</returns>
    public TracedValue Read(Tensor tensor, CallSite site, string path)
    {
        var state = StateOf(tensor, site, path);
        Refresh(state, site, path);
        if (state.Value is not null)
            return state.Value;
        // A part of chunk or split that is read for the first time. The number of parts may depend on a size; the
        // parts that are used do not.
        var link = state.Link!;
        var (shape, type) = link.Results[link.Index];
        state.Value = NewValue(ValueKind.Result, "", shape, type);
        link.Operation.Results[link.Index] = state.Value.Id;
        OnValue?.Invoke(state.Value.Id, tensor);
        return state.Value;
    }

    /// <summary>Creates values for the results of an operation.</summary>
    /// <param name="op">The operation; its results are filled in here.</param>
    /// <param name="inputs">Tensors that it read.</param>
    /// <param name="results">Tensors that it returned.</param>
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

    /// <summary>Assigns a new value to a tensor that was changed in place.</summary>
    /// <param name="op">The operation; its result is filled in here.</param>
    /// <param name="target">The tensor.</param>
    /// <param name="result">What the operation returned: the same tensor, possibly as another object.</param>
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

    /// <summary>The tensor from outside forward that a tensor is, or is a view of; null if forward created
    /// it.</summary>
    /// <param name="tensor">Any tensor.</param>
    public TensorState? ExternalRoot(Tensor tensor)
    {
        if (Find(tensor) is not { Memory.IsExternal: true } state)
            return null;
        while (state.Link is { } link)
            state = link.Source;
        return state;
    }

    /// <summary>Whether an operation uses only the shape and dtype of its input, not its elements.</summary>
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

    /// <summary>Creates a state that reflects all writes so far.</summary>
    /// <param name="tensor">The tensor, held weakly.</param>
    /// <param name="value">Its value; null if it is determined at the first read.</param>
    /// <param name="memory">The memory, shared by all tensors over the same elements.</param>
    /// <param name="link">How it was derived from another tensor; null if it owns its memory.</param>
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
    /// The link from a result to the input whose memory it shares; null if it owns its memory.
    /// </summary>
    /// <param name="op">The operation that created the result.</param>
    /// <param name="inputs">All tensors among its arguments.</param>
    /// <param name="result">One of its results.</param>
    /// <param name="index">Index of that result.</param>
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
            source = inputs[0]; // no elements, so no memory
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

    /// <summary>The state of a tensor; a tensor that no recorded operation created becomes a parameter or a
    /// constant.</summary>
    /// <param name="tensor">Any tensor.</param>
    /// <param name="site">The reading call site, for error messages.</param>
    /// <param name="path">Path of the module that reads it.</param>
    /// <exception cref="ExportException">It has been disposed.</exception>
    public TensorState StateOf(Tensor tensor, CallSite site, string path)
    {
        if (Find(tensor) is { } known)
            return known;
        if (tensor.IsInvalid)
            throw new ExportException(path, site.Place, $"forward uses {WasDisposed}");
        // Not created by a recorded operation: a parameter, or a constant that must be equal in all traces (see
        // TraceMerger).
        var (name, own) = model.FindParameter(tensor);
        if (name is not null && parameters.TryGetValue(name, out var state))
        {
            externals.Add(tensor, state);
            return state;
        }

        // A copy, because a cache that forward fills may be changed or disposed before the traces are compared;
        // parameters are not copied.
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
    /// <param name="kind">Origin of the value.</param>
    /// <param name="name">Name of an input or parameter; empty for a result.</param>
    /// <param name="shape">Its shape in this run.</param>
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

    /// <summary>Brings a tensor up to date with the writes to its memory.</summary>
    /// <param name="state">State of the tensor that is about to be read.</param>
    /// <param name="site">The call site.</param>
    /// <param name="path">Path of the module.</param>
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

    /// <summary>Brings the bases of a written view up to date.</summary>
    /// <param name="written">State of the tensor that was changed in place.</param>
    /// <param name="site">The call site.</param>
    /// <param name="path">Path of the module.</param>
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
                // The elements must be inserted into the value that the base had just before the write.
                MakeAgain(source, source.Memory.Synchronized, site, path);
                if (ViewInverse.Of(link, source.Value!, at.Value!) is not var (method, arguments))
                    throw new ExportException(
                        path,
                        site.Place,
                        "a tensor is read after its memory was changed in place through "
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

    /// <summary>Assigns a new value, derived from its base, to a view whose value reflects fewer writes.</summary>
    /// <param name="state">State of the view.</param>
    /// <param name="version">Number of writes that its value must reflect.</param>
    /// <param name="site">The call site that reads the view, for error messages.</param>
    /// <param name="path">Path of the module that reads it, for error messages.</param>
    private void MakeAgain(TensorState state, int version, CallSite site, string path)
    {
        if (state.Version >= version && state.Value is not null)
            return;
        if (state.Link is not { } link)
            return; // the owner is up to date once the last write has been written back
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
                    $"a tensor is read after its memory was changed in place; {op.Site.CalleeName} created it "
                        + $"({op.Site.Place}) and cannot be repeated. Use the operation without the underscore."
                );
            var arguments = op.Arguments.Select(argument => Replace(argument, link.SourceValue, source.Id)).ToArray();
            state.Value = Emit(op, op.Method, op.Module, arguments, link.Results, link.Index, state);
        }

        state.Version = version;
    }

    /// <summary>
    /// Adds an operation that brings a value up to date, on behalf of the operation that created it first.
    /// </summary>
    /// <param name="like">The operation whose call site, module path and parts are used.</param>
    /// <param name="method">What is called.</param>
    /// <param name="module">Module that ran as one operation; null for a method.</param>
    /// <param name="arguments">Arguments as converted for the trace.</param>
    /// <param name="results">Shape and dtype of each result.</param>
    /// <param name="index">Index of the wanted result.</param>
    /// <param name="made">Receives the value.</param>
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

    /// <summary>Replaces one value by another in an argument.</summary>
    /// <param name="argument">Argument of a recorded call.</param>
    /// <param name="old">Number of the value to replace.</param>
    /// <param name="current">Number of the value that replaces it.</param>
    private static object? Replace(object? argument, int old, int current) =>
        argument switch
        {
            ValueRef reference when reference.Id == old => new ValueRef(current),
            object?[] list => list.Select(item => Replace(item, old, current)).ToArray(),
            IndexArgument index => index with { Tensor = Replace(index.Tensor, old, current) },
            _ => argument,
        };
}
