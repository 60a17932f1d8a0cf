// What it does: follows one run of an instrumented forward. A tensor is identified by its C# object (TensorStates);
// an operation's result gets a new value, and an in-place operation assigns a new value to its receiver. See
// CallWrapper for who calls Intercept, Record, Enter and Argument.
using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Records one trace. While the instrumented forward runs, one recorder is current on its thread.</summary>
internal sealed class Recorder
{
    /// <summary>The recorder of the forward that is running on this thread.</summary>
    [ThreadStatic]
    private static Recorder? current;

    /// <summary>Creates the copies of the user's methods, and knows the call sites by number.</summary>
    private readonly MethodInstrumenter instrumenter;

    /// <summary>Instruments the user's delegates and iterators.</summary>
    private readonly UserCode userCode;

    /// <summary>Paths of the modules, names of the parameters.</summary>
    private readonly ModelMap model;

    /// <summary>Whether a module is recorded as one operation instead of being entered.</summary>
    private readonly Func<nn.Module, bool> isLeaf;

    /// <summary>Maps each tensor to its value in the trace.</summary>
    private readonly TensorStates states;

    /// <summary>Modules that forward creates itself.</summary>
    private readonly MadeModules made;

    /// <summary>Paths of the modules whose forward is running, the innermost on top.</summary>
    private readonly Stack<string> path = new();

    /// <summary>
    /// Calls that have begun and not ended: the arguments as the wrapper passed them, and as converted for the trace.
    /// A call that throws leaves its entry on the stack.
    /// </summary>
    private readonly Stack<(object?[] Arguments, object?[] Converted)> begun = new();

    /// <summary>
    /// Stack size in bytes beyond which forward is taken to recurse endlessly; <see cref="MostOperations"/> is the
    /// same limit for the number of operations.
    /// </summary>
    private const long DeepestStack = 2 << 20;

    /// <summary>See <see cref="DeepestStack"/>.</summary>
    private const int MostOperations = 50_000;

    /// <summary>Address of a local variable when the trace began, from which the stack depth is measured.</summary>
    private readonly nint stackAtStart = StackAddress();

    /// <summary>Bytes of results since the last garbage collection.</summary>
    private long bytesSinceCollection;

    /// <summary>Starts a trace.</summary>
    /// <param name="instrumenter">Creates the copies; shared by all traces of an export.</param>
    /// <param name="model">Paths of the modules, names of the parameters.</param>
    /// <param name="isLeaf">Whether a module has its own lowering.</param>
    /// <param name="onValue">Called with every value right after an operation computed it, because a later operation
    /// may change it in place.</param>
    public Recorder(
        MethodInstrumenter instrumenter,
        ModelMap model,
        Func<nn.Module, bool> isLeaf,
        Action<int, Tensor>? onValue = null
    )
    {
        this.instrumenter = instrumenter;
        this.model = model;
        this.isLeaf = isLeaf;
        userCode = new UserCode(instrumenter);
        states = new TensorStates(Trace, model) { OnValue = onValue };
        made = new MadeModules(model, Trace);
    }

    /// <summary>What was recorded so far.</summary>
    public Trace Trace { get; } = new();

    /// <summary>Called with every module that has its own lowering, and with its first input tensor, before it
    /// runs.</summary>
    public Action<nn.Module, Tensor>? OnLeaf { get; init; }

    /// <summary>Called with a tensor that forward did not create, before it is changed in place for the first
    /// time.</summary>
    public Action<Tensor>? OnExternalWrite { get; init; }

    /// <summary>Called when forward draws random numbers that become constants, as numbers in its code do; null if
    /// the draws are recorded.</summary>
    public Action? OnFixedDraw { get; init; }

    /// <summary>The tensors that the model returned.</summary>
    public Tensor[] OutputTensors { get; private set; } = [];

    /// <summary>Path of the module whose forward is running.</summary>
    private string Path => path.TryPeek(out var top) ? top : "";

