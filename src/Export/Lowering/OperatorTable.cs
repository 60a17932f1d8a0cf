using System.Reflection;
using TorchBridge.Export.Capture;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering;

/// <summary>Writes the nodes of one captured operation.</summary>
/// <param name="context">Arguments in, nodes out.</param>
public delegate void LoweringRule(LoweringContext context);

/// <summary>A row of the operator table.</summary>
/// <param name="Name">Module type (<c>Conv2d</c>) or operation (<c>add</c>, which is <c>torch.add</c>,
/// <c>Tensor.add</c>, <c>add_</c> and <c>+</c>).</param>
/// <param name="Onnx">The ONNX operators it becomes.</param>
/// <param name="Options">Options that change the graph, for the README's table.</param>
/// <param name="Opset">The lowest opset; 17 for almost all.</param>
/// <param name="Rule">Writes the nodes.</param>
public sealed record OperatorRow(string Name, string Onnx, string Options, int Opset, LoweringRule Rule);

/// <summary>The one table of lowerings. A name that is entered twice is an error at start-up.</summary>
public sealed class OperatorTable
{
    private static readonly Lazy<OperatorTable> Lazy = new(Build);
    private readonly Dictionary<Type, OperatorRow> modules = [];
    private readonly Dictionary<string, OperatorRow> operations = new(StringComparer.Ordinal);

    /// <summary>The table that the exporter uses.</summary>
    public static OperatorTable Default => Lazy.Value;

    /// <summary>Rows for modules, by name.</summary>
    public IEnumerable<OperatorRow> Modules => modules.Values.OrderBy(row => row.Name, StringComparer.Ordinal);

    /// <summary>Rows for operations, by name.</summary>
    public IEnumerable<OperatorRow> Operations => operations.Values.OrderBy(row => row.Name, StringComparer.Ordinal);

    /// <summary>Rows by the exact type of the module.</summary>
    internal IReadOnlyDictionary<Type, OperatorRow> ModuleRows => modules;

    /// <summary>Enters a module; entering it twice is an error.</summary>
    /// <param name="onnx">Operators that it becomes, for the document; alternatives are divided by a
    /// semicolon.</param>
    /// <param name="rule">Writes the nodes.</param>
    /// <param name="options">Options that the rule honours, for the document; empty for none.</param>
    /// <param name="opset">Lowest opset whose operators the rule uses.</param>
    internal void Module<TModule>(string onnx, LoweringRule rule, string options = "", int opset = 17)
        where TModule : nn.Module =>
        modules.Add(typeof(TModule), new OperatorRow(typeof(TModule).Name, onnx, options, opset, rule));

    /// <summary>Enters an operation; entering it twice is an error.</summary>
    /// <param name="name">As <see cref="OperationName"/> gives it: without the underscore of an in-place
    /// operation.</param>
    /// <param name="onnx">Operators that it becomes, for the document; alternatives are divided by a
    /// semicolon.</param>
    /// <param name="rule">Writes the nodes.</param>
    /// <param name="options">Options that the rule honours, for the document; empty for none.</param>
    /// <param name="opset">Lowest opset whose operators the rule uses.</param>
    internal void Operation(string name, string onnx, LoweringRule rule, string options = "", int opset = 17) =>
        operations.Add(name, new OperatorRow(name, onnx, options, opset, rule));

    /// <summary>The row of a module's exact type, or null.</summary>
    /// <param name="module">Any module.</param>
    internal OperatorRow? Find(nn.Module module) => modules.GetValueOrDefault(module.GetType());

    /// <summary>The row of a method of TorchSharp, or null.</summary>
    /// <param name="method">Of TorchSharp.</param>
    internal OperatorRow? Find(MethodBase method) => operations.GetValueOrDefault(OperationName.Of(method));

    /// <summary>Lets every family enter its rows.</summary>
    private static OperatorTable Build()
    {
        var table = new OperatorTable();
        // Each family file registers its own rows; a new family is found by its attribute-free convention: a static
        // Register(OperatorTable).
        foreach (
            var register in typeof(OperatorTable)
                .Assembly.GetTypes()
                .Where(type => type.Namespace == "TorchBridge.Export.Lowering.Families")
                .OrderBy(type => type.Name, StringComparer.Ordinal)
                .Select(type =>
                    type.GetMethod("Register", BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
                )
                .OfType<MethodInfo>()
        )
        {
            register.Invoke(null, BindingFlags.DoNotWrapExceptions, null, [table], null);
        }

        return table;
    }
}
