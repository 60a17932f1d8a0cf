using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Modules that forward creates itself, such as <c>Softmax(-1).call(x)</c>. They cannot be switched to eval
/// mode from outside, and each run creates new ones.</summary>
/// <param name="model">The modules of the model itself.</param>
/// <param name="trace">Receives the created modules, so that the traces can be compared.</param>
internal sealed class MadeModules(ModelMap model, Trace trace)
{
    /// <summary>Fields declared by one type; base types are visited one by one.</summary>
    private const BindingFlags Fields =
        BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    /// <summary>Paths of the modules that were created in this run, by identity.</summary>
    private readonly Dictionary<nn.Module, string> paths = new(ReferenceEqualityComparer.Instance);

    /// <summary>Number of modules created under each path: the second is <c>Softmax_2</c>.</summary>
    private readonly Dictionary<string, int> names = new(StringComparer.Ordinal);

    /// <summary>The path of a called module that does not belong to the model.</summary>
    /// <param name="module">The module.</param>
    /// <param name="owner">Path of the module whose forward calls it.</param>
    /// <param name="site">The call.</param>
    /// <exception cref="ExportException">Its result depends on the mode, and it is in train mode.</exception>
    public string PathOf(nn.Module module, string owner, CallSite site)
    {
        if (paths.TryGetValue(module, out var known))
            return known;
        var name = ModelMap.Join(owner, module.GetType().Name);
        var count = names[name] = names.GetValueOrDefault(name) + 1;
        if (count > 1)
            name = string.Create(CultureInfo.InvariantCulture, $"{name}_{count}");
        Add(module, name, site);
        return name;
    }

    /// <summary>Assigns paths to a created module and its children, and records their contents.</summary>
    /// <param name="module">The created module.</param>
    /// <param name="path">Its path.</param>
    /// <param name="site">The call site.</param>
    private void Add(nn.Module module, string path, CallSite site)
    {
        if (!paths.TryAdd(module, path) || model.Paths.ContainsKey(module))
            return;
        if (module.training && DependsOnMode(module))
        {
            throw new ExportException(
                path,
                site.Place,
                $"a {module.GetType().Name} is created in forward, where eval() never reaches it: it behaves as "
                    + "in training at every call. "
                    + "Create it in the constructor and register it, or use the function in "
                    + "torch.nn.functional with `training` as its argument."
            );
        }

        trace.MadeModules.Add((path, Content(module), site.Place));
        foreach (var (name, child) in module.named_children())
            Add(child, ModelMap.Join(path, name), site);
    }

    /// <summary>Whether a TorchSharp module behaves differently in train mode.</summary>
    /// <param name="module">Any.</param>
    private static bool DependsOnMode(nn.Module module)
    {
        var name = module.GetType().Name;
        if (!TorchTypes.IsTorch(module.GetType()))
            return false; // its children are checked one by one
        if (name.Contains("Dropout", StringComparison.Ordinal))
            return ModuleFields.Get(module, "p", "_p") is not double probability || probability != 0;
        return name.StartsWith("BatchNorm", StringComparison.Ordinal)
            || name is "RReLU" or "MultiheadAttention" or "Transformer"
            || name.StartsWith("Transformer", StringComparison.Ordinal)
            || name is "LSTM" or "GRU" or "RNN";
    }

    /// <summary>Type, options and weights, so that two runs can be compared.</summary>
    /// <param name="module">Any.</param>
    private static string Content(nn.Module module)
    {
        var text = new List<string> { module.GetType().FullName! };
        for (var type = module.GetType(); type is not null && type != typeof(object); type = type.BaseType)
            text.AddRange(
                type.GetFields(Fields)
                    .OrderBy(field => field.Name, StringComparer.Ordinal)
                    .Select(field => $"{field.Name}={Shown(field.GetValue(module))}")
            );
        foreach (
            var (name, tensor) in module
                .named_parameters(recurse: false)
                .Select(pair => (pair.name, (Tensor)pair.parameter))
                .Concat(module.named_buffers(recurse: false))
        )
        {
            using var scope = NewDisposeScope();
            text.Add(
                $"{name} {string.Join(",", tensor.shape)} {Convert.ToHexString(SHA256.HashData(tensor.detach().cpu().contiguous().bytes))}"
            );
        }

        return string.Join("; ", text.Where(line => !line.EndsWith('?')));
    }

    /// <summary>An option as text; <c>?</c> for values that cannot be compared.</summary>
    /// <param name="value">Value of an option.</param>
    private static string Shown(object? value) =>
        value switch
        {
            null => "null",
            string text => text,
            Enum option => option.ToString(),
            bool flag => flag ? "true" : "false",
            IConvertible number => number.ToString(CultureInfo.InvariantCulture),
            Tensor or nn.Module => "?",
            IList list when list.Count <= 16 && list.Cast<object?>().All(item => item is IConvertible) => string.Join(
                ",",
                list.Cast<object?>().Select(Shown)
            ),
            System.Runtime.CompilerServices.ITuple tuple => string.Join(
                ",",
                Enumerable.Range(0, tuple.Length).Select(i => Shown(tuple[i]))
            ),
            _ => "?",
        };
}