    /// <summary>Runs the model's instrumented forward on the inputs and records it.</summary>
    /// <param name="root">The model.</param>
    /// <param name="plan">How its forward is called.</param>
    /// <param name="inputs">Input tensors with their names.</param>
    /// <returns>The trace; its outputs are the values that forward returned.</returns>
    public Trace Run(nn.Module root, ForwardPlan plan, (string Name, Tensor Tensor)[] inputs)
    {
        foreach (var (name, tensor) in inputs)
            states.AddInput(name, tensor);
        var previous = current;
        current = this;
        try
        {
            var site = new CallSite(plan.Method, plan.Method, IsVirtual: false, 0);
            var result = CallModule(
                site,
                root,
                plan.Method,
                [root, .. plan.Arguments([.. inputs.Select(input => input.Tensor)])]
            );
            foreach (var (name, tensor) in ForwardResult.Flatten(result))
                Trace.Outputs.Add((name, states.Read(tensor, site, "").Id));
            OutputTensors = [.. ForwardResult.Flatten(result).Select(pair => pair.Tensor)];
            if (Trace.Outputs.Count == 0)
                throw new ExportException(
                    "",
                    null,
                    "forward returns no tensor. It must return at least one, "
                        + "alone or in a tuple, list or dictionary."
                );
            return Trace;
        }
        finally
        {
            current = previous;
        }
    }

    /// <summary>
    /// Called by a wrapper before a TorchSharp call: either handles the call itself or lets the wrapper make it.
    /// </summary>
    /// <param name="siteIndex">Number of the call site.</param>
    /// <param name="arguments">Receiver first.</param>
    /// <param name="handled">The result where the call was handled.</param>
    /// <returns>Whether the call was handled and must not be made.</returns>
    public static bool Intercept(int siteIndex, object?[] arguments, out object? handled)
    {
        var recorder = Current();
        var site = recorder.instrumenter.Site(siteIndex);
        handled = null;
        switch (recorder.KindOf(site))
        {
            case CallKind.Module:
                var given = CallPolicy.IsArrow(site.Callee) ? [arguments[1], arguments[0]] : arguments;
                var module =
                    given[0] as nn.Module
                    ?? throw recorder.Refuse(site, $"{site.CalleeName} is called on a null module");
                handled = recorder.CallModule(site, module, null, given);
                return true;
            case CallKind.ReadsNumbers when arguments.OfType<Tensor>().Any(recorder.states.IsFromInput):
                throw recorder.Refuse(
                    site,
                    $"{site.CalleeName} reads numbers out of a tensor that depends on the input, and an ONNX "
                        + "graph has no numbers outside its tensors. "
                        + "Keep the value in a tensor (torch.where for a choice, tensor arithmetic for a "
                        + "factor), or compute it once in the constructor."
                );
            case CallKind.Operation:
                recorder.Begin(site, site.Callee, arguments);
                return false;
            case CallKind.SameValue:
                // Before the call, because new Parameter(x) takes over x's handle.
                recorder.begun.Push(
                    (
                        arguments,
                        [.. TensorsOf(arguments).Select(tensor => recorder.states.StateOf(tensor, site, recorder.Path))]
                    )
                );
                return false;
            default:
                return false;
        }
    }

    /// <summary>Called by a wrapper after a TorchSharp call.</summary>
    /// <param name="siteIndex">Number of the call site.</param>
    /// <param name="arguments">The same array that was passed to <see cref="Intercept"/>.</param>
    /// <param name="result">What the call returned.</param>
    public static void Record(int siteIndex, object?[] arguments, object? result)
    {
        var recorder = current!;
        var site = recorder.instrumenter.Site(siteIndex);
        switch (recorder.KindOf(site))
        {
            case CallKind.SameValue:
                recorder.PassThrough(arguments, result);
                break;
            case CallKind.Operation:
                recorder.End(
                    site,
                    site.Callee,
                    module: null,
                    recorder.Path,
                    arguments,
                    result,
                    InPlaceTarget(site.Callee, arguments)
                );
                break;
            default:
                break; // reads a constant
        }
    }

