using System.Collections;
using System.Reflection;
using TorchBridge.Export.Native;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>
/// Names of a model's modules, parameters and buffers. A shared one has the first of its names. Modules that are held
/// in fields without being registered are found too.
/// </summary>
internal sealed class ModelMap
{
    /// <summary>Paths of modules in fields that <c>named_modules</c> does not list.</summary>
    private readonly List<string> unregistered = [];

    /// <summary>Names of parameters and buffers by C# object.</summary>
    private readonly Dictionary<Tensor, string> parameters = new(ReferenceEqualityComparer.Instance);

    /// <summary>The same by memory address, because TorchSharp creates new objects for the same tensor.</summary>
    private readonly Dictionary<(nint, string), (string Name, Tensor Tensor)> parametersByMemory = [];

    /// <summary>Collects the names in a model.</summary>
    /// <param name="root">The model.</param>
    /// <exception cref="ExportException">The model has been disposed.</exception>
    public ModelMap(nn.Module root)
    {
        Paths = new(ReferenceEqualityComparer.Instance) { [root] = "" };
        foreach (var (name, module) in Modules(root, ""))
            Paths.TryAdd(module, name);
        foreach (var module in Paths.Keys)
        {
            if (TorchHandles.IsDisposed(module))
                throw new ExportException(
                    Paths[module],
                    null,
                    "the module has been disposed. Export it before calling Dispose and before its dispose scope "
                        + "ends."
                );
        }

        AddUnregistered();
        foreach (var (name, parameter) in root.named_parameters())
            Add(name, parameter);
        foreach (var (name, buffer) in root.named_buffers())
            Add(name, buffer);
        // named_buffers of TorchSharp's containers can omit some; each module lists its own completely.
        foreach (var (module, path) in Paths)
        {
            foreach (var (name, parameter) in module.named_parameters(recurse: false))
                Add(Join(path, name), parameter);
            foreach (var (name, buffer) in module.named_buffers(recurse: false, include_nonpersistent: true))
                Add(Join(path, name), buffer);
        }
    }

    /// <summary>Path of every registered module.</summary>
    public Dictionary<nn.Module, string> Paths { get; }

    /// <summary>Paths of the modules that are held in fields without being registered: eval() and the state dict do
    /// not include them.</summary>
    public IReadOnlyList<string> Unregistered => unregistered;

    /// <summary>Every parameter and buffer with its state-dict key.</summary>
    public IReadOnlyDictionary<Tensor, string> Parameters => parameters;

    /// <summary>
    /// The state-dict key of a parameter or buffer and the model's own object for it; nulls for any other tensor.
    /// </summary>
    /// <param name="tensor">Any tensor of a trace.</param>
    public (string? Name, Tensor? Own) FindParameter(Tensor tensor)
    {
        if (parameters.TryGetValue(tensor, out var name))
            return (name, tensor);
        // TorchSharp creates new objects for the same tensor, and such an object may be gone before the file is
        // written.
        return !tensor.IsInvalid && parametersByMemory.TryGetValue(MemoryKey(tensor), out var known)
            ? known
            : (null, null);
    }

    /// <summary>Integers in the fields of the user's modules and in the variables that their lambdas capture (window,
    /// stride, length of a table).</summary>
    public IEnumerable<long> IntegerFields()
    {
        var seen = new HashSet<object>(ReferenceEqualityComparer.Instance);
        return Paths.Keys.SelectMany(module => Integers(module, depth: 0, seen));
    }

    /// <summary>Finds modules in fields, arrays, lists and dictionaries of the user's classes and in variables that
    /// their lambdas capture: forward may call them although they are not registered.</summary>
    private void AddUnregistered()
    {
        var open = new Queue<(object Owner, string Path)>(
            Paths.Where(pair => TorchTypes.IsUser(pair.Key.GetType())).Select(pair => ((object)pair.Key, pair.Value))
        );
        var seen = new HashSet<object>(open.Select(item => item.Owner), ReferenceEqualityComparer.Instance);
        while (open.TryDequeue(out var item))
        {
            foreach (var field in UserFields(item.Owner.GetType()))
            {
                foreach (
                    var (name, value) in Contents(
                        field.GetValue(item.Owner),
                        ModelMap.Join(item.Path, FieldName(field)),
                        depth: 0
                    )
                )
                {
                    if (value is nn.Module module && !Paths.ContainsKey(module) && !TorchHandles.IsDisposed(module))
                        AddUnregistered(module, name);
                    if (TorchTypes.IsUser(value.GetType()) && seen.Add(value))
                        open.Enqueue((value, value is nn.Module known ? Paths.GetValueOrDefault(known, name) : name));
                }
            }
        }
    }

