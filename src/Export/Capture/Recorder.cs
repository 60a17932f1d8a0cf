// What it does: follows one run of an instrumented forward. A tensor is known by its C# object; an operation's result gets a new
// value, an in-place operation rebinds its receiver to a new value. Memory that is seen twice (views) may not be changed in
// place: what the other view would read is not in the graph. See CallWrapper for who calls Intercept and Record.
using System.Collections;
using System.Reflection;
using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Records one trace. One recorder is current on a thread while the instrumented forward runs.</summary>
internal sealed class Recorder
{
    [ThreadStatic]
    private static Recorder? current;

    private readonly MethodInstrumenter instrumenter;
    private readonly ModelMap model;
    private readonly Func<nn.Module, bool> isLeaf;
    private readonly ConditionalWeakTable<Tensor, Binding> bindings = [];
    private readonly Dictionary<Tensor, Binding> externals = new(ReferenceEqualityComparer.Instance);
    private readonly Stack<string> path = new();
    private long bytesSinceCollection;

    /// <summary>Starts a trace.</summary>
    /// <param name="instrumenter">Makes the copies; shared by the traces of an export.</param>
    /// <param name="model">Paths of the modules, names of the parameters.</param>
    /// <param name="isLeaf">Whether a module has a lowering of its own.</param>
    public Recorder(MethodInstrumenter instrumenter, ModelMap model, Func<nn.Module, bool> isLeaf)
    {
        this.instrumenter = instrumenter;
        this.model = model;
        this.isLeaf = isLeaf;
    }

    public Trace Trace { get; } = new();

    /// <summary>Called with every value that an operation makes, as it is then: a later operation may change it in place.</summary>
    public Action<int, Tensor>? OnValue { get; init; }

    /// <summary>Called with every module that has a lowering of its own, and its first tensor, before it runs.</summary>
    public Action<nn.Module, Tensor>? OnLeaf { get; init; }

    /// <summary>The tensors that the model returned.</summary>
    public Tensor[] OutputTensors { get; private set; } = [];

    private string Path => path.TryPeek(out var top) ? top : "";

    /// <summary>Runs the model's instrumented forward on the inputs and records it.</summary>
    public Trace Run(nn.Module root, (string Name, Tensor Tensor)[] inputs)
    {
        foreach (var (name, tensor) in inputs) bindings.Add(tensor, NewBinding(NewValue(ValueKind.Input, name, tensor), isView: false));
        var previous = current;
        current = this;
        try
        {
            var site = new CallSite(ForwardOf(root), ForwardOf(root), IsVirtual: true, 0);
            var result = CallModule(site, root, [root, .. inputs.Select(input => (object?)input.Tensor)]);
            foreach (var (name, tensor) in ForwardResult.Flatten(result))
                Trace.Outputs.Add((name, Bind(tensor, site).Value.Id));
            OutputTensors = [.. ForwardResult.Flatten(result).Select(pair => pair.Tensor)];
            if (Trace.Outputs.Count == 0) throw new ExportException("", null, "forward returns no tensor");
            return Trace;
        }
        finally
        {
            current = previous;
        }
    }

    /// <summary>The <c>forward</c> that a module's run-time type declares.</summary>
    public static MethodInfo ForwardOf(nn.Module module)
    {
        // The most derived class that declares one: a class may hide or override its base's.
        for (var type = module.GetType(); type is not null; type = type.BaseType)
        {
            var found = type.GetMethods(BindingFlags.Instance | BindingFlags.Public | BindingFlags.DeclaredOnly).Where(method => method.Name == "forward").ToArray();
            if (found.Length == 1) return found[0];
            if (found.Length > 1) return found.OrderByDescending(method => method.GetParameters().Length).First();
        }

        throw new ExportException($"{module.GetType().Name} has no forward method");
    }