    /// <summary>
    /// Called by a wrapper before a call of the user's code: returns the instrumented copy, or null if the code is
    /// not the user's.
    /// </summary>
    /// <param name="siteIndex">Number of the call site.</param>
    /// <param name="receiver">The object, or null for a static method.</param>
    public static Delegate? Enter(int siteIndex, object? receiver)
    {
        var recorder = Current();
        var site = recorder.instrumenter.Site(siteIndex);
        recorder.CheckDepth(site);
        try
        {
            if (receiver is Delegate code && typeof(Delegate).IsAssignableFrom(site.Callee.DeclaringType))
                return code.GetInvocationList().Length == 1
                    ? recorder.userCode.Instrumented(code, site)
                    : throw recorder.Refuse(
                        site,
                        "a multicast delegate (a delegate that holds several methods) "
                            + "is called. Call the methods one by one."
                    );
            var callee = site.Callee;
            if (site.IsVirtual && receiver is not null)
                callee = VirtualMethods.Resolve((MethodInfo)callee, receiver.GetType());
            return TorchTypes.IsUser(callee.DeclaringType)
                ? recorder.Copy(site, callee)?.CreateDelegate(site.EntryType!)
                : null;
        }
        catch (NotSupportedException error)
        {
            throw recorder.Refuse(site, $"{site.CalleeName} cannot be followed: {error.Message}", error);
        }
    }

    /// <summary>Called by a wrapper with a delegate or sequence that is passed to the framework.</summary>
    /// <param name="siteIndex">Number of the call site.</param>
    /// <param name="argument">The argument that the user's code passes.</param>
    /// <returns>An instrumented replacement, or the argument itself.</returns>
    public static object? Argument(int siteIndex, object? argument)
    {
        var recorder = Current();
        var site = recorder.instrumenter.Site(siteIndex);
        try
        {
            return recorder.userCode.Argument(argument, site);
        }
        catch (NotSupportedException error)
        {
            throw recorder.Refuse(site, error.Message, error);
        }
    }

    /// <summary>The recorder of this thread; refuses parts of forward that run on other threads.</summary>
    private static Recorder Current() =>
        current
        ?? throw new ExportException(
            "forward runs part of its code on another thread, or after the export has ended (Task.Run, "
                + "Parallel, a lambda that was kept). Run all of it on one thread."
        );

    /// <summary>How a call site is handled; draws of random numbers that become constants are left alone.</summary>
    /// <param name="site">The call site.</param>
    private CallKind KindOf(CallSite site)
    {
        if (site.Callee is ConstructorInfo constructor)
            return CallPolicy.ClassifyConstruction(constructor);
        if (OnFixedDraw is null || !RandomDraws.IsDraw(site.Callee))
            return CallPolicy.Classify(site.Callee);
        OnFixedDraw();
        return CallKind.LeaveAlone;
    }

    /// <summary>A refusal that names the module and the source line.</summary>
    /// <param name="site">The call site.</param>
    /// <param name="reason">What cannot be exported, and what to do instead.</param>
    /// <param name="cause">The exception that was thrown, if any.</param>
    private ExportException Refuse(CallSite site, string reason, Exception? cause = null) =>
        new(Path, site.Place, reason, cause);

    // ---- modules and methods -------------------------------------------------------------------------------------------------

    /// <summary>
    /// Calls a module: as one operation if it has a lowering, child by child if it is a Sequential, otherwise by
    /// entering its forward.
    /// </summary>
    /// <param name="site">The call site.</param>
    /// <param name="module">The called module.</param>
    /// <param name="reached">The forward that the call reaches; null if it is not known.</param>
    /// <param name="arguments">Arguments of the call.</param>
    private object? CallModule(CallSite site, nn.Module module, MethodInfo? reached, object?[] arguments)
    {
        CheckDepth(site);
        var modulePath = model.Paths.TryGetValue(module, out var known) ? known : made.PathOf(module, Path, site);
        ModelMap.RefuseHooks(module, modulePath);
        path.Push(modulePath);
        try
        {
            var forward = reached ?? ForwardMethods.Reached(site, module.GetType(), arguments);
            if (isLeaf(module))
                return RunLeaf(site, module, forward, modulePath, arguments);
            if (forward is null)
                throw Refuse(
                    site,
                    $"{module.GetType().Name} has no forward that accepts "
                        + $"{string.Join(", ", arguments.Skip(1).Select(argument => argument?.GetType().Name ?? "null"))}"
                );
            if (!TorchTypes.IsTorch(forward.DeclaringType))
                return EnterForward(site, forward, ForwardMethods.WithDefaults(forward, arguments));
            if (module is global::TorchSharp.Modules.Sequential || IsGenericSequential(module))
                return RunSequential(site, module, arguments);
            throw Refuse(
                site,
                $"TorchSharp's {module.GetType().Name} has no lowering to ONNX. "
                    + $"{Lowering.Refusals.ReasonFor(module.GetType())}"
            );
        }
        finally
        {
            path.Pop();
        }
    }

