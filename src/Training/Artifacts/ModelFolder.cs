using TorchBridge.Onnx.Files;
using TorchBridge.Quantization;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Artifacts;

/// <summary>Names of what a run leaves.</summary>
/// <param name="Path">The folder (<c>--out</c>).</param>
internal sealed record ModelFolder(string Path)
{
    private string Name { get; init; } = "modern-cnn";

    /// <summary>Names of a model made from this one: <c>modern-cnn.int8.onnx</c>, <c>modern-cnn.int8.zip</c>.</summary>
    public ModelFolder Variant(string name) => this with { Name = $"{Name}.{name}" };

    public string Weights => File(".safetensors");

    public string Onnx => File(".onnx");

    public string Zip => File(".zip");

    /// <summary>The unfinished run, after its last whole epoch.</summary>
    public string Checkpoint => File(".checkpoint.safetensors");

    public string Card => File(".card.json");

    public string Report => File(".report.html");

    /// <summary>Path of a picture, without its ending (<c>.svg</c>, <c>.png</c>).</summary>
    public string Picture(string name) => File($".{name}");

    /// <summary>Writes a picture as SVG and PNG.</summary>
    public void Write(Figure figure) => figure.Write(Picture(figure.Name));

    /// <summary>Names of the files that may have been quantized from this model.</summary>
    public IEnumerable<string> VariantFiles =>
        Enum.GetValues<QuantizationMode>()
            .Select(mode => Variant(QuantizedPackager.VariantName(mode)))
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

    private string File(string ending) => System.IO.Path.Combine(Path, Name + ending);
}