    /// <summary>Called by a wrapper before the real call: either handles the call itself, or lets it be made.</summary>
    public static bool Intercept(int siteIndex, object?[] arguments, out object? handled)
    {
        var recorder = current ?? throw new ExportException("an instrumented forward ran outside its export");
        var site = recorder.instrumenter.Site(siteIndex);
        handled = null;
        switch (CallPolicy.Classify(site.Callee))
        {
            case CallKind.Module:
                var module = arguments[0] as nn.Module ?? throw recorder.Refuse(site, $"{site.CalleeName} is called on nothing (null)");
                handled = recorder.CallModule(site, module, arguments);
                return true;
            case CallKind.Enter:
                handled = recorder.Enter(site, arguments);
                return true;
            case CallKind.ReadsNumbers:
                throw recorder.Refuse(site, $"{site.CalleeName} reads numbers out of a tensor, and an ONNX graph has no numbers outside its tensors. " +
                    "Keep the value a tensor (torch.where for a choice, tensor arithmetic for a factor), or compute it once in the constructor.");
            case CallKind.Operation:
                recorder.CheckBefore(site, arguments);
                return false;
            default:
                return false;
        }
    }

    /// <summary>Called by a wrapper after the real call.</summary>
    public static void Record(int siteIndex, object?[] arguments, object? result)
    {
        var recorder = current!;
        var site = recorder.instrumenter.Site(siteIndex);
        if (CallPolicy.Classify(site.Callee) == CallKind.SameValue)
            recorder.PassThrough(arguments, result, site);
        else
            recorder.AddOp(site, site.Callee, module: null, recorder.Path, arguments, result, InPlaceTarget(site.Callee, arguments));
    }

    private ExportException Refuse(CallSite site, string reason, Exception? cause = null) => new(Path, site.Place, reason, cause);

    // ---- modules and methods -------------------------------------------------------------------------------------------------

    private object? CallModule(CallSite site, nn.Module module, object?[] arguments)
    {
        if (!model.Paths.TryGetValue(module, out var modulePath))
        {
            throw Refuse(site, $"a {module.GetType().Name} is called that is not registered in the model, so eval() does not reach it and its weights are not in the state dict. " +
                "Call RegisterComponents() after it is assigned to a field, or use ModuleList, ModuleDict or register_module.");
        }

        ModelMap.RefuseHooks(module, modulePath);
        var type = site.IsVirtual ? module.GetType() : site.Callee.DeclaringType!;
        path.Push(modulePath);
        try
        {
            if (isLeaf(module)) return RunLeaf(site, module, modulePath, arguments);
            if (module is global::TorchSharp.Modules.Sequential || IsGenericSequential(module)) return RunSequential(site, module, arguments);
            if (TorchTypes.IsTorch(type) && TorchTypes.IsTorch(module.GetType()))
                throw Refuse(site, $"{module.GetType().Name} of TorchSharp has no lowering. {Lowering.Refusals.ReasonFor(module.GetType())}");
            var forward = site.IsVirtual ? ForwardOf(module) : (MethodInfo)site.Callee;
            if (forward.IsAbstract || TorchTypes.IsTorch(forward.DeclaringType)) forward = ForwardOf(module);
            return EnterMethod(site, forward, arguments);
        }
        finally
        {
            path.Pop();
        }
    }

    private static bool IsGenericSequential(nn.Module module)
    {
        for (var type = module.GetType(); type is not null; type = type.BaseType)
        {
            if (type.IsGenericType && TorchTypes.IsTorch(type) && type.Name.StartsWith("Sequential", StringComparison.Ordinal)) return true;
        }

        return false;
    }

    private object? RunSequential(CallSite site, nn.Module module, object?[] arguments)
    {
        // A class derived from Sequential with a forward of its own is the user's code.
        var forward = ForwardOf(module);
        if (!TorchTypes.IsTorch(forward.DeclaringType)) return EnterMethod(site, forward, arguments);
        var value = arguments[1..];
        foreach (var child in module.named_children().Select(pair => pair.module))
        {
            var childSite = site with { Callee = ForwardOf(child), IsVirtual = true };
            value = [CallModule(childSite, child, [child, .. value])];
        }

        return value.Length == 1 ? value[0] : throw Refuse(site, "an empty Sequential with several inputs");
    }