    /// <summary>Whether a module is one of TorchSharp's typed Sequentials.</summary>
    /// <param name="module">Any.</param>
    private static bool IsGenericSequential(nn.Module module)
    {
        for (var type = module.GetType(); type is not null; type = type.BaseType)
        {
            if (
                type.IsGenericType
                && TorchTypes.IsTorch(type)
                && type.Name.StartsWith("Sequential", StringComparison.Ordinal)
            )
                return true;
        }

        return false;
    }

    /// <summary>Calls the children one after another, each with the result of the previous one.</summary>
    /// <param name="site">The call site.</param>
    /// <param name="module">A Sequential.</param>
    /// <param name="arguments">Arguments of the call.</param>
    private object? RunSequential(CallSite site, nn.Module module, object?[] arguments)
    {
        var value = arguments[1..];
        foreach (var child in module.named_children().Select(pair => pair.module))
        {
            var forward = ForwardMethods.Fitting(child.GetType(), value)
                ?? throw Refuse(
                    site,
                    $"{child.GetType().Name} in a Sequential has no forward that accepts "
                        + $"{string.Join(", ", value.Select(one => one?.GetType().Name ?? "null"))}"
                );
            value = [CallModule(site with { Callee = forward, IsVirtual = false }, child, forward, [child, .. value])];
        }

        return value.Length == 1
            ? value[0]
            : throw Refuse(
                site,
                "an empty Sequential is called with several inputs. Add a child, or call it with one input."
            );
    }

    /// <summary>
    /// Runs a module that has its own lowering, and records it as one operation.
    /// </summary>
    /// <param name="site">The call site.</param>
    /// <param name="module">A module with a lowering.</param>
    /// <param name="reached">The forward that the call reaches; null if it is not known.</param>
    /// <param name="modulePath">The module's path.</param>
    /// <param name="arguments">Arguments, the module first; optional ones may be missing.</param>
    /// <returns>The result of the module itself.</returns>
    private object? RunLeaf(
        CallSite site,
        nn.Module module,
        MethodInfo? reached,
        string modulePath,
        object?[] arguments
    )
    {
        var forward = reached
            ?? ForwardMethods.OfLeaf(site, module.GetType(), arguments.Length - 1)
            ?? throw Refuse(
                site,
                $"{module.GetType().Name} has no forward or call with {arguments.Length - 1} arguments"
            );
        var padded = ForwardMethods.WithDefaults(forward, arguments);
        NativeGuards.Check(module, padded.OfType<Tensor>().FirstOrDefault());
        if (OnLeaf is not null && padded.OfType<Tensor>().FirstOrDefault() is { } input)
            OnLeaf(module, input);
        var inPlace = IsInPlaceModule(module) ? padded[1] as Tensor : null;
        Begin(site with { Callee = forward }, forward, padded, inPlace);
        var result = forward.Invoke(module, BindingFlags.DoNotWrapExceptions, null, padded[1..], null);
        End(site, forward, module, modulePath, padded, result, inPlace);
        return result;
    }

    /// <summary>Whether a module changes its argument in place. Dropout does nothing in eval mode, in place or
    /// not.</summary>
    /// <param name="module">Any.</param>
    private static bool IsInPlaceModule(nn.Module module) =>
        !module.GetType().Name.Contains("Dropout", StringComparison.Ordinal)
        && ModuleFields.Bool(module, false, "inplace", "_inplace");

    /// <summary>Runs the instrumented copy of a user's forward.</summary>
    /// <param name="site">The call site.</param>
    /// <param name="forward">The user's forward method.</param>
    /// <param name="arguments">Arguments of the call.</param>
    private object? EnterForward(CallSite site, MethodInfo forward, object?[] arguments)
    {
        try
        {
            return instrumenter
                .Instrument(forward)
                .Invoke(null, BindingFlags.DoNotWrapExceptions, null, arguments, null);
        }
        catch (NotSupportedException error)
        {
            throw Refuse(
                site,
                $"{forward.DeclaringType!.Name}.{forward.Name} cannot be followed: {error.Message}",
                error
            );
        }
    }

