using TorchBridge.Onnx.Files;
using TorchBridge.Quantization;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Packaging;

/// <summary>Names of the files of a run.</summary>
/// <param name="Path">The folder (<c>--out</c>).</param>
internal sealed record ModelFolder(string Path)
{
    private string Name { get; init; } = "modern-cnn";

    /// <summary>
    /// Names of the files of a model derived from this one: <c>modern-cnn.int8.onnx</c>, <c>modern-cnn.int8.zip</c>.
    /// </summary>
    /// <param name="name">Name of the variant, such as <c>int8</c>.</param>
    public ModelFolder MadeFrom(string name) => this with { Name = $"{Name}.{name}" };

    /// <summary>
    /// <c>modern-cnn.safetensors</c>: weights and settings, also readable by Python.
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

    /// <summary>The checkpoint of an unfinished run, after its last complete epoch.</summary>
    public string Checkpoint => File(".checkpoint.safetensors");

    /// <summary>
    /// <c>modern-cnn.card.json</c>: data, settings, versions and results for other programs.
    /// </summary>
    public string Card => File(".card.json");

    /// <summary><c>modern-cnn.report.html</c>: a self-contained page.</summary>
    public string Report => File(".report.html");

    /// <summary>Path of a plot, without its extension (<c>.svg</c>, <c>.png</c>).</summary>
    /// <param name="name">Name of the plot: <c>curves</c>, <c>confusion</c>.</param>
    public string Picture(string name) => File($".{name}");

    /// <summary>Names of the files that may have been quantized from this model.</summary>
    public IEnumerable<string> VariantFiles =>
        Enum.GetValues<QuantizationMode>()
            .Select(mode => MadeFrom(QuantizedPackager.VariantName(mode)))
            .SelectMany(variant => (string[])[variant.Onnx, variant.Zip, variant.Card, .. variant.SensitivityFiles])
            .Select(file => System.IO.Path.GetFileName(file));

    /// <summary>The plot of losses and accuracies by epoch.</summary>
    public IEnumerable<string> CurveFiles => [$"{Picture("curves")}.svg", $"{Picture("curves")}.png"];

    /// <summary>The plot of the accuracy that quantizing each layer alone costs.</summary>
    public IEnumerable<string> SensitivityFiles => [$"{Picture("sensitivity")}.svg", $"{Picture("sensitivity")}.png"];

    /// <summary>Creates the folder, checks that it can be written before time is spent on training, removes the
    /// remains of killed runs, and locks it against other runs.</summary>
    /// <returns>The lock, which is released when it is disposed.</returns>
    /// <exception cref="UserException">It cannot be written, or another run is using it.</exception>
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
                $"--out {Path}: the folder cannot be written ({error.Message}). Give another one with --out.",
                error
            );
        }
    }

    /// <summary>A file of this model in this folder.</summary>
    /// <param name="ending">The extension with its leading dot.</param>
    private string File(string ending) => System.IO.Path.Combine(Path, Name + ending);
}
