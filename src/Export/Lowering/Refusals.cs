namespace TorchBridge.Export.Lowering;

/// <summary>Why a module of TorchSharp is refused, for those that are refused on purpose.</summary>
internal static class Refusals
{
    /// <summary>By type name: the reason.</summary>
    public static IReadOnlyDictionary<string, string> Modules { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["AdaptiveMaxPool3d"] = "TorchSharp 0.107 does not keep its output_size, so that its own forward fails.",
        ["FractionalMaxPool2d"] = "It draws random pooling regions at inference too, which a graph cannot repeat.",
        ["FractionalMaxPool3d"] = "It draws random pooling regions at inference too, which a graph cannot repeat.",
    };

    /// <summary>The reason for a type, or what to do about one that is merely unknown.</summary>
    public static string ReasonFor(Type type) =>
        Modules.TryGetValue(type.Name, out var reason) ? reason : "Write its forward with supported operations, or add a lowering with ExportOptions.Lowerings.";
}
