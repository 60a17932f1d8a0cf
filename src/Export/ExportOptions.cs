using TorchBridge.Export.Lowering;
using TorchBridge.Onnx.Graph;
using static TorchSharp.torch;

namespace TorchBridge.Export;

/// <summary>
/// Options for exporting a model. The defaults suit most models: opset 17, a free (dynamic) batch axis, BatchNorm
/// folded, and the file compared with the module.
/// </summary>
public sealed class ExportOptions
{
    /// <summary>
    /// ONNX opset to write, 17 to 21; any other value is refused. Default 17, which every runtime of recent years
    /// reads. The IR version follows from it.
    /// </summary>
    public int Opset { get; init; } = 17;

    /// <summary>
    /// Free (dynamic) axes by input name. Default: axis 0 (the batch) of every input with as many rows as the first
    /// input. An empty list fixes all sizes of an input. Every free axis varies independently, except that axis 0 of
    /// all inputs with as many rows as the first is one shared batch axis. Axes that <c>forward</c> accepts only with
    /// equal sizes become one axis, and the report says so.
    /// </summary>
    public IDictionary<string, int[]> FreeAxes { get; init; } = new Dictionary<string, int[]>(StringComparer.Ordinal);

    /// <summary>
    /// Names of free axes in the file, by input name and axis. Default: <c>batch</c>, or the input's name and the
    /// axis (<c>x_2</c>). Axes with the same name always have the same size.
    /// </summary>
    public IDictionary<(string Input, int Axis), string> AxisNames { get; init; } =
        new Dictionary<(string Input, int Axis), string>();

    /// <summary>
    /// Further examples, each with as many tensors as the first; they are run and compared in the same way. Use them
    /// for inputs with a structure that random numbers lack, such as offsets or edge lists. Free axes may have other
    /// sizes.
    /// </summary>
    public IReadOnlyList<Tensor[]> MoreExamples { get; init; } = [];

    /// <summary>
    /// Values of the arguments of <c>forward</c> that are not inputs, by parameter name: numbers, booleans, strings,
    /// enums, or null for a tensor that is omitted. They become constants in the file. Arguments with a default value
    /// need no entry.
    /// </summary>
    public IDictionary<string, object?> Arguments { get; init; } =
        new Dictionary<string, object?>(StringComparer.Ordinal);

    /// <summary>
    /// Names of the inputs, one per example; null (the default) uses the parameter names of <c>forward</c>.
    /// </summary>
    public IReadOnlyList<string>? InputNames { get; init; }

    /// <summary>
    /// Names of the outputs, in the order in which <c>forward</c> returns them; null (the default) uses
    /// <c>output</c>, or <c>output0</c>, <c>output1</c> …, or the keys of a dictionary.
    /// </summary>
    public IReadOnlyList<string>? OutputNames { get; init; }

    /// <summary>
    /// Whether BatchNorm is folded into the adjacent layers. Default true; a BatchNorm that cannot be folded without
    /// loss of accuracy is kept, and <see cref="ExportReport.NotFolded"/> says why.
    /// </summary>
    public bool FoldBatchNorm { get; init; } = true;

    /// <summary>Whether the file is compared with the module before it is written. Default true; turn it off only for
    /// measurements, never for a file that you ship.</summary>
    public bool Verify { get; init; } = true;

    /// <summary>Whether every intermediate value of the model is compared and reported too, operation by operation.
    /// Default false; when verification fails, the first value that differs is named in any case.</summary>
    public bool Explain { get; init; }

    /// <summary>
    /// Total size of the tensors, in bytes, above which they are written to a separate file beside the model
    /// (<c>model.onnx.data</c>), because a protobuf file cannot exceed 2 GB. Default 1.8 GB.
    /// </summary>
    public long ExternalDataThreshold { get; init; } = 1_800_000_000;

    /// <summary>Seed for the random inputs of capture and verification, and for the random numbers that
    /// <c>forward</c> draws where <see cref="RandomNumbers"/> allows it. Default 0.</summary>
    public int Seed { get; init; }

    /// <summary>How to export random numbers that <c>forward</c> draws in eval mode. Default: the export is
    /// refused.</summary>
    public RandomNumbers RandomNumbers { get; init; }

    /// <summary>
    /// Key-value pairs for the file's metadata, written in the order of their keys. Default: none.
    /// </summary>
    public IDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>
    /// Provides metadata that is known only after verification, such as the measured parity. It is called with the
    /// report, and the pairs it returns are added to <see cref="Metadata"/>. The graph's bytes do not depend on it.
    /// </summary>
    public Func<ExportReport, IEnumerable<KeyValuePair<string, string>>>? LateMetadata { get; init; }

    /// <summary>
    /// Options of native modules that TorchSharp does not expose, by module path; needed only where probing the
    /// module finds no match or several.
    /// </summary>
    public IDictionary<string, ModuleOptions> ModuleOptions { get; init; } =
        new Dictionary<string, ModuleOptions>(StringComparer.Ordinal);

    /// <summary>Lowerings of your own modules and methods; they take precedence over the built-in ones.</summary>
    public CustomLowerings Lowerings { get; init; } = new();

    /// <summary>Called with the unfolded and the final graph before they are written, so that tests can inject
    /// faults.</summary>
    internal Action<OnnxGraph, OnnxGraph>? BeforeWriting { get; init; }
}

/// <summary>
/// Lowerings of your own modules and of methods that the exporter does not know. They take precedence over the
/// built-in ones, so a built-in lowering can be replaced as well.
/// </summary>
public sealed class CustomLowerings
{
    /// <summary>Rules by the exact type of a module.</summary>
    internal Dictionary<Type, OperatorRow> Modules { get; } = [];

    /// <summary>Rules by the full name of a method: <c>TorchSharp.torch+Tensor.relu</c>.</summary>
    internal Dictionary<string, OperatorRow> Methods { get; } = new(StringComparer.Ordinal);

    /// <summary>Lowers a module type by a rule, instead of following its <c>forward</c>.</summary>
    /// <typeparam name="TModule">The exact module type; derived types are not matched.</typeparam>
    /// <param name="rule">The rule that adds the nodes.</param>
    /// <returns>This instance, for chaining.</returns>
    public CustomLowerings Add<TModule>(LoweringRule rule)
        where TModule : nn.Module
    {
        Modules[typeof(TModule)] = new OperatorRow(typeof(TModule).Name, "(yours)", "", 17, rule);
        return this;
    }

    /// <summary>Lowers a method of TorchSharp by a rule.</summary>
    /// <param name="declaringType">The class that declares it, for example <c>typeof(torch.Tensor)</c>.</param>
    /// <param name="method">Its name.</param>
    /// <param name="rule">The rule that adds the nodes.</param>
    /// <returns>This instance, for chaining.</returns>
    public CustomLowerings Add(Type declaringType, string method, LoweringRule rule)
    {
        ArgumentNullException.ThrowIfNull(declaringType);
        Methods[$"{declaringType.FullName}.{method}"] = new OperatorRow(method, "(yours)", "", 17, rule);
        return this;
    }
}

/// <summary>
/// Options of a native module that TorchSharp does not expose and that cannot be found by running the module: see
/// <see cref="ExportOptions.ModuleOptions"/>.
/// </summary>
/// <param name="Heads">Number of attention heads, at least 1; null if not specified.</param>
/// <param name="Activation"><c>relu</c>, <c>gelu</c> or <c>tanh</c>; null if not specified.</param>
public sealed record ModuleOptions(long? Heads = null, string? Activation = null);
