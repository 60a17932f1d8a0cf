using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>An input of the model: its example, and the symbol of each free axis.</summary>
/// <param name="Name">Name in the graph.</param>
/// <param name="Example">The caller's example.</param>
/// <param name="Symbols">By axis: the symbol's name (<c>batch</c>), or null where the size is fixed.</param>
internal sealed record FreeInput(string Name, Tensor Example, string?[] Symbols);

/// <summary>Which sizes the symbols take in the three traces.</summary>
/// <param name="Inputs">The inputs with their symbols.</param>
/// <param name="Sizes">By symbol: three sizes.</param>
internal sealed record SizePlan(IReadOnlyList<FreeInput> Inputs, IReadOnlyDictionary<string, long[]> Sizes)
{
    /// <summary>The shape of an input in a trace.</summary>
    public long[] ShapeOf(FreeInput input, int trace) =>
        [.. input.Example.shape.Select((size, axis) => input.Symbols[axis] is { } symbol ? Sizes[symbol][trace] : size)];
}
