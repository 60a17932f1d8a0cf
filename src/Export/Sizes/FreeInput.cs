using static TorchSharp.torch;

namespace TorchBridge.Export.Sizes;

/// <summary>An input of the model: its example, and the symbol of each free axis.</summary>
/// <param name="Name">Name in the graph.</param>
/// <param name="Example">The caller's example.</param>
/// <param name="Symbols">By axis: the symbol's name (<c>batch</c>), or null if the size is fixed.</param>
internal sealed record FreeInput(string Name, Tensor Example, string?[] Symbols);
