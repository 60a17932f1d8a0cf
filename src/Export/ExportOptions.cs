using TorchBridge.Export.Lowering;
using TorchBridge.Onnx.Graph;
using static TorchSharp.torch;

namespace TorchBridge.Export;

/// <summary>
/// How a model is exported. The defaults are meant to be right: opset 17, a free batch axis, BatchNorm folded, the
/// file compared with the module.
/// </summary>
public sealed class ExportOptions
{
    /// <summary>
    /// ONNX opset to write, 17 to 21; another one is refused. Default 17, which every runtime of the last years
    /// reads. The IR version follows it.
    /// </summary>
    public int Opset { get; init; } = 17;

    /// <summary>
    /// Free axes by input name; default: axis 0 of every input that has as many rows as the first (the batch). An
    /// empty list fixes all sizes of an input. Every free axis has a size of its own, but for axis 0 of inputs with
    /// as many rows as the first, which is the batch; axes that forward takes only with equal sizes become one, and
    /// the report says so.
    /// </summary>
    public IDictionary<string, int[]> FreeAxes { get; init; } = new Dictionary<string, int[]>(StringComparer.Ordinal);

    /// <summary>
    /// Names of free axes in the file, by input name and axis; default: <c>batch</c>, or the input's name and the
    /// axis (<c>x_2</c>). Axes with one name always have one size.
    /// </summary>
    public IDictionary<(string Input, int Axis), string> AxisNames { get; init; } =
        new Dictionary<(string Input, int Axis), string>();

    /// <summary>
    /// Further examples, each of as many tensors as the first one: run and compared like it. For inputs with a
    /// structure that random numbers do not have, such as offsets or edge lists; free axes may have other sizes.
    /// </summary>
    public IReadOnlyList<Tensor[]> MoreExamples { get; init; } = [];

    /// <summary>
    /// Values of <c>forward</c>'s arguments that are no inputs, by parameter name: numbers, truth values, texts,
    /// enums, or null for a tensor that is left out. They become constants of the file. Arguments with a default need
    /// none.
    /// </summary>
    public IDictionary<string, object?> Arguments { get; init; } =
        new Dictionary<string, object?>(StringComparer.Ordinal);

    /// <summary>
    /// Names of the inputs, one per example; null (the default) for the parameter names of <c>forward</c>.
    /// </summary>
    public IReadOnlyList<string>? InputNames { get; init; }

    /// <summary>
    /// Names of the outputs, in the order in which forward returns them; null (the default) for <c>output</c>, or
    /// <c>output0</c>, <c>output1</c> …, or a dictionary's keys.
    /// </summary>
    public IReadOnlyList<string>? OutputNames { get; init; }

    /// <summary>
    /// Whether BatchNorm is folded into the layers around it. Default true; what cannot be folded without a loss
    /// stays, and <see cref="ExportReport.NotFolded"/> says why.
    /// </summary>
    public bool FoldBatchNorm { get; init; } = true;

    /// <summary>Whether the file is compared with the module before it is written. Default true; false is for
    /// measuring, not for shipping.</summary>
    public bool Verify { get; init; } = true;

    /// <summary>Whether every value inside the model is compared too, operation by operation, and reported. Default
    /// false; on failure the first that differs is named in any case.</summary>
    public bool Explain { get; init; }

    /// <summary>
    /// Bytes of tensors above which they are written into a file of their own beside the model
    /// (<c>model.onnx.data</c>), because a protobuf file ends at 2 GB. Default 1.8 GB.
    /// </summary>
    public long ExternalDataThreshold { get; init; } = 1_800_000_000;

    /// <summary>Seed of the random inputs of capture and verification, and of what <c>forward</c> draws where
    /// <see cref="RandomNumbers"/> allows it. Default 0.</summary>
    public int Seed { get; init; }

    /// <summary>What becomes of random numbers that <c>forward</c> draws in eval mode. Default: an error.</summary>
    public RandomNumbers RandomNumbers { get; init; }

    /// <summary>
    /// Key-value pairs for the file's metadata, written in the order of their keys. Default: none.
    /// </summary>
    public IDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>
    /// Metadata that is known only after verification (the parity itself, say): called with the report, its pairs are
    /// added to <see cref="Metadata"/>. The graph's bytes do not depend on it.
    /// </summary>
    public Func<ExportReport, IEnumerable<KeyValuePair<string, string>>>? LateMetadata { get; init; }

    /// <summary>
    /// Options of native modules that TorchSharp keeps to itself, by module path; needed only where probing finds
    /// none or several.
    /// </summary>
    public IDictionary<string, ModuleOptions> ModuleOptions { get; init; } =
        new Dictionary<string, ModuleOptions>(StringComparer.Ordinal);

    /// <summary>Lowerings of the caller's own modules and methods, before the built-in ones.</summary>
    public CustomLowerings Lowerings { get; init; } = new();

    /// <summary>Called with the unfolded and the final graph before they are written; tests put faults in.</summary>
    internal Action<OnnxGraph, OnnxGraph>? BeforeWriting { get; init; }
}

/// <summary>
/// Lowerings of a user's own modules and of methods that the exporter does not know. They come before the built-in
/// ones, so that one of these can be replaced too.
/// </summary>
public sealed class CustomLowerings
{
    /// <summary>Rules by the exact type of a module.</summary>
    internal Dictionary<Type, OperatorRow> Modules { get; } = [];

    /// <summary>Rules by the full name of a method: <c>TorchSharp.torch+Tensor.relu</c>.</summary>
    internal Dictionary<string, OperatorRow> Methods { get; } = new(StringComparer.Ordinal);

    /// <summary>Writes a module type as given, instead of following its forward.</summary>
    /// <typeparam name="TModule">The exact type.</typeparam>
    /// <param name="rule">Writes the nodes.</param>
    /// <returns>This, for more calls.</returns>
    public CustomLowerings Add<TModule>(LoweringRule rule)
        where TModule : nn.Module
    {
        Modules[typeof(TModule)] = new OperatorRow(typeof(TModule).Name, "(yours)", "", 17, rule);
        return this;
    }

    /// <summary>Writes a method of TorchSharp as given.</summary>
    /// <param name="declaringType">The class that declares it, <c>typeof(torch.Tensor)</c> say.</param>
    /// <param name="method">Its name.</param>
    /// <param name="rule">Writes the nodes.</param>
    /// <returns>This, for more calls.</returns>
    public CustomLowerings Add(Type declaringType, string method, LoweringRule rule)
    {
        ArgumentNullException.ThrowIfNull(declaringType);
        Methods[$"{declaringType.FullName}.{method}"] = new OperatorRow(method, "(yours)", "", 17, rule);
        return this;
    }
}

/// <summary>
/// Options of a native module that TorchSharp keeps to itself, where running the module does not tell them: see <see
/// cref="ExportOptions.ModuleOptions"/>.
/// </summary>
/// <param name="Heads">Number of attention heads, 1 and up; null where it is not said.</param>
/// <param name="Activation"><c>relu</c>, <c>gelu</c> or <c>tanh</c>; null where it is not said.</param>
public sealed record ModuleOptions(long? Heads = null, string? Activation = null);