    /// <summary>
    /// The copy of a user's method; null if it cannot be copied and has nothing to do with tensors.
    /// </summary>
    /// <param name="site">The call site.</param>
    /// <param name="method">A user's method.</param>
    /// <returns>Null if it has no IL body.</returns>
    private DynamicMethod? Copy(CallSite site, MethodBase method)
    {
        try
        {
            return instrumenter.Instrument(method);
        }
        catch (NotSupportedException)
            when (method is MethodInfo called
                && !TorchTypes.CarriesTensors(called.ReturnType)
                && !called.GetParameters().Any(parameter => TorchTypes.CarriesTensors(parameter.ParameterType))
                && !TorchTypes.IsModule(called.DeclaringType!)
            )
        {
            return null;
        }
    }

    /// <summary>An address on this thread's stack.</summary>
    private static unsafe nint StackAddress()
    {
        var here = 0;
        return (nint)(&here);
    }

    /// <summary>
    /// Refuses endless recursion before the stack overflows, which would terminate the process.
    /// </summary>
    /// <param name="site">The call site.</param>
    /// <exception cref="ExportException">The stack or the trace has grown beyond its limit.</exception>
    private void CheckDepth(CallSite site)
    {
        // Long before the stack overflows, because unwinding an exception through a hundred thousand calls takes
        // minutes. And with a tail call the stack does not grow, so the number of operations is limited as well.
        if (stackAtStart - StackAddress() > DeepestStack || Trace.Ops.Count > MostOperations)
            throw Refuse(
                site,
                $"{site.CalleeName} recurses endlessly: it is thousands of calls deep, or has made tens of "
                    + "thousands of operations"
            );
    }

    // ---- operations ----------------------------------------------------------------------------------------------------------

    /// <summary>Reads the arguments before the call is made, because it may dispose or change them.</summary>
    /// <param name="site">The call site.</param>
    /// <param name="method">The called method.</param>
    /// <param name="arguments">Receiver first.</param>
    /// <param name="inPlace">The tensor that the call will change in place; null if none.</param>
    /// <exception cref="ExportException">A tensor is disposed or sparse, or an argument is a delegate.</exception>
    private void Begin(CallSite site, MethodBase method, object?[] arguments, Tensor? inPlace = null)
    {
        if (arguments.OfType<Tensor>().Any(tensor => tensor.IsInvalid))
            throw Refuse(site, $"{site.CalleeName} is given {TensorStates.WasDisposed}");
        if (arguments.OfType<Tensor>().Any(tensor => tensor.is_sparse))
            throw Refuse(
                site,
                $"{site.CalleeName} is given a sparse tensor, which an ONNX graph cannot have. Call to_dense() first."
            );
        NativeGuards.Check(method, arguments);
        if (arguments.Any(argument => argument is Delegate))
            throw Refuse(
                site,
                $"{site.CalleeName} is given a delegate, which it runs inside TorchSharp, where the exporter "
                    + "cannot follow it. Call the delegate yourself, or write the loop out."
            );
        var parameters = method.GetParameters();
        var shift = method.IsStatic ? 0 : 1;
        for (var position = 0; position < parameters.Length && position + shift < arguments.Length; position++)
        {
            if (parameters[position].Name is "out" or "@out" && arguments[position + shift] is Tensor)
                throw Refuse(
                    site,
                    $"{site.CalleeName} writes into its `out` argument. Use the returned tensor instead."
                );
        }

        var converted = arguments
            .Select(argument =>
                ArgumentConverter.Convert(argument, tensor => new ValueRef(states.Read(tensor, site, Path).Id))
            )
            .ToArray();
        if ((inPlace ?? InPlaceTarget(method, arguments)) is { } target)
            CheckWrite(site, target);
        var disposeAfter = Array.FindIndex(parameters, parameter => parameter.Name == "disposeAfter");
        if (disposeAfter >= 0 && arguments[disposeAfter + shift] is true)
            CheckDispose(site, (Tensor)arguments[0]!);
        begun.Push((arguments, converted));
    }

