using TorchBridge.Onnx.Files;
using TorchBridge.Quantization;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Packaging;

/// <summary>Names of what a run leaves.</summary>
/// <param name="Path">The folder (<c>--out</c>).</param>
internal sealed record ModelFolder(string Path)
{
    private string Name { get; init; } = "modern-cnn";

    /// <summary>
    /// Names of a model made from this one: <c>modern-cnn.int8.onnx</c>, <c>modern-cnn.int8.zip</c>.
    /// </summary>
    /// <param name="name">What was done to it: <c>int8</c>.</param>
    public ModelFolder MadeFrom(string name) => this with { Name = $"{Name}.{name}" };

    /// <summary>
    /// <c>modern-cnn.safetensors</c>: weights and settings, which Python opens too.
    /// </summary>
    public string Weights => File(".safetensors");

    /// <summary>
    /// <c>modern-cnn.onnx</c>: the exported model, with labels, sizes and self-check in its metadata.
    /// </summary>
    public string Onnx => File(".onnx");

    /// <summary>
    /// <c>modern-cnn.zip</c>: the chain of stock ML.NET transforms around the ONNX model.
    /// </summary>
    public string Zip => File(".zip");

    /// <summary>The unfinished run, after its last whole epoch.</summary>
    public string Checkpoint => File(".checkpoint.safetensors");

    /// <summary>
    /// <c>modern-cnn.card.json</c>: data, settings, versions and figures for other programs.
    /// </summary>
    public string Card => File(".card.json");

    /// <summary><c>modern-cnn.report.html</c>: one page that stands alone.</summary>
    public string Report => File(".report.html");

    /// <summary>Path of a picture, without its ending (<c>.svg</c>, <c>.png</c>).</summary>
    /// <param name="name">What it shows: <c>curves</c>, <c>confusion</c>.</param>
    public string Picture(string name) => File($".{name}");

    /// <summary>Names of the files that may have been quantized from this model.</summary>
    public IEnumerable<string> VariantFiles =>
        Enum.GetValues<QuantizationMode>()
            .Select(mode => MadeFrom(QuantizedPackager.VariantName(mode)))
            .SelectMany(variant => (string[])[variant.Onnx, variant.Zip, variant.Card, .. variant.SensitivityFiles])
            .Select(file => System.IO.Path.GetFileName(file));

    /// <summary>The plot of losses and accuracies by epoch.</summary>
    public IEnumerable<string> CurveFiles => [$"{Picture("curves")}.svg", $"{Picture("curves")}.png"];

    /// <summary>The plot of what each layer costs alone.</summary>
    public IEnumerable<string> SensitivityFiles => [$"{Picture("sensitivity")}.svg", $"{Picture("sensitivity")}.png"];

    /// <summary>Makes the folder, sees that it can be written, before an hour of training is spent, removes what
    /// killed runs have left in it, and keeps other runs out of it.</summary>
    /// <returns>The folder is free again when this is disposed.</returns>
    /// <exception cref="UserException">It cannot be written, or another run is at work in it.</exception>
    public IDisposable Claim()
    {
        try
        {
            Directory.CreateDirectory(Path);
            FileSet.Recover(Path);
            return RunLock.Take(Path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException(
                $"--out {Path}: the folder cannot be written ({error.Message}). Name another with --out.",
                error
            );
        }
    }

    /// <summary>A file of this model in this folder.</summary>
    /// <param name="ending">What stands behind the model's name, with its dot.</param>
    private string File(string ending) => System.IO.Path.Combine(Path, Name + ending);
}