    private object? RunLeaf(CallSite site, nn.Module module, string modulePath, object?[] arguments)
    {
        var forward = ForwardOf(module);
        var padded = PadWithDefaults(forward, arguments);
        CheckBefore(site, padded);
        NativeGuards.Check(module, padded.OfType<Tensor>().FirstOrDefault());
        if (OnLeaf is not null && padded.OfType<Tensor>().FirstOrDefault() is { } input) OnLeaf(module, input);
        var result = forward.Invoke(module, BindingFlags.DoNotWrapExceptions, null, padded[1..], null);
        var inPlace = IsInPlaceModule(module) ? padded[1] as Tensor : null;
        AddOp(site, forward, module, modulePath, padded, result, inPlace);
        return result;
    }

    private static object?[] PadWithDefaults(MethodInfo forward, object?[] arguments)
    {
        var parameters = forward.GetParameters();
        return [.. arguments, .. parameters.Skip(arguments.Length - 1).Select(parameter => parameter.HasDefaultValue ? parameter.DefaultValue : null)];
    }

    /// <summary>Whether a leaf changes its argument. Dropout is nothing in eval mode, in place or not.</summary>
    private static bool IsInPlaceModule(nn.Module module) =>
        !module.GetType().Name.Contains("Dropout", StringComparison.Ordinal) && Lowering.ModuleFields.Bool(module, false, "inplace", "_inplace");

    private object? Enter(CallSite site, object?[] arguments)
    {
        if (site.Callee.DeclaringType is { } type && typeof(Delegate).IsAssignableFrom(type))
        {
            var target = arguments[0] as Delegate ?? throw Refuse(site, "a delegate that is null is called");
            if (target.GetInvocationList().Length != 1) throw Refuse(site, "a delegate of several methods is called");
            object?[] inner = target.Target is null ? arguments[1..] : [target.Target, .. arguments[1..]];
            return EnterMethod(site, target.Method, inner);
        }

        var callee = (MethodInfo)site.Callee;
        if (site.IsVirtual && arguments[0] is { } receiver) callee = VirtualMethods.Resolve(callee, receiver.GetType());
        return EnterMethod(site, callee, arguments);
    }

    private object? EnterMethod(CallSite site, MethodInfo method, object?[] arguments)
    {
        if (!TorchTypes.IsUser(method.DeclaringType))
        {
            // A method group (model.act = torch.relu), or an iterator of the framework: run it, and record it if it is TorchSharp's.
            var direct = site with { Callee = method };
            var kind = CallPolicy.Classify(method);
            if (kind == CallKind.Operation) CheckBefore(direct, arguments);
            if (kind is CallKind.ReadsNumbers) throw Refuse(direct, $"{direct.CalleeName} reads numbers out of a tensor");
            var result = method.IsStatic
                ? method.Invoke(null, BindingFlags.DoNotWrapExceptions, null, arguments, null)
                : method.Invoke(arguments[0], BindingFlags.DoNotWrapExceptions, null, arguments[1..], null);
            if (kind == CallKind.Operation) AddOp(direct, method, null, Path, arguments, result, InPlaceTarget(method, arguments));
            return result;
        }

        if (method.GetParameters().Any(parameter => parameter.ParameterType.IsByRef || parameter.ParameterType.IsByRefLike) || (method.DeclaringType!.IsValueType && !method.IsStatic))
        {
            if (!TorchTypes.CarriesTensors(method.ReturnType) && !method.GetParameters().Any(parameter => TorchTypes.CarriesTensors(parameter.ParameterType)) && !method.DeclaringType!.IsByRefLike)
                return method.Invoke(method.IsStatic ? null : arguments[0], BindingFlags.DoNotWrapExceptions, null, method.IsStatic ? arguments : arguments[1..], null);
            throw Refuse(site, $"{method.DeclaringType!.Name}.{method.Name} takes tensors by reference, as a span or in a struct's method, which the exporter does not follow. Return the tensor instead.");
        }

        System.Reflection.Emit.DynamicMethod copy;
        try
        {
            copy = instrumenter.Instrument(method);
        }
        catch (NotSupportedException error)
        {
            throw Refuse(site, $"{method.DeclaringType!.Name}.{method.Name} cannot be followed: {error.Message}", error);
        }

        return copy.Invoke(null, BindingFlags.DoNotWrapExceptions, null, arguments, null);
    }

    // ---- operations ----------------------------------------------------------------------------------------------------------