    /// <summary>Refuses to dispose a tensor that the model has registered, because it could not be
    /// restored.</summary>
    /// <param name="site">The call site.</param>
    /// <param name="target">The tensor to be disposed.</param>
    private void CheckDispose(CallSite site, Tensor target)
    {
        if (model.FindParameter(target) is ({ } name, { } own) && ReferenceEquals(own, target))
            throw Refuse(
                site,
                $"{site.CalleeName} disposes '{name}', which is registered in the model: RegisterComponents "
                    + "registers every tensor in a field. Omit disposeAfter in this call."
            );
    }

    /// <summary>
    /// Refuses writes to parameters, because a graph cannot keep them. Writes to buffers are allowed; whether they
    /// affect results is checked later.
    /// </summary>
    /// <param name="site">The call site.</param>
    /// <param name="target">The tensor that is written.</param>
    private void CheckWrite(CallSite site, Tensor target)
    {
        if (states.ExternalRoot(target) is not { } root || !root.Tensor.TryGetTarget(out var tensor))
            return;
        var (name, own) = model.FindParameter(tensor);
        if (own is TorchSharp.Modules.Parameter)
        {
            throw Refuse(
                site,
                $"{site.CalleeName} changes the parameter '{name}' in forward. "
                    + "An ONNX graph cannot keep state: use the operation without the underscore."
            );
        }

        OnExternalWrite?.Invoke(own ?? tensor);
        var what = $"{(name is null ? "a tensor that it keeps" : $"the buffer '{name}'")} ({site.Place})";
        if (!Trace.ChangedState.Contains(what))
            Trace.ChangedState.Add(what);
    }

    /// <summary>
    /// The tensor that a method changes in place: its receiver, or the argument of a function with <c>inplace:
    /// true</c>; null if none.
    /// </summary>
    /// <param name="method">The operation.</param>
    /// <param name="arguments">Arguments of the call.</param>
    private static Tensor? InPlaceTarget(MethodBase method, object?[] arguments)
    {
        var first = arguments.OfType<Tensor>().FirstOrDefault();
        if (CallPolicy.IsInPlace(method))
            return first;
        var parameters = method.GetParameters();
        var at = Array.FindIndex(parameters, parameter => parameter.Name == "inplace");
        return
            at >= 0
            && arguments[at + (method.IsStatic ? 0 : 1)] is true
            && method.Name.IndexOf("dropout", StringComparison.OrdinalIgnoreCase) < 0
            ? first
            : null;
    }

    /// <summary>Lets results that are the arguments themselves keep their values.</summary>
    /// <param name="arguments">Arguments of the call.</param>
    /// <param name="result">Result of the call.</param>
    private void PassThrough(object?[] arguments, object? result)
    {
        // The dispose-scope helpers return their argument, or several of them, in order.
        foreach (var (returned, given) in ForwardResult.Flatten(result).Zip(Begun(arguments)))
            states.Same(returned.Tensor, (TensorState)given!);
    }

    /// <summary>The arguments that <see cref="Begin"/> converted for a call.</summary>
    /// <param name="arguments">Arguments of the call.</param>
    private object?[] Begun(object?[] arguments)
    {
        // Calls that began later threw an exception, which forward caught.
        while (!ReferenceEquals(begun.Peek().Arguments, arguments))
            begun.Pop();
        return begun.Pop().Converted;
    }

    /// <summary>All tensors in the arguments, including those in lists and indices.</summary>
    /// <param name="arguments">Arguments of the call, including lists and tuples.</param>
    private static Tensor[] TensorsOf(object?[] arguments) =>
        [.. arguments.SelectMany(argument => ForwardResult.Flatten(argument).Select(pair => pair.Tensor))];

