namespace TorchBridge.Serving.Models;

/// <summary>A version of a model as it lies in the folder.</summary>
/// <param name="Model">The model's name.</param>
/// <param name="Version">Its version; null for a plain file, whose versions are counted as they come.</param>
/// <param name="Path">The ONNX file.</param>
/// <param name="ConfigPath">Its configuration; null where it has none.</param>
/// <param name="Stamp">What the files look like: another text means another content.</param>
internal sealed record ModelFileEntry(string Model, long? Version, string Path, string? ConfigPath, string Stamp);
