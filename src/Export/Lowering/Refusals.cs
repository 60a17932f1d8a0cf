namespace TorchBridge.Export.Lowering;

/// <summary>The reasons for TorchSharp modules and operations that are refused on purpose.</summary>
internal static class Refusals
{
    /// <summary>The reason for operations that draw random numbers.</summary>
    public const string Random =
        "It draws random numbers, which a file cannot reproduce. Draw them outside the model and pass them to "
        + "forward as an input, keep them in a buffer, or skip them in eval mode.";

    private const string Singular =
        "It needs an iterative solver, for which ONNX has no operator. If the result does not depend on the "
        + "input, compute it in the "
        + "constructor; otherwise compute it outside the model and pass the result to forward.";

    private const string OfTheData =
        "The size of its result depends on the data, which a graph of fixed ranks and sizes cannot "
        + "express. Keep all elements and mask them (torch.where, masked_fill).";

    /// <summary>By type name: the reason.</summary>
    public static IReadOnlyDictionary<string, string> Modules { get; } =
        new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["AdaptiveMaxPool3d"] = "TorchSharp 0.107 does not store its output_size, so its own forward fails.",
            ["FractionalMaxPool2d"] =
                "It draws random pooling regions even at inference, which a graph cannot reproduce.",
            ["FractionalMaxPool3d"] =
                "It draws random pooling regions even at inference, which a graph cannot reproduce.",
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

    /// <summary>The reason for a module type; for an unknown type, what to do about it.</summary>
    /// <param name="type">Type of a module.</param>
    public static string ReasonFor(Type type) =>
        Modules.TryGetValue(type.Name, out var reason)
            ? reason
            : "Write its forward with supported operations, or add a lowering with ExportOptions.Lowerings.";

    /// <summary>The reason for an operation; for an unknown operation, what to do about it.</summary>
    /// <param name="operation">Name in the operator table.</param>
    public static string ReasonFor(string operation) =>
        Operations.TryGetValue(operation, out var reason)
            ? reason
            : "Express it with supported operations (docs/operators.md lists them), or add a lowering with "
                + "ExportOptions.Lowerings.";
}