    /// <summary>Adds a module that is held in a field, with all of its descendants.</summary>
    /// <param name="module">A module that is not registered with its owner.</param>
    /// <param name="path">Path of the owner, followed by the name of the field.</param>
    private void AddUnregistered(nn.Module module, string path)
    {
        Paths.Add(module, path);
        unregistered.Add(path);
        foreach (var (name, child) in Modules(module, path))
            Paths.TryAdd(child, name);
    }

    /// <summary>A field's name as it appears in the source.</summary>
    /// <param name="field">Any field, including the compiler-generated backing field of a property.</param>
    private static string FieldName(FieldInfo field)
    {
        // <name>k__BackingField of an automatic property, <name>P of a primary constructor's parameter.
        var name = field.Name;
        return name.StartsWith('<') && name.IndexOf('>', StringComparison.Ordinal) is > 1 and var end
            ? name[1..end]
            : name;
    }

    /// <summary>The modules and the user's objects in a value.</summary>
    /// <param name="value">Value of a field.</param>
    /// <param name="name">Name of the field.</param>
    /// <param name="depth">Number of collections around it.</param>
    private static IEnumerable<(string Name, object Value)> Contents(object? value, string name, int depth)
    {
        const int deepest = 3;
        const int most = 10_000;
        switch (value)
        {
            case null or string or Tensor:
                return [];
            case Delegate lambda:
                return lambda
                    .GetInvocationList()
                    .SelectMany(one => depth < deepest ? Contents(one.Target, name, depth + 1) : []);
            case nn.Module:
                return [(name, value)];
            case IDictionary dictionary when depth < deepest:
                return dictionary
                    .Keys.Cast<object>()
                    .Take(most)
                    .SelectMany(key => Contents(dictionary[key], $"{name}.{key}", depth + 1));
            case ICollection list when depth < deepest && !IsPlain(list.GetType()):
                return list.Cast<object?>()
                    .Take(most)
                    .SelectMany((item, i) => Contents(item, $"{name}.{i}", depth + 1));
            case System.Runtime.CompilerServices.ITuple tuple when depth < deepest:
                return Enumerable.Range(0, tuple.Length).SelectMany(i => Contents(tuple[i], $"{name}.{i}", depth + 1));
            default:
                return TorchTypes.IsUser(value.GetType()) && !value.GetType().IsEnum ? [(name, value)] : [];
        }
    }

    /// <summary>Whether a type is an array of numbers, which holds no modules.</summary>
    /// <param name="type">Type of a field.</param>
    private static bool IsPlain(Type type) => type.IsArray && type.GetElementType()!.IsPrimitive;

    /// <summary>Fields that user classes in a type's hierarchy declare.</summary>
    /// <param name="type">Type of a user's object.</param>
    internal static IEnumerable<FieldInfo> UserFields(Type type) =>
        FieldsOf(
            type,
            BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly
        );

    /// <summary>Integers in a value, and in closures and settings objects inside it.</summary>
    /// <param name="value">Value of a field.</param>
    /// <param name="depth">Number of objects around it.</param>
    /// <param name="seen">Objects that were already visited.</param>
    private static IEnumerable<long> Integers(object? value, int depth, HashSet<object> seen)
    {
        const BindingFlags fields =
            BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
        const int deepest = 16;
        switch (value)
        {
            case int number:
                return [number];
            case long number:
                return [number];
            case int[] numbers:
                return numbers.Select(number => (long)number);
            case long[] numbers:
                return numbers;
            case Delegate { Target: not null } lambda when depth < deepest:
                return Integers(lambda.Target, depth + 1, seen);
            case null:
                return [];
            default:
                break;
        }

        // Modules are visited at the top level only: their fields hold modules, which have their own paths, closures,
        // or settings objects of the user.
        var isSettings = value is not (nn.Module or Tensor) && TorchTypes.IsUser(value.GetType());
        if ((depth > 0 && !isSettings) || depth >= deepest || !seen.Add(value))
            return [];
        return FieldsOf(value.GetType(), fields).SelectMany(field => Integers(field.GetValue(value), depth + 1, seen));
    }

