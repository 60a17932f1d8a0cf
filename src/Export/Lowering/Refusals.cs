namespace TorchBridge.Export.Lowering;

/// <summary>Why modules and operations of TorchSharp are refused, for those that are refused on purpose.</summary>
internal static class Refusals
{
    /// <summary>Of an operation that draws.</summary>
    public const string Random =
        "It draws random numbers, which a file cannot repeat. Draw them outside and give them to forward "
        + "as an input, keep them in a buffer, or leave them out in eval mode.";

    private const string Singular =
        "It needs an iterative solver, which ONNX has no operator for. Compute it in the constructor where it "
        + "does not follow the input, or outside of the model, and give forward the result.";

    private const string OfTheData =
        "The size of its result depends on the data, which a graph of fixed ranks and sizes cannot "
        + "follow. Keep all elements and weigh them with a mask (torch.where, masked_fill).";

    /// <summary>By type name: the reason.</summary>
    public static IReadOnlyDictionary<string, string> Modules { get; } =
        new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["AdaptiveMaxPool3d"] = "TorchSharp 0.107 does not keep its output_size, so that its own forward fails.",
            ["FractionalMaxPool2d"] = "It draws random pooling regions at inference too, which a graph cannot repeat.",
            ["FractionalMaxPool3d"] = "It draws random pooling regions at inference too, which a graph cannot repeat.",
        };

    /// <summary>By name in the operator table: the reason.</summary>
    public static IReadOnlyDictionary<string, string> Operations { get; } =
        new (string Reason, string Names)[]
        {
            (
                Random,
                "randperm normal bernoulli multinomial uniform random exponential geometric cauchy log_normal poisson "
                    + "gumbel_softmax"
            ),
            (
                Singular,
                "linalg.svd linalg.svdvals linalg.eig linalg.eigh linalg.eigvals linalg.eigvalsh "
                    + "linalg.inv linalg.pinv linalg.solve linalg.lstsq linalg.qr linalg.cholesky linalg.det "
                    + "linalg.slogdet svd inverse det cholesky lstsq pinverse"
            ),
            (OfTheData, "nonzero masked_select unique unique_consecutive argwhere histc bincount"),
        }
            .SelectMany(row => row.Names.Split(' ').Select(name => (name, row.Reason)))
            .ToDictionary(pair => pair.name, pair => pair.Reason, StringComparer.Ordinal);

    /// <summary>The reason for a type, or what to do about one that is merely unknown.</summary>
    /// <param name="type">Of a module.</param>
    public static string ReasonFor(Type type) =>
        Modules.TryGetValue(type.Name, out var reason)
            ? reason
            : "Write its forward with supported operations, or add a lowering with ExportOptions.Lowerings.";

    /// <summary>The reason for an operation, or what to do about one that is merely unknown.</summary>
    /// <param name="operation">Name in the operator table.</param>
    public static string ReasonFor(string operation) =>
        Operations.TryGetValue(operation, out var reason)
            ? reason
            : "Write it with supported operations (the program lists them: `operators`), or add one with ExportOptions.Lowerings.";
}
