namespace TorchBridge.Onnx.Contract;

/// <summary>
/// Keys of the metadata that TorchBridge writes into its files: ONNX models, and safetensors for settings and
/// checkpoints. Readers and writers share these constants.
/// </summary>
internal static class MetadataKeys
{
    /// <summary>Names of the classes in the order of the logits, as a JSON array.</summary>
    public const string ClassNames = "torchbridge.class_names";

    /// <summary>Picture width in pixels.</summary>
    public const string Width = "torchbridge.width";

    /// <summary>Picture height in pixels.</summary>
    public const string Height = "torchbridge.height";

    /// <summary><c>true</c> if pictures are resized with antialiasing.</summary>
    public const string Antialias = "torchbridge.antialias";

    /// <summary><c>true</c> if pictures are rotated according to their EXIF orientation.</summary>
    public const string ApplyOrientation = "torchbridge.apply_orientation";

    /// <summary>
    /// Pictures with their expected logits, with which a model is checked on another machine: JSON with base64
    /// planes, logits and a relative tolerance.
    /// </summary>
    public const string SelfCheck = "torchbridge.self_check";

    /// <summary>Results of the export's verification, as JSON.</summary>
    public const string Parity = "torchbridge.parity";

    /// <summary>
    /// How the network was built and trained (network, recipe, data, seed), as JSON. <c>evaluate</c>, <c>export</c>
    /// and <c>parity</c> rebuild the network from it.
    /// </summary>
    public const string Settings = "torchbridge.settings";

    /// <summary>Software versions and machine, as JSON.</summary>
    public const string Versions = "torchbridge.versions";

    /// <summary>Accuracy on the test set, 0 to 1.</summary>
    public const string TestAccuracy = "torchbridge.test_accuracy";

    /// <summary>Mean cross-entropy on the test set.</summary>
    public const string TestLoss = "torchbridge.test_loss";

    /// <summary>
    /// The views of a picture (such as its mirror image) over which the model averages its logits; absent if it uses
    /// only the picture itself.
    /// </summary>
    public const string Views = "torchbridge.views";

    /// <summary>
    /// How a model was quantized (mode, calibration method, bits, rows) and how closely it matches the float32 model,
    /// as one line for people. A file with this key is no longer a float32 model.
    /// </summary>
    public const string Quantization = "torchbridge.quantization";

    /// <summary>Comparison of the quantized model with the float32 model on the test set, as JSON.</summary>
    public const string QuantizationFidelity = "torchbridge.quantization.fidelity";

    /// <summary>Settings, history and counters of an unfinished run, as JSON.</summary>
    public const string Checkpoint = "torchbridge.checkpoint";
}