    /// <summary>Adds an operation to the trace, with values for its results.</summary>
    /// <param name="site">The call site.</param>
    /// <param name="method">The called method.</param>
    /// <param name="module">The module that ran as one operation; null for a method.</param>
    /// <param name="modulePath">Path of the module, or of the one whose forward called the method.</param>
    /// <param name="arguments">The same array that was passed to <see cref="Begin"/>.</param>
    /// <param name="result">Result of the call: a tensor, a tuple or list of tensors, or anything else.</param>
    /// <param name="inPlace">The tensor that the call changed in place, whose old value is gone; null if
    /// none.</param>
    private void End(
        CallSite site,
        MethodBase method,
        nn.Module? module,
        string modulePath,
        object?[] arguments,
        object? result,
        Tensor? inPlace
    )
    {
        var converted = Begun(arguments);
        var inputs = TensorsOf(arguments);
        var results = ForwardResult.Flatten(result).Select(pair => pair.Tensor).ToArray();
        var op = new TracedOp
        {
            Site = site,
            Method = method,
            Module = module,
            ModulePath = modulePath,
            Arguments = converted,
            Results = inPlace is null ? [.. results.Select(_ => TracedOp.Unused)] : [TracedOp.Unused],
            Parts =
                inPlace is null && module is null && TracedOp.HasParts(method)
                    ?
                    [
                        [.. results.Select(part => part.shape)],
                    ]
                    : null,
            ModuleTensors = module is null ? TracedOp.NoTensors : ComputedTensors(module, site),
        };
        Trace.Ops.Add(op);
        if (inPlace is not null)
            states.AddWrite(op, inPlace, result as Tensor, inputs);
        else
            states.AddResults(op, inputs, results);
        Trace.Work += WorkOf(module, inputs, results);
        Trace.LargestResult = Math.Max(Trace.LargestResult, results.Sum(made => made.IsInvalid ? 0.0 : made.numel()));
        CollectNowAndThen(results);
    }

    /// <summary>The tensors of a module that forward computed and assigned, such as normalized weights.</summary>
    /// <param name="module">A module whose parameters forward may have replaced.</param>
    /// <param name="site">The call site.</param>
    private IReadOnlyDictionary<string, ValueRef> ComputedTensors(nn.Module module, CallSite site)
    {
        // Read from the properties: a module whose weight was replaced still lists the old one among its parameters.
        var computed = module
            .GetType()
            .GetProperties()
            .Where(property =>
                typeof(Tensor).IsAssignableFrom(property.PropertyType) && property.GetIndexParameters().Length == 0
            )
            .Select(property => (property.Name, Tensor: property.GetValue(module) as Tensor))
            .Where(pair => pair.Tensor is not null && states.Find(pair.Tensor) is { Memory.IsExternal: false })
            .ToArray();
        return computed.Length == 0
            ? TracedOp.NoTensors
            : computed.ToDictionary(
                pair => pair.Name,
                pair => new ValueRef(states.Read(pair.Tensor!, site, Path).Id),
                StringComparer.Ordinal
            );
    }

    /// <summary>
    /// Approximate number of multiply-adds of an operation: each element of the result is a sum over a row of the
    /// weight or matrix.
    /// </summary>
    /// <param name="module">The called module; null for an operation.</param>
    /// <param name="inputs">Tensors that it reads.</param>
    /// <param name="results">Tensors that it returns.</param>
    private double WorkOf(nn.Module? module, Tensor[] inputs, IEnumerable<Tensor> results)
    {
        var weights = module is null
            ? inputs.Where(input => !input.IsInvalid && states.ExternalRoot(input) is not null)
            : module.parameters(recurse: true);
        var terms = weights
            .Where(weight => weight.dim() > 1 && weight.shape[0] > 0)
            .Sum(weight => (double)weight.numel() / weight.shape[0]);
        if (
            terms == 0
            && inputs.Length > 1
            && inputs.Take(2).All(input => !input.IsInvalid)
            && inputs[0].dim() > 0
            && inputs[1].dim() > 1
        )
            terms = inputs[0].shape[^1];
        return results.Sum(result => result.numel() * (1 + terms));
    }

    /// <summary>Runs the garbage collector once enough native memory has been allocated.</summary>
    /// <param name="results">Results of the last call.</param>
    private void CollectNowAndThen(Tensor[] results)
    {
        // Native memory is invisible to the collector: without this a large network keeps every intermediate tensor
        // of a trace.
        const long limit = 24L << 20;
        bytesSinceCollection += results.Sum(tensor => tensor.IsInvalid ? 0 : tensor.numel() * tensor.element_size());
        if (bytesSinceCollection < limit)
            return;
        bytesSinceCollection = 0;
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }
}