    private void CheckBefore(CallSite site, object?[] arguments)
    {
        if (arguments.OfType<Tensor>().Any(tensor => !tensor.IsInvalid && tensor.is_sparse))
            throw Refuse(site, $"{site.CalleeName} is given a sparse tensor, which an ONNX graph cannot have. Use to_dense() before it.");
        NativeGuards.Check(site.Callee, arguments);
        foreach (var argument in arguments)
        {
            if (argument is Delegate)
                throw Refuse(site, $"{site.CalleeName} is given a lambda, which the exporter does not see into. Call the lambda yourself, or write the loop out.");
        }

        var parameters = site.Callee.GetParameters();
        var shift = site.Callee.IsStatic ? 0 : 1;
        for (var i = 0; i < parameters.Length && i + shift < arguments.Length; i++)
        {
            if (parameters[i].Name is "out" or "@out" && arguments[i + shift] is Tensor)
                throw Refuse(site, $"{site.CalleeName} writes into its `out` argument. Use the returned tensor instead.");
        }
    }

    private static Tensor? InPlaceTarget(MethodBase method, object?[] arguments)
    {
        var first = arguments.OfType<Tensor>().FirstOrDefault();
        if (CallPolicy.IsInPlace(method)) return first;
        var parameters = method.GetParameters();
        var at = Array.FindIndex(parameters, parameter => parameter.Name == "inplace");
        return at >= 0 && arguments[at + (method.IsStatic ? 0 : 1)] is true && method.Name.IndexOf("dropout", StringComparison.OrdinalIgnoreCase) < 0 ? first : null;
    }

    private void PassThrough(object?[] arguments, object? result, CallSite site)
    {
        // The dispose-scope helpers return their argument, or several of them, in order.
        var given = arguments.SelectMany(argument => ForwardResult.Flatten(argument).Select(pair => pair.Tensor)).ToArray();
        var returned = ForwardResult.Flatten(result).Select(pair => pair.Tensor).ToArray();
        for (var i = 0; i < Math.Min(given.Length, returned.Length); i++)
        {
            if (!ReferenceEquals(given[i], returned[i])) bindings.AddOrUpdate(returned[i], Bind(given[i], site));
        }
    }

    private void AddOp(CallSite site, MethodBase method, nn.Module? module, string modulePath, object?[] arguments, object? result, Tensor? inPlace)
    {
        var converted = arguments.Select(argument => ArgumentConverter.Convert(argument, tensor => new ValueRef(Bind(tensor, site).Value.Id))).ToArray();
        var inputs = arguments.SelectMany(argument => ForwardResult.Flatten(argument).Select(pair => pair.Tensor)).ToArray();
        var results = new List<int>();
        if (inPlace is not null) results.Add(Rebind(site, inPlace, result as Tensor).Id);
        else results.AddRange(ForwardResult.Flatten(result).Select(pair => NewResult(pair.Tensor, inputs).Id));
        if (OnValue is not null)
        {
            foreach (var (id, tensor) in results.Zip(inPlace is null ? ForwardResult.Flatten(result).Select(pair => pair.Tensor) : [inPlace])) OnValue(id, tensor);
        }

        Trace.Work += WorkOf(module, inputs, ForwardResult.Flatten(result).Select(pair => pair.Tensor));
        Trace.Ops.Add(new TracedOp
        {
            Site = site,
            Method = method,
            Module = module,
            ModulePath = modulePath,
            Arguments = converted,
            Results = [.. results],
        });
        CollectNowAndThen(result);
    }

    /// <summary>Multiply-adds of an operation, roughly: each number of the result is a sum over a row of the weight or matrix.</summary>
    private double WorkOf(nn.Module? module, Tensor[] inputs, IEnumerable<Tensor> results)
    {
        var weights = module is null ? inputs.Where(input => TryBinding(input) is { IsExternal: true }) : module.parameters(recurse: true);
        var terms = weights.Where(weight => weight.dim() > 1 && weight.shape[0] > 0).Sum(weight => (double)weight.numel() / weight.shape[0]);
        if (terms == 0 && inputs.Length > 1 && inputs[0].dim() > 0 && inputs[1].dim() > 1) terms = inputs[0].shape[^1];
        return results.Sum(result => result.numel() * (1 + terms));
    }

