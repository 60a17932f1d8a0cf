namespace TorchBridge.Serving.Models;

/// <summary>The files of one version of a model in the models' folder.</summary>
/// <param name="Model">The model's name.</param>
/// <param name="Version">The version number; null for a plain file, whose versions the server counts itself.</param>
/// <param name="Path">Path of the ONNX file.</param>
/// <param name="ConfigPath">Path of the configuration; null if there is none.</param>
/// <param name="Stamp">A text that changes whenever the files change.</param>
internal sealed record ModelFileEntry(string Model, long? Version, string Path, string? ConfigPath, string Stamp);
