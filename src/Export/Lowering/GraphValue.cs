using static TorchSharp.torch;

namespace TorchBridge.Export;

/// <summary>A value in the graph that is being built: an input, an initializer, or a node's output.</summary>
/// <param name="Name">Unique name in the graph; empty for an optional input that is omitted.</param>
/// <param name="Type">Element type.</param>
/// <param name="Rank">Number of axes.</param>
public readonly record struct GraphValue(string Name, ScalarType Type, int Rank)
{
    /// <summary>An optional input that is omitted.</summary>
    public static GraphValue None { get; } = new("", ScalarType.Float32, 0);
}