    private TracedValue Rebind(CallSite site, Tensor target, Tensor? result)
    {
        var binding = Bind(target, site);
        if (binding.IsExternal)
        {
            throw Refuse(site, $"{site.CalleeName} changes {(binding.Value.Name.Length > 0 ? $"the parameter or buffer '{binding.Value.Name}'" : "a tensor from outside")} in forward. " +
                "A graph cannot keep state: use the operation without the underscore.");
        }

        if (binding.IsView)
            throw Refuse(site, $"{site.CalleeName} changes a view (made by view, narrow, chunk, an index …) of another tensor in place. Use the operation without the underscore.");
        foreach (var other in binding.Memory.Where(other => other != binding)) other.ChangedAt = site.Place;
        binding.Value = NewValue(ValueKind.Result, "", target);
        if (result is not null && !ReferenceEquals(result, target)) bindings.AddOrUpdate(result, binding);
        return binding.Value;
    }

    private TracedValue NewResult(Tensor tensor, Tensor[] inputs)
    {
        var value = NewValue(ValueKind.Result, "", tensor);
        var source = inputs.FirstOrDefault(input => TensorMemory.Shares(tensor, input));
        if (source is null || TryBinding(source) is not { } origin)
        {
            bindings.AddOrUpdate(tensor, NewBinding(value, isView: false));
        }
        else if (!origin.IsExternal && TensorMemory.SameGeometry(tensor, source))
        {
            // The same memory seen the same way (contiguous, Identity, dropout in eval mode): one tensor under two names.
            origin.Value = value;
            bindings.AddOrUpdate(tensor, origin);
        }
        else
        {
            var view = new Binding { Value = value, IsView = true, IsExternal = false, Memory = origin.Memory };
            origin.Memory.Add(view);
            bindings.AddOrUpdate(tensor, view);
        }

        return value;
    }

    // ---- values --------------------------------------------------------------------------------------------------------------

    private Binding? TryBinding(Tensor tensor) =>
        bindings.TryGetValue(tensor, out var binding) ? binding : externals.GetValueOrDefault(tensor);

    private Binding Bind(Tensor tensor, CallSite site)
    {
        var binding = TryBinding(tensor);
        if (binding is null)
        {
            // Made by nothing recorded: a parameter, or a constant that all traces must agree on (see TraceMerger).
            var name = model.FindParameter(tensor);
            if (tensor.IsInvalid) throw Refuse(site, "a tensor is used after it was disposed");
            // A copy, because a cache that forward fills may be changed or disposed before the traces are compared; parameters stay as they are.
            var kept = name is null ? TensorMemory.Keep(tensor) : tensor;
            var value = new TracedValue { Id = Trace.Values.Count, Kind = name is null ? ValueKind.Constant : ValueKind.Parameter, Name = name ?? "", Type = tensor.dtype, Shape = tensor.shape, Tensor = kept };
            Trace.Values.Add(value);
            binding = NewBinding(value, isView: false, isExternal: true);
            externals.Add(tensor, binding);
        }

        return binding.ChangedAt is null ? binding : throw Refuse(site, $"a tensor is used whose memory was changed in place through a view of it ({binding.ChangedAt}). Use the operation without the underscore there.");
    }

    private TracedValue NewValue(ValueKind kind, string name, Tensor tensor)
    {
        var value = new TracedValue { Id = Trace.Values.Count, Kind = kind, Name = name, Type = tensor.dtype, Shape = tensor.shape };
        Trace.Values.Add(value);
        return value;
    }

    private static Binding NewBinding(TracedValue value, bool isView, bool isExternal = false)
    {
        var memory = new List<Binding>();
        var binding = new Binding { Value = value, IsView = isView, IsExternal = isExternal, Memory = memory };
        memory.Add(binding);
        return binding;
    }

    private void CollectNowAndThen(object? result)
    {
        // Native memory is invisible to the collector: without this a large network keeps every intermediate tensor of a trace.
        const long limit = 24L << 20;
        bytesSinceCollection += ForwardResult.Flatten(result).Sum(pair => pair.Tensor.IsInvalid ? 0 : pair.Tensor.numel() * pair.Tensor.element_size());
        if (bytesSinceCollection < limit) return;
        bytesSinceCollection = 0;
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }
}
