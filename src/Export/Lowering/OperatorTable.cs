using System.Reflection;
using TorchBridge.Export.Capture;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering;

/// <summary>Adds the nodes of one captured operation to the graph.</summary>
/// <param name="context">Provides the operation's arguments and receives the nodes.</param>
public delegate void LoweringRule(LoweringContext context);

/// <summary>A row of the operator table.</summary>
/// <param name="Name">Module type (<c>Conv2d</c>) or operation (<c>add</c>, which is <c>torch.add</c>,
/// <c>Tensor.add</c>, <c>add_</c> and <c>+</c>).</param>
/// <param name="Onnx">The ONNX operators it becomes.</param>
/// <param name="Options">Supported options, for docs/operators.md.</param>
/// <param name="Opset">The lowest supported opset; 17 for almost all rows.</param>
/// <param name="Rule">Adds the nodes.</param>
public sealed record OperatorRow(string Name, string Onnx, string Options, int Opset, LoweringRule Rule);

/// <summary>The table of all lowerings. A duplicate name is an error at start-up.</summary>
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

    /// <summary>Adds a row for a module; a duplicate is an error.</summary>
    /// <param name="onnx">ONNX operators that it becomes, for the document; alternatives are separated by a
    /// semicolon.</param>
    /// <param name="rule">Adds the nodes.</param>
    /// <param name="options">Options that the rule supports, for the document; empty for none.</param>
    /// <param name="opset">Lowest opset that has all operators used by the rule.</param>
    internal void Module<TModule>(string onnx, LoweringRule rule, string options = "", int opset = 17)
        where TModule : nn.Module =>
        modules.Add(typeof(TModule), new OperatorRow(typeof(TModule).Name, onnx, options, opset, rule));

    /// <summary>Adds a row for an operation; a duplicate is an error.</summary>
    /// <param name="name">Name as returned by <see cref="OperationName"/>: without the underscore of an in-place
    /// operation.</param>
    /// <param name="onnx">ONNX operators that it becomes, for the document; alternatives are separated by a
    /// semicolon.</param>
    /// <param name="rule">Adds the nodes.</param>
    /// <param name="options">Options that the rule supports, for the document; empty for none.</param>
    /// <param name="opset">Lowest opset that has all operators used by the rule.</param>
    internal void Operation(string name, string onnx, LoweringRule rule, string options = "", int opset = 17) =>
        operations.Add(name, new OperatorRow(name, onnx, options, opset, rule));

    /// <summary>The row of a module's exact type, or null.</summary>
    /// <param name="module">Any module.</param>
    internal OperatorRow? Find(nn.Module module) => modules.GetValueOrDefault(module.GetType());

    /// <summary>The row of a TorchSharp method, or null.</summary>
    /// <param name="method">A TorchSharp method.</param>
    internal OperatorRow? Find(MethodBase method) => operations.GetValueOrDefault(OperationName.Of(method));

    /// <summary>Builds the table from the rows of all families.</summary>
    private static OperatorTable Build()
    {
        var table = new OperatorTable();
        // Each family file registers its own rows; families are found by convention: a static
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