    /// <summary>Fields of a type and its ancestors up to TorchSharp's own.</summary>
    /// <param name="type">Type of an object.</param>
    /// <param name="flags">Which fields.</param>
    private static IEnumerable<FieldInfo> FieldsOf(Type type, BindingFlags flags)
    {
        for (var at = type; at is not null && at != typeof(object) && !TorchTypes.IsTorch(at); at = at.BaseType)
        {
            foreach (var field in at.GetFields(flags))
                yield return field;
        }
    }

    /// <summary>Refuses modules with hooks: hooks run inside TorchSharp, where the exporter cannot observe
    /// them.</summary>
    /// <param name="module">Any module.</param>
    /// <param name="path">Its path, for the refusal.</param>
    /// <exception cref="ExportException">A forward hook is registered on it.</exception>
    public static void RefuseHooks(nn.Module module, string path)
    {
        foreach (var field in HookFields(module.GetType()))
        {
            if (field.GetValue(module) is ICollection { Count: > 0 })
                throw new ExportException(
                    path,
                    null,
                    "a forward hook is registered on this module, and the exporter cannot follow what a hook "
                        + "changes. Remove the hook for the export, or do its work in forward."
                );
        }
    }

    /// <summary>The fields in which TorchSharp keeps hooks. A test pins that there are some.</summary>
    /// <param name="type">Type of a module.</param>
    internal static IEnumerable<FieldInfo> HookFields(Type type)
    {
        for (var at = type; at is not null; at = at.BaseType)
        {
            if (!TorchTypes.IsTorch(at))
                continue;
            foreach (
                var field in at.GetFields(
                    BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.DeclaredOnly
                )
            )
            {
                if (field.Name is "pre_hooks" or "post_hooks")
                    yield return field;
            }
        }
    }

    /// <summary>All registered descendants of a module, with their paths.</summary>
    /// <param name="module">The root module.</param>
    /// <param name="path">Path of the root module.</param>
    private static IEnumerable<(string Name, nn.Module Module)> Modules(nn.Module module, string path)
    {
        foreach (var (name, child) in module.named_children())
        {
            var childPath = Join(path, name);
            yield return (childPath, child);
            foreach (var inner in Modules(child, childPath))
                yield return inner;
        }
    }

    /// <summary>Path of a child of a module.</summary>
    /// <param name="path">The module's path; empty for the model itself.</param>
    /// <param name="name">Name of the part.</param>
    public static string Join(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";

    /// <summary>Identifies a tensor by its memory, because TorchSharp may create several objects for one
    /// tensor.</summary>
    /// <param name="tensor">A parameter or a buffer.</param>
    private static (nint, string) MemoryKey(Tensor tensor) =>
        (
            TensorMemory.Address(tensor),
            $"{tensor.dtype} {string.Join(',', tensor.shape)} {string.Join(',', tensor.stride())}"
        );

    /// <summary>Adds a parameter or buffer under its key.</summary>
    /// <param name="name">Name of the tensor.</param>
    /// <param name="tensor">A parameter, a buffer, or a tensor in a field.</param>
    private void Add(string name, Tensor tensor)
    {
        if (tensor is null)
            return;
        if (tensor.IsInvalid)
            throw new ExportException(
                name,
                null,
                "this parameter or buffer has been disposed, with its module or its dispose scope. Export the "
                    + "model before that."
            );
        parameters.TryAdd(tensor, name);
        if (tensor.numel() > 0)
            parametersByMemory.TryAdd(MemoryKey(tensor), (name, tensor));
    }
}
